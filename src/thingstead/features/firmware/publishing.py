"""The rules of publishing: which bytes become an image, and who may have signed them.

Knows no technology: rows, bytes and signatures are passed in (`ports.py`). What an image says
about itself is read in `images.py`, what is signed stands in `manifests.py`; who is offered an
image is the business of `offers.py`.
"""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace

from thingstead.features.firmware.errors import (
    FirmwareExistsError,
    FirmwareNotFoundError,
    ImageTooLargeError,
    TooManyFirmwaresError,
    WrongFirmwareStateError,
)
from thingstead.features.firmware.filenames import safe_filename
from thingstead.features.firmware.images import HEAD_BYTES, check_match, check_whole, facts_of
from thingstead.features.firmware.intake import check_new
from thingstead.features.firmware.manifests import manifest, manifest_of
from thingstead.features.firmware.model import (
    Digests,
    Firmware,
    FirmwareLimits,
    FirmwareState,
    NewFirmware,
    Signature,
    SigningKey,
)
from thingstead.features.firmware.ports import (
    BlobStore,
    FirmwareStore,
    StoredImage,
    Upload,
    Verifier,
)
from thingstead.features.firmware.signing import SigningKeys
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import FirmwareId, IdSource, ProductId

_PAGE = 100
_DIGESTS_AT_ONCE = 500
_UNUSED_FOR_MS = 24 * 60 * 60 * 1_000
# Publishers that are at work at once may take a sequence from one another.
_TRIES = 3
_SIGN_ANEW = "sign the earlier image anew with a larger sequence, and pass that signature"


