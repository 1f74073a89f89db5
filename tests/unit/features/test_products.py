"""The rules of products and activation codes."""

import pytest

from doubles.clock import ManualClock
from doubles.core import MemoryCore
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from thingstead.features.devices.errors import InvalidDecoderError
from thingstead.features.products.errors import (
    InvalidCountError,
    InvalidProductError,
    ProductNotFoundError,
)
from thingstead.features.products.model import ProductChange, UnusedCode
from thingstead.features.products.service import MAX_CODES_AT_ONCE, Products
from thingstead.features.things.model import SealedToken
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.ids import ProductId, ThingId, digest


@pytest.fixture
def core():
    return MemoryCore()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def products(core, clock):
    return Products(
        core.products,
        PlainSeal(),
        Changes(core.change_signal, clock),
        ids=SequentialIds(),
        clock=clock,
    )


async def codes_of(products, product_id, count):
    return [code async for chunk in products.create_codes(product_id, count) for code in chunk]


async def test_a_product_gets_an_id_a_hash_and_the_time(products, clock):
    product = await products.create("Weather station")

    assert (product.name, product.created_at_ms) == ("Weather station", clock.now_ms())
    assert len(product.hash) == 14
    assert await products.get(product.id) == product


async def test_two_products_may_have_one_name(products):
    first, second = await products.create("Twin"), await products.create("Twin")

    assert first.id != second.id
    assert first.hash != second.hash


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "empty"), (" \t", "empty"), ("a" * 101, "100 characters"), ("a\x07", "control")],
    ids=ascii,
)
async def test_a_name_that_cannot_be_is_refused(products, name, reason):
    with pytest.raises(InvalidProductError, match=reason):
        await products.create(name)


async def test_an_unknown_product_is_refused(products):
    with pytest.raises(ProductNotFoundError, match="10001"):
        await products.get(ProductId(10_001))


async def test_all_products_are_listed_over_more_than_one_page(products):
    made = [await products.create(f"Product {number}") for number in range(501)]

    assert [product async for product in products.all()] == made


async def test_codes_come_a_thousand_at_a_time(products):
    product = await products.create("Station")

    sizes = [len(chunk) async for chunk in products.create_codes(product.id, 2_001)]

    assert sizes == [1_000, 1_000, 1]


async def test_each_code_is_another_one(products):
    product = await products.create("Station")

    codes = await codes_of(products, product.id, 100)

    assert len(set(codes)) == 100


async def test_codes_are_durable_when_they_are_yielded(products):
    product = await products.create("Station")

    async for chunk in products.create_codes(product.id, 3):
        unused = [code.code async for code in products.unused_codes()]
        assert sorted(unused) == sorted(chunk)


async def test_codes_are_kept_by_their_digest(products, core):
    product = await products.create("Station")

    (code,) = await codes_of(products, product.id, 1)

    assert list(core.products.kept_codes) == [digest(code)]


@pytest.mark.parametrize("count", [0, -1, MAX_CODES_AT_ONCE + 1])
async def test_a_number_of_codes_out_of_range_is_refused(products, count):
    product = await products.create("Station")

    with pytest.raises(InvalidCountError, match=str(count)):
        await codes_of(products, product.id, count)


async def test_codes_of_an_unknown_product_are_refused(products):
    with pytest.raises(ProductNotFoundError):
        await codes_of(products, ProductId(10_001), 1)


async def test_unused_codes_can_be_read_again(products, clock):
    product = await products.create("Station")
    (code,) = await codes_of(products, product.id, 1)

    unused = [code async for code in products.unused_codes()]

    assert unused == [UnusedCode(code, product.id, clock.now_ms())]


async def test_unused_codes_of_one_product_leave_out_the_others(products):
    mine, other = await products.create("Mine"), await products.create("Other")
    (code,) = await codes_of(products, mine.id, 1)
    await codes_of(products, other.id, 5)

    unused = [unused.code async for unused in products.unused_codes(mine.id)]

    assert unused == [code]


async def test_unused_codes_are_listed_over_more_than_one_page(products):
    product = await products.create("Station")
    codes = await codes_of(products, product.id, 501)

    unused = [unused.code async for unused in products.unused_codes(product.id)]

    assert sorted(unused) == sorted(codes)


async def test_a_used_code_is_not_shown_again(products, core):
    product = await products.create("Station")
    used, kept = await codes_of(products, product.id, 2)

    await core.things.activate(
        digest(used), None, thing_id=ThingId("one"), token=SealedToken(b"d", b"s"), at_ms=1
    )

    assert [unused.code async for unused in products.unused_codes()] == [kept]


async def test_a_store_that_can_be_read_passes_the_check(products):
    await products.check()


async def test_a_change_is_kept_and_returned(products):
    product = await products.create("Station")

    changed = await products.change(
        product.id, ProductChange(is_automatic=True, format="Sigfox", decoder="t::int:8")
    )

    assert (changed.is_automatic, changed.format, changed.decoder) == (True, "Sigfox", "t::int:8")
    assert changed.hash == product.hash
    assert await products.get(product.id) == changed


async def test_an_empty_format_and_decoder_are_taken_away(products):
    product = await products.create("Station")
    await products.change(product.id, ProductChange(format="Sigfox", decoder="t::int:8"))

    assert await products.change(product.id, ProductChange(format="", decoder="")) == product


async def test_a_new_hash_is_another_one_of_the_same_form(products):
    product = await products.create("Station")

    changed = await products.change(product.id, ProductChange(), has_new_hash=True)

    assert changed.hash != product.hash
    assert len(changed.hash) == 14


async def test_a_new_udp_key_is_sealed_and_can_be_seen_by_the_owner(products):
    product = await products.create("Station")

    first = await products.change(product.id, ProductChange(), has_new_udp_key=True)
    second = await products.change(product.id, ProductChange(), has_new_udp_key=True)
    none = await products.change(product.id, ProductChange(sealed_udp_key=b""))

    keys = [products.udp_key(one) for one in (product, first, second, none)]
    assert keys[0] is keys[3] is None
    assert len(keys[1]) == len(keys[2]) == 43
    assert keys[1] != keys[2]
    assert first.sealed_udp_key != keys[1].encode()


async def test_a_change_is_told_in_this_process_at_once(core, clock):
    changes = Changes(core.change_signal, clock)
    told = []
    changes.listen(Kind.PRODUCT, told.append)
    products = Products(core.products, PlainSeal(), changes, ids=SequentialIds(), clock=clock)
    product = await products.create("Station")

    await products.change(product.id, ProductChange(is_automatic=True))

    assert told == [str(product.id)]


@pytest.mark.parametrize("change", [ProductChange(format="a\x07"), ProductChange(format="a" * 101)])
async def test_a_format_that_cannot_be_is_refused(products, change):
    product = await products.create("Station")

    with pytest.raises(InvalidProductError, match="format"):
        await products.change(product.id, change)


async def test_a_decoder_that_is_none_is_refused_and_nothing_is_changed(products):
    product = await products.create("Station")

    with pytest.raises(InvalidDecoderError, match="t::int:99"):
        await products.change(product.id, ProductChange(is_automatic=True, decoder="t::int:99"))

    assert await products.get(product.id) == product


async def test_a_change_of_an_unknown_product_is_refused(products):
    with pytest.raises(ProductNotFoundError):
        await products.change(ProductId(99_999), ProductChange(is_automatic=True))
