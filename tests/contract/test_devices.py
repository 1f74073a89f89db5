"""What every store of device ids promises."""

import asyncio

import pytest

from thingstead.features.devices.model import Device
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import ThingId, digest


@pytest.fixture
def activate(core, make):
    """Activate a device of a product for a thing whose id is given."""

    async def activated(product, device_id, thing_id):
        return await core.devices.activate_device(
            product.id,
            device_id,
            thing_id=ThingId(thing_id),
            token=make.token(f"token of {thing_id}"),
            at_ms=7_000,
        )

    return activated


async def with_codes(core, make, *names):
    product = await make.product()
    await core.products.add_codes(product.id, [make.code(name) for name in names], at_ms=1)
    return product


async def unused(core, product):
    page = await core.products.unused_codes(product.id, after=None, limit=100)
    return len(page)


async def test_an_unknown_device_is_none(core, make):
    product = await make.product()

    assert await core.devices.device(product.id, "4D9F7C") is None


async def test_a_first_message_makes_a_thing_and_uses_one_code_up(core, make, activate):
    product = await with_codes(core, make, "A", "B")

    made = await activate(product, "4D9F7C", "one")

    assert made == Device(ThingId("one"), is_named=False)
    assert await core.devices.device(product.id, "4D9F7C") == made
    assert await unused(core, product) == 1
    thing = await core.things.thing(ThingId("one"))
    assert (thing.product_id, thing.created_at_ms) == (product.id, 7_000)


async def test_a_thing_made_so_is_an_ordinary_thing_with_a_token(core, make, activate):
    product = await with_codes(core, make, "A")

    await activate(product, "4D9F7C", "one")

    found = await core.things.thing_by_token(digest("token of one"), at_ms=8_000)
    listed = await core.things.things(product.id, after=None, limit=10)
    assert found[0].id == "one"
    assert [(thing.id, token) for thing, token in listed] == [("one", make.token("token of one"))]


async def test_a_known_device_is_returned_and_uses_nothing_up(core, make, activate):
    product = await with_codes(core, make, "A", "B")
    first = await activate(product, "4D9F7C", "one")

    again = await activate(product, "4D9F7C", "two")

    assert again == first
    assert await unused(core, product) == 1
    assert await core.things.thing(ThingId("two")) is None


async def test_concurrent_first_messages_make_one_thing(core, open_again, make):
    product = await with_codes(core, make, "A", "B", "C", "D")
    stores = [core, await open_again()]

    made = await asyncio.gather(
        *(
            stores[number % 2].devices.activate_device(
                product.id,
                "4D9F7C",
                thing_id=ThingId(f"thing {number}"),
                token=make.token(f"token {number}"),
                at_ms=1,
            )
            for number in range(6)
        )
    )

    assert len({device.thing_id for device in made}) == 1
    assert await unused(core, product) == 3
    assert len(await core.things.things(product.id, after=None, limit=10)) == 1


async def test_concurrent_new_devices_use_no_code_twice(core, make, activate):
    product = await with_codes(core, make, "A", "B")

    made = await asyncio.gather(
        *(activate(product, f"device {number}", f"thing {number}") for number in range(4))
    )

    assert sum(device is not None for device in made) == 2
    assert await unused(core, product) == 0


async def test_without_an_unused_code_nothing_is_made(core, make, activate):
    product = await with_codes(core, make, "A")
    await activate(product, "first", "one")

    assert await activate(product, "second", "two") is None
    assert await core.devices.device(product.id, "second") is None
    assert await core.things.thing(ThingId("two")) is None


async def test_a_known_device_is_returned_when_no_code_is_left(core, make, activate):
    product = await with_codes(core, make, "A")
    first = await activate(product, "first", "one")

    assert await activate(product, "first", "two") == first


async def test_codes_of_another_product_are_not_used(core, make, activate):
    product = await make.product()
    other = await with_codes(core, make, "A")

    assert await activate(product, "4D9F7C", "one") is None
    assert await unused(core, other) == 1


async def test_a_code_that_made_a_device_activates_nothing_more(core, make, activate):
    product = await with_codes(core, make, "A")
    await activate(product, "4D9F7C", "one")

    thing = await core.things.activate(
        digest("A"), None, thing_id=ThingId("two"), token=make.token("t"), at_ms=1
    )

    assert thing is None


async def test_one_device_id_of_two_products_means_two_things(core, make, activate):
    first, second = await with_codes(core, make, "A"), await with_codes(core, make, "B")

    await activate(first, "4D9F7C", "one")
    await activate(second, "4D9F7C", "two")

    assert (await core.devices.device(first.id, "4D9F7C")).thing_id == "one"
    assert (await core.devices.device(second.id, "4D9F7C")).thing_id == "two"


async def test_device_ids_differ_by_case(core, make, activate):
    product = await with_codes(core, make, "A", "B")
    await activate(product, "4d9f7c", "one")

    assert await core.devices.device(product.id, "4D9F7C") is None


async def test_a_device_is_named_once_that_is_noted(core, make, activate):
    product = await with_codes(core, make, "A", "B")
    await activate(product, "4D9F7C", "one")
    await activate(product, "other", "two")

    for _ in range(2):
        await core.devices.note_named(product.id, "4D9F7C", at_ms=9_000)

    assert await core.devices.device(product.id, "4D9F7C") == Device("one", is_named=True)
    assert await core.devices.device(product.id, "other") == Device("two", is_named=False)


async def test_noting_the_name_of_an_unknown_device_changes_nothing(core, make):
    product = await make.product()

    await core.devices.note_named(product.id, "4D9F7C", at_ms=9_000)

    assert await core.devices.device(product.id, "4D9F7C") is None


async def test_deleting_the_thing_frees_its_device_id(core, make, activate):
    product = await with_codes(core, make, "A", "B", "C")
    await activate(product, "4D9F7C", "one")
    await activate(product, "other", "two")

    await core.things.delete_thing(ThingId("one"), at_ms=8_000)

    assert await core.devices.device(product.id, "4D9F7C") is None
    assert await core.devices.device(product.id, "other") is not None
    assert (await activate(product, "4D9F7C", "three")).thing_id == "three"


async def test_the_deletion_is_told_to_other_processes(core, open_again, make, activate):
    product = await with_codes(core, make, "A")
    await activate(product, "4D9F7C", "one")
    other = await open_again()
    other.change_signal.changes()

    await core.things.delete_thing(ThingId("one"), at_ms=8_000)

    assert Change(Kind.THING, "one") in other.change_signal.changes()