class Publishing:
    """Publishes images, moves them from state to state, and keeps the keys they are signed with.

    After every change those who remember what the product offers are told.
    """

    def __init__(
        self,
        store: FirmwareStore,
        blobs: BlobStore,
        verifier: Verifier,
        changes: Changes,
        *,
        ids: IdSource,
        clock: Clock,
        limits: FirmwareLimits,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._keys = SigningKeys(store, verifier, clock)
        self._changes = changes
        self._ids = ids
        self._clock = clock
        self._limits = limits

    async def publish(self, new: NewFirmware, chunks: AsyncIterable[bytes]) -> Firmware:
        """Store the bytes durably and then their row, and return it; nobody sees half an image.

        The file's name is made harmless. The same bytes under the same version once more return
        the row that is there, published if it was a draft and this is none.

        Raises:
            InvalidFirmwareError: something said about the image cannot be.
            SignatureMissingError, InvalidSignatureError: see there.
            ImageTooLargeError, UnusableImageError, ImageMismatchError: see there.
            FirmwareExistsError: the version is there with other bytes, signature or sequence,
                or withdrawn, or there is a sequence that is not smaller.
            TooManyFirmwaresError, ProductNotFoundError: see there.
            StorageFullError: there is no room.
        """
        check_new(new)
        new = replace(new, filename=safe_filename(new.filename))
        await self._keys.check_hopeful(new.product_id, new.signature)
        upload = await self._blobs.begin()
        try:
            image = await self._receive(upload, new, chunks)
            await self._check_signature(new, image)
            existing = await self._repeated(new, image)
            # Also when they are there already: so publishing again mends bytes that were damaged.
            await upload.keep(image.digests.sha256)
            if existing is not None:
                return existing
        finally:
            await upload.discard()
        return await self._add(new, image)

    async def get(self, firmware_id: FirmwareId) -> Firmware:
        """Return the image, whatever its state.

        Raises:
            FirmwareNotFoundError: there is none with that id.
        """
        firmware = await self._store.get(firmware_id)
        if firmware is None:
            raise FirmwareNotFoundError(f"id {firmware_id[:64]}")
        return firmware

    async def all(self, product_id: ProductId | None = None) -> AsyncIterator[Firmware]:
        """Yield images in all states, newest first, of one product or of all."""
        before: int | None = None
        while page := await self._store.page(product_id, before=before, limit=_PAGE):
            for firmware in page:
                yield firmware
            before = page[-1].number

    async def release(self, firmware_id: FirmwareId) -> Firmware:
        """Publish a draft; does nothing to what is published.

        Raises:
            FirmwareNotFoundError, WrongFirmwareStateError: see there.
            SignatureMissingError, InvalidSignatureError: signatures became a demand, or the key
                was revoked, since the draft was made.
        """
        await self.check_releasable(await self.get(firmware_id))
        return await self._moved(firmware_id, FirmwareState.PUBLISHED, FirmwareState.DRAFT)

    async def check_releasable(self, firmware: Firmware) -> None:
        """Check that a draft is still signed as it has to be; others need not be any more.

        Raises:
            SignatureMissingError, InvalidSignatureError: as for `release`.
        """
        if firmware.state is not FirmwareState.DRAFT:
            return
        await self._keys.check_hopeful(firmware.product_id, firmware.signature)
        if firmware.signature is not None:
            await self._keys.verify(firmware.product_id, firmware.signature, manifest(firmware))

    async def deprecate(self, firmware_id: FirmwareId) -> Firmware:
        """Offer the image no more, and let downloads that had begun finish; idempotent.

        Raises:
            FirmwareNotFoundError: there is none with that id.
            WrongFirmwareStateError: it is a draft, or revoked.
        """
        return await self._moved(firmware_id, FirmwareState.DEPRECATED, FirmwareState.PUBLISHED)

    async def revoke(self, firmware_id: FirmwareId) -> Firmware:
        """Give no byte of the image out any more, whatever its state; idempotent.

        Raises:
            FirmwareNotFoundError: there is none with that id.
        """
        others = [state for state in FirmwareState if state is not FirmwareState.REVOKED]
        return await self._moved(firmware_id, FirmwareState.REVOKED, *others)

    async def bring_back(
        self,
        firmware_id: FirmwareId,
        *,
        signature: Signature | None = None,
        sequence: int | None = None,
    ) -> Firmware:
        """Publish the bytes of an earlier image anew, under a larger sequence, and return the row.

        Devices that refuse smaller sequences take it. The earlier signature is not kept, because
        it holds for the earlier sequence; a new one comes together with its own. Once brought
        back, and as long as nothing newer was published, the same row is returned again.

        Raises:
            FirmwareNotFoundError: there is none with that id.
            WrongFirmwareStateError: it is a draft or revoked.
            SignatureMissingError, InvalidSignatureError: see there.
            FirmwareExistsError: there is a sequence that is not smaller.
            TooManyFirmwaresError: see there.
        """
        earlier = await self.get(firmware_id)
        if earlier.state in (FirmwareState.DRAFT, FirmwareState.REVOKED):
            raise WrongFirmwareStateError(f"it is {earlier.state}, and cannot be brought back")
        done = await self._brought_back(earlier)
        if done is not None and signature is None and sequence in (None, done.sequence):
            return done
        new = _again(earlier, signature, sequence)
        check_new(new)
        await self._keys.check_hopeful(earlier.product_id, signature, _SIGN_ANEW)
        image = StoredImage(earlier.size, earlier.digests, earlier.facts)
        await self._check_signature(new, image)
        return await self._add(new, image, is_revert=True)

    async def add_key(self, product_id: ProductId, pem: bytes, name: str) -> SigningKey:
        """Accept signatures made with the key from now on; one that is there is returned.

        Raises:
            InvalidKeyError: it is no key, or revoked, or one too many, or its name cannot be.
            ProductNotFoundError: there is no such product.
        """
        key = await self._keys.add(product_id, pem, name)
        self._tell(product_id)
        return key

    async def keys(self, product_id: ProductId) -> list[SigningKey]:
        """Return the product's keys, the oldest first; revoked ones too."""
        return await self._store.keys(product_id)

    async def revoke_key(self, product_id: ProductId, key_id: str) -> None:
        """Accept no signature made with the key any more; idempotent.

        What was published with it stays as it is; revoke images that must not be given out.

        Raises:
            KeyNotFoundError: the product has no such key.
        """
        await self._keys.revoke(product_id, key_id)
        self._tell(product_id)

    async def demand_signatures(self, product_id: ProductId, *, is_demanded: bool) -> None:
        """Refuse unsigned images of the product from now on, or accept them.

        What was published stays as it is.

        Raises:
            ProductNotFoundError: there is no such product.
        """
        await self._keys.demand(product_id, is_demanded=is_demanded)
        self._tell(product_id)

    async def demands_signatures(self, product_id: ProductId) -> bool:
        """Return whether unsigned images of the product are refused."""
        return await self._store.needs_signature(product_id)

    async def tidy(self) -> None:
        """Delete what uploads of processes that are gone left, and bytes that no row names.

        Those are a day old at least: a publisher stores the bytes before the row.
        """
        await self._blobs.tidy()
        before_ms = self._clock.now_ms() - _UNUSED_FOR_MS
        digests = await self._blobs.digests(older_than_ms=before_ms)
        for start in range(0, len(digests), _DIGESTS_AT_ONCE):
            some = digests[start : start + _DIGESTS_AT_ONCE]
            used = await self._store.used_digests(some)
            for digest in some:
                if digest not in used:
                    await self._blobs.delete(digest, older_than_ms=before_ms)

    async def _receive(
        self, upload: Upload, new: NewFirmware, chunks: AsyncIterable[bytes]
    ) -> StoredImage:
        """Write the bytes while their digests are made, and check that they are an image."""
        sha256 = hashlib.sha256()
        sha1 = hashlib.sha1(usedforsecurity=False)
        md5 = hashlib.md5(usedforsecurity=False)
        size, head = 0, b""
        async for chunk in chunks:
            size += len(chunk)
            if size > self._limits.image_bytes:
                raise ImageTooLargeError(f"more than {self._limits.image_bytes} bytes")
            await upload.write(chunk)
            for hashing in (sha256, sha1, md5):
                hashing.update(chunk)
            if len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
        facts = facts_of(head)
        await check_whole(head, size, upload.read)
        if not new.allows_mismatch:
            check_match(facts, new.mcu, new.version)
        return StoredImage(size, Digests(sha256.digest(), sha1.digest(), md5.digest()), facts)

    async def _repeated(self, new: NewFirmware, image: StoredImage) -> Firmware | None:
        """Return the row of the same image, published if it shall be; None without one."""
        there = await self._store.by_version(new.product_id, new.mcu, new.version)
        if there is None:
            return None
        what = f"version {new.version} for {new.mcu}"
        if there.digests.sha256 != image.digests.sha256:
            raise FirmwareExistsError(f"{what} is there with other bytes")
        if there.state in (FirmwareState.DEPRECATED, FirmwareState.REVOKED):
            raise FirmwareExistsError(f"{what} is there, and {there.state}")
        if new.sequence not in (None, there.sequence):
            raise FirmwareExistsError(f"{what} is there with the sequence {there.sequence}")
        if new.signature is not None and there.signature is None:
            raise FirmwareExistsError(f"{what} is there without a signature")
        if there.state is FirmwareState.DRAFT and not new.is_draft:
            return await self.release(there.id)
        return there

    async def _add(
        self, new: NewFirmware, image: StoredImage, *, is_revert: bool = False
    ) -> Firmware:
        for _ in range(_TRIES - 1):
            try:
                return await self._add_row(new, image, is_revert=is_revert)
            except FirmwareExistsError:
                # Somebody else has just published: the same image, or another one whose
                # sequence was ours to be.
                existing = None if is_revert else await self._repeated(new, image)
                if existing is not None:
                    return existing
        return await self._add_row(new, image, is_revert=is_revert)

    async def _add_row(self, new: NewFirmware, image: StoredImage, *, is_revert: bool) -> Firmware:
        now_ms = self._clock.now_ms()
        sequence = new.sequence
        if sequence is None:
            newest = await self._store.newest_sequence(new.product_id, new.mcu)
            sequence = max(newest + 1, now_ms // 1_000)
        firmware = await self._store.add(
            FirmwareId(self._ids.sortable_id(now_ms)),
            new,
            image,
            sequence=sequence,
            is_revert=is_revert,
            most=self._limits.images_per_product,
            at_ms=now_ms,
        )
        if firmware is None:
            raise TooManyFirmwaresError(f"a product may have {self._limits.images_per_product}")
        self._tell(new.product_id)
        return firmware

    async def _brought_back(self, earlier: Firmware) -> Firmware | None:
        """Return the row that has brought the image back already, if it is still the newest."""
        product_id, mcu = earlier.product_id, earlier.mcu
        there = await self._store.by_version(product_id, mcu, earlier.version)
        if there is None or not there.is_revert or there.state is not FirmwareState.PUBLISHED:
            return None
        newest = await self._store.newest_sequence(product_id, mcu)
        return there if there.sequence == newest else None

    async def _check_signature(self, new: NewFirmware, image: StoredImage) -> None:
        if new.signature is None or new.sequence is None:
            return
        message = manifest_of(
            product_id=new.product_id,
            mcu=new.mcu,
            version=new.version,
            sequence=new.sequence,
            size=image.size,
            sha256=image.digests.sha256,
        )
        await self._keys.verify(new.product_id, new.signature, message)

    async def _moved(
        self, firmware_id: FirmwareId, state: FirmwareState, *from_states: FirmwareState
    ) -> Firmware:
        changed = await self._store.change_state(
            firmware_id, state, from_states=from_states, at_ms=self._clock.now_ms()
        )
        if changed is None:
            firmware = await self.get(firmware_id)
            if firmware.state is state:
                return firmware
            raise WrongFirmwareStateError(f"it is {firmware.state}, and cannot become {state}")
        self._tell(changed.product_id)
        return changed

    def _tell(self, product_id: ProductId) -> None:
        self._changes.tell(Kind.FIRMWARE, str(product_id))


def _again(earlier: Firmware, signature: Signature | None, sequence: int | None) -> NewFirmware:
    """Return what is said about an image that is brought back; its dates are over."""
    return NewFirmware(
        product_id=earlier.product_id,
        mcu=earlier.mcu,
        version=earlier.version,
        filename=earlier.filename,
        notes=earlier.notes,
        min_version=earlier.min_version,
        is_mandatory=earlier.is_mandatory,
        sequence=sequence,
        signature=signature,
    )
