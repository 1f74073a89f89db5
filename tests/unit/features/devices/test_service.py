"""The rules of devices: products by their hash, things by a device's own id."""

import asyncio

import pytest

from doubles.device_rig import LIMITS, Rig
from thingstead.features.devices import service as service_module
from thingstead.features.devices.errors import (
    InsufficientActivationCodesError,
    InvalidDeviceIdError,
    InvalidProductHashError,
)
from thingstead.features.devices.model import MAX_DEVICE_ID_CHARACTERS, Device
from thingstead.features.products.model import ProductChange
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.kernel.errors import OverloadedError, TooManyRequestsError
from thingstead.kernel.ids import ProductId, ThingId

HERE = "192.0.2.1"
ELSEWHERE = "192.0.2.2"


@pytest.fixture
def rig():
    return Rig()


def fail(*_arguments, **_named):
    raise AssertionError("the store was asked")


async def test_a_product_is_found_by_its_id_and_hash(rig):
    product = await rig.product(decoder="a::uint:8")

    found = await rig.devices.product(str(product.id), product.hash, address=HERE)

    assert found.product == product
    assert found.decoder.decode(b"\x07") == {"a": 7}
    assert found.udp_key is None


async def test_a_product_without_a_decoder_has_none(rig):
    product = await rig.product()

    assert (await rig.devices.product(str(product.id), product.hash, address=HERE)).decoder is None


async def test_the_udp_key_is_the_text_that_the_owner_sees_as_bytes(rig):
    product = await rig.product()
    changed = await rig.products.change(product.id, ProductChange(), has_new_udp_key=True)

    found = await rig.devices.product(str(product.id), product.hash, address=HERE)

    assert found.udp_key == rig.products.udp_key(changed).encode()


async def refused(rig, product_id, product_hash, address=HERE):
    with pytest.raises(InvalidProductHashError) as error:
        await rig.devices.product(product_id, product_hash, address=address)
    return str(error.value)


async def test_an_unknown_product_and_a_wrong_hash_are_answered_alike(rig):
    product = await rig.product()

    wrong = await refused(rig, str(product.id), "hash0000000009")
    unknown = await refused(rig, "99999", product.hash, ELSEWHERE)

    assert wrong == unknown == "Invalid product or hash"


async def test_an_unknown_product_is_compared_like_a_known_one(rig, monkeypatch):
    compared = []
    original = service_module.hmac.compare_digest

    def compare(known, sent):
        compared.append((len(known), sent))
        return original(known, sent)

    monkeypatch.setattr(service_module.hmac, "compare_digest", compare)
    product = await rig.product()
    await refused(rig, str(product.id), "wrong")
    await refused(rig, "99999", "wrong")

    assert compared == [(len(product.hash), b"wrong")] * 2


async def test_the_stand_in_for_a_missing_hash_opens_nothing(rig):
    await refused(rig, "99999", service_module._NO_HASH)


@pytest.mark.parametrize(
    "product_id", ["", "x", "-1", "1.5", "\u0661", "1" * 16, "10001 "], ids=ascii
)
async def test_what_is_no_number_is_no_product_and_asks_nothing(rig, product_id):
    product = await rig.product()
    rig.core.products.product = fail

    await refused(rig, product_id, product.hash)


async def test_a_hash_may_hold_anything_and_is_still_compared(rig):
    product = await rig.product()

    await refused(rig, str(product.id), "\udce4ß")


async def test_wrong_hashes_cost_the_address_its_budget(rig):
    product = await rig.product()
    for _ in range(2):
        await refused(rig, str(product.id), "wrong")

    with pytest.raises(TooManyRequestsError, match="wrong product hashes"):
        await rig.devices.product(str(product.id), "wrong", address=HERE)
    await refused(rig, str(product.id), "wrong", ELSEWHERE)


async def test_unknown_products_cost_the_same_budget(rig):
    product = await rig.product()
    for number in range(2):
        await refused(rig, str(90_000 + number), product.hash)

    with pytest.raises(TooManyRequestsError):
        await rig.devices.product(str(product.id), "wrong", address=HERE)


async def test_the_right_hash_is_taken_from_an_address_that_guessed(rig):
    product = await rig.product()
    for _ in range(2):
        await refused(rig, str(product.id), "wrong")

    found = await rig.devices.product(str(product.id), product.hash, address=HERE)

    assert found.product == product


async def test_a_right_hash_costs_nothing(rig):
    product = await rig.product()

    for _ in range(5):
        await rig.restarted().devices.product(str(product.id), product.hash, address=HERE)
        await rig.devices.product(str(product.id), product.hash, address=HERE)


