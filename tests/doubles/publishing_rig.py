"""Publishing on memory, with one product and one pair of keys."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

from doubles.blobs import MemoryBlobStore
from doubles.clock import ManualClock
from doubles.core import MemoryCore
from doubles.ids import SequentialIds
from thingstead.features.firmware.errors import FirmwareExistsError
from thingstead.features.firmware.manifests import manifest_of
from thingstead.features.firmware.model import Firmware, FirmwareLimits, NewFirmware, Signature
from thingstead.features.firmware.publishing import Publishing
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.ids import ProductId
from thingstead.sealing.signatures import PublicKeys, create_pair, sign

IMAGE = bytes(range(256)) * 20
PRIVATE_PEM, PUBLIC_PEM = create_pair("ed25519")


class PublishingRig:
    """`told` collects the products whose listeners were told."""

    def __init__(self, limits: FirmwareLimits | None = None) -> None:
        self.core = MemoryCore()
        self.clock = ManualClock()
        self.blobs = MemoryBlobStore(clock=self.clock)
        self.limits = limits or FirmwareLimits()
        changes = Changes(self.core.change_signal, self.clock)
        self.told: list[str | None] = []
        changes.listen(Kind.FIRMWARE, self.told.append)
        self.store = HastyStore(self.core.firmwares)
        self.publishing = Publishing(
            self.store,
            self.blobs,
            PublicKeys(),
            changes,
            ids=SequentialIds(),
            clock=self.clock,
            limits=self.limits,
        )

    async def add_product(self) -> ProductId:
        product = await self.core.products.add_product("Station", "hash", at_ms=0)
        return product.id

    async def publish(
        self, product_id: ProductId, image: bytes = IMAGE, **said: object
    ) -> Firmware:
        return await self.publishing.publish(new(product_id, **said), chunks(image))

    async def all(self, product_id: ProductId | None = None) -> list[Firmware]:
        return [firmware async for firmware in self.publishing.all(product_id)]

    def shows_nothing(self) -> bool:
        return not self.blobs.kept and self.blobs.used_bytes == 0


class HastyStore:
    """The store of images; `before_add` and `before_look` happen between check and deed, once."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.before_add: Callable[[], Coroutine[None, None, object]] | None = None
        self.before_look: Callable[[], None] = lambda: None
        self.always_taken = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def add(self, *arguments: object, **named: object) -> object:
        if self.always_taken:
            raise FirmwareExistsError("sequence")
        meanwhile, self.before_add = self.before_add, None
        if meanwhile is not None:
            await meanwhile()
        return await self._store.add(*arguments, **named)

    async def used_digests(self, digests: Sequence[bytes]) -> set[bytes]:
        self.before_look()
        return await self._store.used_digests(digests)


def new(product_id: ProductId, **said: object) -> NewFirmware:
    usual = {"mcu": "main", "version": "1.2.3", "filename": "app.bin"}
    return NewFirmware(product_id=product_id, **(usual | said))


async def chunks(image: bytes, size: int = 1_000) -> AsyncIterator[bytes]:
    for start in range(0, len(image), size):
        yield image[start : start + size]


def signed(
    product_id: ProductId,
    digest: bytes,
    *,
    sequence: int = 2_000_000_000,
    size: int = len(IMAGE),
    version: str = "1.2.3",
    mcu: str = "main",
    private_pem: bytes = PRIVATE_PEM,
) -> Signature:
    """Sign the image with this SHA-256."""
    message = manifest_of(
        product_id=product_id, mcu=mcu, version=version, sequence=sequence, size=size, sha256=digest
    )
    return sign(private_pem, message)
