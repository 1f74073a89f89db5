"""What products have to offer, and how it is remembered."""

import asyncio

import pytest

from doubles.firmware import MemoryFirmwareStore
from doubles.firmware_rig import PRODUCT, FirmwareRig
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.model import FirmwareState
from thingstead.kernel.changes import Kind
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.kernel.ids import ProductId


class SlowStore(MemoryFirmwareStore):
    """Waits with what it read until `go` is set; counts reads."""

    def __init__(self, organisation):
        super().__init__(organisation)
        self.reads = 0
        self.go = asyncio.Event()
        self.go.set()
        self.error = None

    async def catalogue(self, product_id):
        self.reads += 1
        found = await super().catalogue(product_id)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return found


@pytest.fixture
def rig():
    rig = FirmwareRig()
    rig.store = SlowStore(rig.organisation)
    rig.catalogues = Catalogues(rig.store, rig.changes, kept_images=10)
    return rig


async def test_a_catalogue_is_loaded_once(rig):
    firmware = await rig.firmware("1.0")
    rig.changes.look_now()

    unknown = rig.catalogues.known(PRODUCT)
    first = await rig.catalogues.of(PRODUCT)

    assert unknown is None
    assert first.firmwares == (firmware,)
    assert rig.catalogues.known(PRODUCT) is await rig.catalogues.of(PRODUCT) is first
    assert rig.store.reads == 1


async def test_who_asks_at_once_shares_one_load(rig):
    rig.store.go.clear()
    waiting = [asyncio.create_task(rig.catalogues.of(PRODUCT)) for _ in range(3)]
    await asyncio.sleep(0)

    rig.store.go.set()
    found = await asyncio.gather(*waiting)

    assert found[0] is found[1] is found[2]
    assert rig.store.reads == 1


async def test_a_change_of_the_product_is_seen_and_of_another_is_not(rig):
    rig.product(7)
    await rig.catalogues.of(PRODUCT)

    await rig.firmware("1.0", product_id=7)
    rig.changes.look_now()
    of_another = rig.catalogues.known(PRODUCT)
    await rig.firmware("1.0")
    rig.changes.look_now()

    assert of_another is not None
    assert rig.catalogues.known(PRODUCT) is None
    assert len((await rig.catalogues.of(PRODUCT)).firmwares) == 1


async def test_a_change_that_nobody_can_name_forgets_all(rig):
    await rig.catalogues.of(PRODUCT)

    rig.changes.tell(Kind.FIRMWARE, None)

    assert len(rig.catalogues) == 0


async def test_a_change_during_a_load_is_not_lost(rig):
    rig.changes.look_now()
    rig.store.go.clear()
    loading = asyncio.create_task(rig.catalogues.of(PRODUCT))
    await asyncio.sleep(0)

    await rig.firmware("1.0")
    rig.changes.look_now()
    rig.store.go.set()
    old = await loading

    assert old.firmwares == ()
    assert len((await rig.catalogues.of(PRODUCT)).firmwares) == 1


async def test_an_error_reaches_all_and_is_not_remembered(rig):
    rig.store.go.clear()
    rig.store.error = StoreUnavailableError()
    waiting = [asyncio.create_task(rig.catalogues.of(PRODUCT)) for _ in range(2)]
    await asyncio.sleep(0)
    rig.store.go.set()

    for each in waiting:
        with pytest.raises(StoreUnavailableError):
            await each
    rig.store.error = None
    assert (await rig.catalogues.of(PRODUCT)).firmwares == ()


async def test_when_the_loading_one_is_cancelled_another_loads(rig):
    rig.store.go.clear()
    first, second = (asyncio.create_task(rig.catalogues.of(PRODUCT)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    rig.store.go.set()

    assert (await second).firmwares == ()
    assert rig.store.reads == 2


async def test_at_most_so_many_images_are_kept(rig):
    rig.product(7)
    for number in range(8):
        await rig.firmware(f"1.{number}")
    rig.changes.look_now()
    await rig.catalogues.of(PRODUCT)

    await rig.catalogues.of(ProductId(7))  # Counts as one: ten together.
    at_the_limit = len(rig.catalogues)
    await rig.catalogues.of(ProductId(8))

    assert at_the_limit == 2
    assert rig.catalogues.known(PRODUCT) is None
    assert rig.catalogues.known(ProductId(7)) is not None


async def test_what_is_larger_than_all_that_is_kept_is_not(rig):
    for number in range(10):
        await rig.firmware(f"1.{number}")
    rig.changes.look_now()

    found = await rig.catalogues.of(PRODUCT)

    assert len(found.firmwares) == 10
    assert len(rig.catalogues) == 0


async def test_the_newest_version_stands_first_and_of_equals_the_newest_image(rig):
    for version in ("1.10", "1.9", "1.11-rc.1"):
        await rig.firmware(version)
    again = await rig.firmware("1.10.0", is_revert=True)
    rig.changes.look_now()

    stock = await rig.catalogues.stock_of(PRODUCT)

    assert [item.firmware.version for item in stock.by_mcu["main"]] == [
        "1.11-rc.1",
        "1.10.0",
        "1.10",
        "1.9",
    ]
    assert stock.newest_of("main", stock.by_id[again.id].key).firmware == again
    assert stock.newest_of("radio", stock.by_id[again.id].key) is None


async def test_drafts_are_not_in_it(rig):
    await rig.firmware("1.0", is_draft=True)
    revoked = await rig.firmware("1.1")
    await rig.firmwares.change_state(
        revoked.id, FirmwareState.REVOKED, from_states=list(FirmwareState), at_ms=1
    )
    rig.changes.look_now()

    (only,) = (await rig.catalogues.of(PRODUCT)).firmwares

    assert only.id == revoked.id