async def test_a_product_found_lately_is_not_looked_up_again(rig):
    product = await rig.product()
    await rig.devices.product(str(product.id), product.hash, address=HERE)
    rig.core.products.product = fail

    found = await rig.devices.product(str(product.id), product.hash, address=HERE)

    assert found.product == product


async def test_a_new_hash_is_in_force_at_once_and_the_old_one_is_not(rig):
    product = await rig.product()
    await rig.devices.product(str(product.id), product.hash, address=HERE)

    changed = await rig.products.change(product.id, ProductChange(), has_new_hash=True)

    assert changed.hash != product.hash
    await refused(rig, str(product.id), product.hash)
    found = await rig.devices.product(str(product.id), changed.hash, address=HERE)
    assert found.product == changed


async def test_what_another_process_changes_is_noticed(rig):
    product = await rig.product()
    await rig.devices.product(str(product.id), product.hash, address=HERE)
    await rig.restarted().products.change(product.id, ProductChange(decoder="a::uint:8"))

    rig.clock.advance(0.1)

    found = await rig.devices.product(str(product.id), product.hash, address=HERE)
    assert found.decoder.text == "a::uint:8"


async def test_the_product_of_a_thing_needs_no_hash_and_is_remembered(rig):
    product = await rig.product(decoder="a::uint:8")
    thing = (await rig.things.create(product.id)).thing

    found = await rig.devices.product_of(thing)
    rig.core.products.product = fail
    again = await rig.devices.product_of(thing)

    assert found is again
    assert found.product == product


async def test_the_product_of_a_thing_changes_when_it_is_changed(rig):
    product = await rig.product(decoder="a::uint:8")
    thing = (await rig.things.create(product.id)).thing
    await rig.devices.product_of(thing)

    await rig.products.change(product.id, ProductChange(decoder=""))

    assert (await rig.devices.product_of(thing)).decoder is None


async def test_a_thing_whose_product_is_gone_has_none(rig):
    thing = Thing(ThingId("one"), ProductId(99_999), 0)

    with pytest.raises(InvalidProductHashError):
        await rig.devices.product_of(thing)


async def test_the_product_of_a_thing_cannot_be_asked_for_from_outside(rig):
    product = await rig.product()
    thing = (await rig.things.create(product.id)).thing
    await rig.devices.product_of(thing)

    await refused(rig, str(product.id), "")


async def test_a_new_device_uses_one_code_up_and_bears_its_id_as_name(rig):
    product = await rig.product(codes=2)

    thing = await rig.thing_of(product, "4D9F7C")

    assert thing.product_id == product.id
    assert await rig.unused(product) == 1
    assert await rig.magic.read(thing, "$settings.name") == "4D9F7C"


async def test_the_thing_of_a_device_is_an_ordinary_thing(rig):
    product = await rig.product(codes=1)

    thing = await rig.thing_of(product, "4D9F7C")

    [listed] = [new async for new in rig.things.all(product.id)]
    assert listed.thing == thing
    assert (await rig.things.resolve(listed.token, address=HERE)).id == thing.id


async def test_a_known_device_is_the_same_thing_and_uses_nothing_up(rig):
    product = await rig.product(codes=2)
    first = await rig.thing_of(product, "4D9F7C")

    again = await rig.thing_of(product, "4D9F7C")
    elsewhere = await rig.restarted().thing_of(product, "4D9F7C")

    assert again == elsewhere == first
    assert await rig.unused(product) == 1


async def test_a_device_found_lately_is_not_looked_up_again(rig):
    product = await rig.product(codes=1)
    first = await rig.thing_of(product, "4D9F7C")
    rig.core.devices.device = rig.core.things.thing = fail

    assert await rig.thing_of(product, "4D9F7C") == first


async def test_concurrent_first_messages_make_one_thing(rig):
    product = await rig.product(codes=4)
    other = rig.restarted()

    found = await asyncio.gather(
        *((rig, other)[number % 2].thing_of(product, "4D9F7C") for number in range(6))
    )

    assert len({thing.id for thing in found}) == 1
    assert await rig.unused(product) == 3


async def test_an_unknown_device_is_not_found_without_automatic_activation(rig):
    product = await rig.product(codes=1, is_automatic=False)

    with pytest.raises(ThingNotFoundError):
        await rig.thing_of(product, "4D9F7C")

    assert await rig.unused(product) == 1


async def test_unknown_devices_of_the_right_product_cost_no_budget(rig):
    product = await rig.product(is_automatic=False)

    for number in range(5):
        with pytest.raises(ThingNotFoundError):
            await rig.thing_of(product, f"device {number}")


