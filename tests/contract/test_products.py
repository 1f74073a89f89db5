"""What every store of products promises."""

import pytest

from thingstead.features.products.errors import ProductNotFoundError
from thingstead.features.products.model import Product, ProductChange
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import ProductId, ThingId, digest


async def test_the_first_product_has_a_five_digit_id(core):
    product = await core.products.add_product("Weather station", "hash0000000001", at_ms=1_000)

    assert product == Product(ProductId(10_001), "Weather station", "hash0000000001", 1_000)


async def test_a_later_product_has_a_larger_id(core, make):
    first = await make.product()

    second = await make.product()

    assert second.id > first.id


async def test_a_product_is_found_by_its_id(core, make):
    product = await make.product("Ænima °C 🌡")

    assert await core.products.product(product.id) == product


async def test_an_unknown_product_is_none(core):
    assert await core.products.product(ProductId(10_001)) is None


async def test_products_with_one_name_are_two(core, make):
    first, second = await make.product("Twin"), await make.product("Twin")

    assert await core.products.products(after=None, limit=10) == [first, second]


async def test_products_come_in_pages_ascending_by_id(core, make):
    made = [await make.product() for _ in range(5)]

    first = await core.products.products(after=None, limit=3)
    second = await core.products.products(after=first[-1].id, limit=3)

    assert (first, second) == (made[:3], made[3:])


async def test_there_is_nothing_after_the_last_product(core, make):
    last = await make.product()

    assert await core.products.products(after=last.id, limit=3) == []


async def test_unused_codes_come_with_their_product_and_time(core, make):
    product = await make.product()

    await core.products.add_codes(product.id, [make.code("A")], at_ms=5_000)

    page = await core.products.unused_codes(None, after=None, limit=10)
    assert page == [(product.id, make.code("A"), 5_000)]


async def test_unused_codes_come_in_pages_ascending_by_digest(core, make):
    product = await make.product()
    codes = [make.code(name) for name in "ABCDE"]
    await core.products.add_codes(product.id, codes, at_ms=5_000)

    first = await core.products.unused_codes(None, after=None, limit=3)
    second = await core.products.unused_codes(None, after=first[-1][1].digest, limit=3)

    assert len(first) == 3
    assert [code.digest for _, code, _ in first + second] == sorted(c.digest for c in codes)


async def test_unused_codes_of_one_product_leave_out_the_others(core, make):
    mine, other = await make.product(), await make.product()
    await core.products.add_codes(mine.id, [make.code("A"), make.code("B")], at_ms=1)
    await core.products.add_codes(other.id, [make.code("C")], at_ms=1)

    page = await core.products.unused_codes(mine.id, after=None, limit=10)

    assert {code.digest for _, code, _ in page} == {digest("A"), digest("B")}


async def test_a_used_code_is_not_listed(core, make):
    product = await make.product()
    await core.products.add_codes(product.id, [make.code("A"), make.code("B")], at_ms=1)

    await core.things.activate(
        digest("A"), None, thing_id=ThingId("one"), token=make.token("t"), at_ms=2
    )

    of_all = await core.products.unused_codes(None, after=None, limit=10)
    of_product = await core.products.unused_codes(product.id, after=None, limit=10)
    assert [code.digest for _, code, _ in of_all] == [digest("B")]
    assert of_product == of_all


async def test_a_thousand_codes_are_stored_at_once(core, make):
    product = await make.product()

    await core.products.add_codes(
        product.id, [make.code(str(number)) for number in range(1_000)], at_ms=1
    )

    assert len(await core.products.unused_codes(product.id, after=None, limit=2_000)) == 1_000


async def test_no_codes_at_all_change_nothing(core, make):
    product = await make.product()

    await core.products.add_codes(product.id, [], at_ms=1)

    assert await core.products.unused_codes(None, after=None, limit=1) == []


async def test_codes_of_an_unknown_product_are_refused(core, make):
    with pytest.raises(ProductNotFoundError):
        await core.products.add_codes(ProductId(10_001), [make.code("A")], at_ms=1)

    assert await core.products.unused_codes(None, after=None, limit=1) == []


async def test_a_new_product_makes_no_things_by_itself_and_has_no_decoder(make):
    product = await make.product()

    assert (product.is_automatic, product.format, product.decoder, product.sealed_udp_key) == (
        False,
        None,
        None,
        None,
    )


async def test_everything_about_a_product_can_be_changed_at_once(core, make):
    product = await make.product()

    changed = await core.products.change_product(
        product.id,
        ProductChange(True, format="Sigfox", decoder="a::uint:8", hash="new", sealed_udp_key=b"k"),
    )

    assert changed == Product(
        product.id, product.name, "new", product.created_at_ms, True, "Sigfox", "a::uint:8", b"k"
    )
    assert await core.products.product(product.id) == changed


async def test_a_change_leaves_what_it_does_not_name(core, make):
    product = await make.product()
    await core.products.change_product(product.id, ProductChange(True, format="Sigfox"))

    changed = await core.products.change_product(product.id, ProductChange(decoder="a::uint:8"))

    assert (changed.is_automatic, changed.format, changed.decoder, changed.hash) == (
        True,
        "Sigfox",
        "a::uint:8",
        product.hash,
    )


async def test_an_empty_text_or_key_takes_away_and_false_switches_off(core, make):
    product = await make.product()
    await core.products.change_product(
        product.id, ProductChange(True, "Sigfox", "a::uint:8", None, b"key")
    )

    changed = await core.products.change_product(
        product.id, ProductChange(False, "", "", None, b"")
    )

    assert changed == product


async def test_a_change_concerns_one_product(core, make):
    product, other = await make.product(), await make.product()

    await core.products.change_product(product.id, ProductChange(True))

    assert await core.products.product(other.id) == other


async def test_a_change_of_an_unknown_product_is_none(core):
    assert await core.products.change_product(ProductId(10_001), ProductChange(True)) is None


async def test_a_change_of_nothing_leaves_the_product_as_it_is(core, make):
    product = await make.product()

    assert await core.products.change_product(product.id, ProductChange()) == product


async def test_a_change_is_told_to_other_processes(core, open_again, make):
    product = await make.product()
    other = await open_again()
    other.change_signal.changes()

    await core.products.change_product(product.id, ProductChange(True))
    await core.products.change_product(ProductId(99_999), ProductChange(True))

    assert list(other.change_signal.changes()) == [Change(Kind.PRODUCT, str(product.id))]
