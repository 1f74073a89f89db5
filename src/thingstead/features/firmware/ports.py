"""What the firmware rules need from the rim: rows, bytes, and signatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from thingstead.features.campaigns.model import Campaign
from thingstead.features.firmware.model import (
    Digests,
    Firmware,
    FirmwareState,
    ImageFacts,
    NewFirmware,
    Running,
    Signature,
    SigningKey,
    Step,
    ThingRecord,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a product has to offer, as it is at one moment.

    `firmwares`: all that are no drafts, newest sequence first, at most a thousand. `campaigns`:
    of each image the newest one, whatever its state; an image in none is for every thing.
    """

    firmwares: tuple[Firmware, ...]
    campaigns: tuple[Campaign, ...]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What the bytes turned out to be."""

    size: int
    digests: Digests
    facts: ImageFacts


class FirmwareStore(Protocol):
    """Keeps the rows of images and of keys. Every change is announced (`Kind.FIRMWARE`)."""

    async def add(
        self,
        firmware_id: FirmwareId,
        new: NewFirmware,
        image: StoredImage,
        *,
        sequence: int,
        is_revert: bool,
        most: int,
        at_ms: int,
    ) -> Firmware | None:
        """Store a row durably; None when the product has `most` images already.

        Raises:
            ProductNotFoundError: there is no such product.
            FirmwareExistsError: product and MCU have the version (unless it is a revert), or a
                sequence that is not smaller.
        """
        ...

    async def get(self, firmware_id: FirmwareId) -> Firmware | None:
        """Return the image's row, whatever its state."""
        ...

    async def by_version(self, product_id: ProductId, mcu: str, version: str) -> Firmware | None:
        """Return the newest image of that version."""
        ...

    async def page(
        self, product_id: ProductId | None, *, before: int | None, limit: int
    ) -> list[Firmware]:
        """Return at most `limit` images with a number below `before`, newest first."""
        ...

    async def newest_sequence(self, product_id: ProductId, mcu: str) -> int:
        """Return the largest sequence, 0 without images."""
        ...

    async def change_state(
        self,
        firmware_id: FirmwareId,
        state: FirmwareState,
        *,
        from_states: Sequence[FirmwareState],
        at_ms: int,
    ) -> Firmware | None:
        """Put the image into the state durably; None when it is in none of `from_states`."""
        ...

    async def catalogue(self, product_id: ProductId) -> Catalogue:
        """Return what the product has to offer; empty for one that does not exist."""
        ...

    async def add_key(self, key: SigningKey) -> bool:
        """Store a key; False when the product has it already (a revoked one stays revoked)."""
        ...

    async def keys(self, product_id: ProductId) -> list[SigningKey]:
        """Return the product's keys, the oldest first, at most 100; revoked ones too."""
        ...

    async def revoke_key(self, product_id: ProductId, key_id: str, *, at_ms: int) -> bool:
        """Revoke the key; False when there is no such key, True again for a revoked one."""
        ...

    async def needs_signature(self, product_id: ProductId) -> bool:
        """Return whether unsigned images of the product are refused."""
        ...

    async def set_needs_signature(self, product_id: ProductId, *, is_needed: bool) -> bool:
        """Change that; False when there is no such product."""
        ...

    async def used_digests(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return those SHA-256 digests that a row names."""
        ...


class UpdateStore(Protocol):
    """Keeps how far updates have come, what things run, and their timelines."""

    async def record(self, thing_id: ThingId) -> ThingRecord:
        """Return all about one thing."""
        ...

    async def save(self, steps: Sequence[Step]) -> list[Update | None]:
        """Store the steps in one durable transaction; one result for each, in order.

        A step whose update was changed since it was made is left out with its events: its
        result is None. Others come back with their new revision, and a new one with its action.
        Of a thing's timeline the newest 200 entries are kept. Steps are not announced, but for
        those with an event `released`: an operator makes these in another process than the one
        that the thing asks.
        """
        ...

    async def save_running(self, running: Sequence[Running]) -> None:
        """Store what things run, replacing what was known of thing and MCU."""
        ...

    async def by_action(self, thing_id: ThingId, action: int) -> Update | None:
        """Return the thing's update with that number."""
        ...

    async def timeline(
        self, thing_id: ThingId, *, before: int | None, limit: int
    ) -> list[tuple[int, UpdateEvent]]:
        """Return at most `limit` entries numbered below `before`, newest first."""
        ...

    async def under_way(
        self, states: Sequence[UpdateState], *, after: int, limit: int
    ) -> list[Update]:
        """Return updates in the states with an action above `after`, ascending by it."""
        ...


class Upload(Protocol):
    """An image on its way into the store; nobody sees it before `keep` returns."""

    async def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StorageFullError: there is no room; `discard` is still to be called.
        """
        ...

    async def read(self, start: int, size: int) -> bytes:
        """Return bytes that were written before."""
        ...

    async def keep(self, sha256: bytes) -> None:
        """Make it durable under its digest; the same bytes twice are stored once.

        Raises:
            StorageFullError: there is no room; nothing is kept.
        """
        ...

    async def discard(self) -> None:
        """Leave nothing behind; does nothing after `keep`, or a second time."""
        ...


class Blob(Protocol):
    """The bytes of one image, open for reading; they never change."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def read_now(self, start: int, size: int) -> bytes | None:
        """Return bytes if that needs no waiting for a disk, otherwise None."""
        ...

    async def read(self, start: int, size: int) -> bytes:
        """Return bytes; fewer than `size` only at the end.

        Raises:
            StoreUnavailableError: they cannot be read.
        """
        ...

    def close(self) -> None:
        """Say that this reader is done; call it once."""
        ...


class BlobStore(Protocol):
    """Keeps the bytes of images by their SHA-256."""

    async def begin(self) -> Upload:
        """Begin an upload."""
        ...

    async def open(self, sha256: bytes) -> Blob:
        """Open an image; open ones share what they can.

        Raises:
            StoreUnavailableError: it is not there, or cannot be read.
        """
        ...

    async def digests(self, *, older_than_ms: int) -> list[bytes]:
        """Return the digests of images that were kept before that time."""
        ...

    async def delete(self, sha256: bytes, *, older_than_ms: int | None = None) -> None:
        """Delete an image; who has it open can still read it.

        With `older_than_ms` one that was kept again since then stays: a publisher may be about
        to name it.
        """
        ...

    async def tidy(self) -> int:
        """Delete what broken-off uploads of processes that are gone left; return how many."""
        ...

    async def close(self) -> None:
        """Close everything; no reader may be left."""
        ...


class Verifier(Protocol):
    """Knows public keys and signatures."""

    def key_of(self, pem: bytes) -> tuple[str, str, bytes]:
        """Return id, algorithm and DER form of a public key in PEM.

        Raises:
            InvalidKeyError: it is none of Ed25519 or ECDSA on P-256, or a private one.
        """
        ...

    def is_valid(self, key: SigningKey, signature: Signature, message: bytes) -> bool:
        """Return whether the signature over the message was made with the key; never raises."""
        ...