async def test_a_known_device_goes_on_when_automatic_activation_ends(rig):
    product = await rig.product(codes=1)
    thing = await rig.thing_of(product, "4D9F7C")

    await rig.products.change(product.id, ProductChange(is_automatic=False))

    assert await rig.thing_of(product, "4D9F7C") == thing


async def test_a_new_device_is_refused_when_no_code_is_left(rig):
    product = await rig.product(codes=1)
    await rig.thing_of(product, "first")

    with pytest.raises(InsufficientActivationCodesError):
        await rig.thing_of(product, "second")


async def test_a_refused_device_is_made_once_there_is_a_code(rig):
    product = await rig.product()
    with pytest.raises(InsufficientActivationCodesError):
        await rig.thing_of(product, "4D9F7C")

    async for _ in rig.products.create_codes(product.id, 1):
        pass

    assert (await rig.thing_of(product, "4D9F7C")).product_id == product.id


async def test_deleting_the_thing_frees_its_device_id(rig):
    product = await rig.product(codes=2)
    first = await rig.thing_of(product, "4D9F7C")

    await rig.things.delete(first.id)

    second = await rig.thing_of(product, "4D9F7C")
    assert second.id != first.id
    assert await rig.magic.read(second, "$settings.name") == "4D9F7C"


async def test_a_thing_that_goes_while_it_is_looked_up_is_not_found(rig):
    product = await rig.product(codes=1)
    thing = await rig.thing_of(product, "4D9F7C")
    other = rig.restarted()
    await rig.things.delete(thing.id)

    async def still_there(_product, _device):
        return Device(thing.id, is_named=True)

    other.core.devices.device = still_there
    with pytest.raises(ThingNotFoundError):
        await other.thing_of(product, "4D9F7C")


async def test_what_was_made_but_not_named_is_named_by_the_next_message(rig):
    product = await rig.product(codes=1)
    append = rig.values_store.append

    def overloaded(_write):
        raise OverloadedError

    rig.values_store.append = overloaded
    with pytest.raises(OverloadedError):
        await rig.thing_of(product, "4D9F7C")
    rig.values_store.append = append

    thing = await rig.thing_of(product, "4D9F7C")

    assert await rig.magic.read(thing, "$settings.name") == "4D9F7C"
    assert await rig.unused(product) == 0


async def test_a_name_that_a_person_gave_meanwhile_stays(rig):
    product = await rig.product(codes=1)
    noted = rig.core.devices.note_named

    async def crashed(*_arguments, **_named):
        raise OverloadedError

    rig.core.devices.note_named = crashed
    with pytest.raises(OverloadedError):
        await rig.thing_of(product, "4D9F7C")
    rig.core.devices.note_named = noted
    [made] = [new.thing async for new in rig.things.all(product.id)]
    await rig.values.submit(made, IncomingWrite([IncomingValue("$settings.name", "Roof")]))

    thing = await rig.thing_of(product, "4D9F7C")

    assert await rig.magic.read(thing, "$settings.name") == "Roof"


async def test_a_named_device_is_not_named_again(rig):
    product = await rig.product(codes=1)
    thing = await rig.thing_of(product, "4D9F7C")
    await rig.values.submit(thing, IncomingWrite([IncomingValue("$settings", {})]))

    await rig.restarted().thing_of(product, "4D9F7C")

    assert await rig.magic.read(thing, "$settings.name") is None


@pytest.mark.parametrize("device_id", ["", "  ", "a\nb", "a\x00", "\x7f"], ids=ascii)
async def test_what_cannot_be_a_device_id_is_refused(rig, device_id):
    product = await rig.product(codes=1)

    with pytest.raises(InvalidDeviceIdError):
        await rig.thing_of(product, device_id)

    assert await rig.unused(product) == 1


async def test_a_device_id_may_have_128_characters_and_no_more(rig):
    product = await rig.product(codes=2)

    await rig.thing_of(product, "ü" * MAX_DEVICE_ID_CHARACTERS)

    with pytest.raises(InvalidDeviceIdError, match="128"):
        await rig.thing_of(product, "ü" * (MAX_DEVICE_ID_CHARACTERS + 1))


async def test_the_hash_is_checked_before_the_device(rig):
    product = await rig.product(codes=1)

    with pytest.raises(InvalidProductHashError):
        await rig.devices.thing_of(str(product.id), "wrong", "4D9F7C", address=HERE)

    assert await rig.unused(product) == 1


async def test_what_is_remembered_is_bounded(rig):
    product = await rig.product(codes=5)

    for number in range(5):
        await rig.thing_of(product, f"device {number}")

    assert len(rig.devices._known_things) == LIMITS.kept
