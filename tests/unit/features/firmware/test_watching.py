"""What things write while an update of theirs is under way."""

import asyncio

import pytest

from doubles.offer_rig import OfferRig
from thingstead.features.firmware.model import FirmwareLimits, UpdateState
from thingstead.features.firmware.status import parse_status
from thingstead.features.firmware.watching import VERSION_RESOURCE, Watching
from thingstead.features.live.model import LiveEvent
from thingstead.features.values.model import MagicEcho, StoredValue
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import StoreUnavailableError

S = UpdateState


@pytest.fixture
def rig():
    return OfferRig()


def write(rig, thing, value=20.5, key="temperature"):
    rig.bus.publish(LiveEvent(thing.id, 1, (StoredValue(key, value, rig.clock.now_ms()),)))


async def downloaded(rig, thing, version="1.3", **said):
    firmware = await rig.image(version, **said)
    await rig.poll(thing, "1.2", firmware.mcu)
    await rig.following.begun(thing, firmware)
    await rig.following.downloaded(thing, firmware)
    rig.clock.advance(60)
    return firmware


async def state_of(rig, thing, firmware):
    return (await rig.update(thing, firmware)).state


async def test_only_things_with_an_update_under_way_are_listened_to(rig):
    thing = rig.thing("one")
    firmware = await rig.image("1.3")
    await rig.poll(thing, "1.2")
    offered = rig.bus.has_listener(thing.id)

    await rig.following.begun(thing, firmware)
    under_way = rig.bus.has_listener(thing.id)
    await rig.poll(thing, "1.3")
    await rig.following.wrote(thing.id)

    assert (offered, under_way, rig.bus.has_listener(thing.id)) == (False, True, False)
    assert len(rig.watching) == 0


async def test_the_version_resource_is_a_report_and_the_next_write_the_proof(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)

    write(rig, thing, "1.3", VERSION_RESOURCE)
    await rig.watching.settle()
    after_the_report = await state_of(rig, thing, firmware)
    write(rig, thing)
    await rig.watching.settle()

    assert after_the_report is S.REPORTED
    assert await state_of(rig, thing, firmware) is S.SUCCEEDED


async def test_a_report_is_not_lost_to_a_write_right_after_it(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    await rig.poll(thing, "1.3")

    write(rig, thing, "1.2", VERSION_RESOURCE)
    write(rig, thing)
    await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.FAILED


async def test_a_thing_that_sends_its_version_with_each_write_proves_itself_too(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)

    for _ in range(2):
        write(rig, thing, "1.3", VERSION_RESOURCE)
        await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.SUCCEEDED


async def test_an_old_version_written_is_a_rollback_and_no_proof(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    write(rig, thing, "1.3", VERSION_RESOURCE)
    await rig.watching.settle()

    write(rig, thing, "1.2", VERSION_RESOURCE)
    await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.FAILED
    assert "succeeded" not in await rig.kinds(thing)


async def test_writes_before_the_report_prove_nothing(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    writes = rig.store.writes

    write(rig, thing)
    await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.DOWNLOADED
    assert rig.store.writes == writes


@pytest.mark.parametrize(("value", "version"), [(1.3, "1.3"), (3, "3"), ("v1.3 ", "v1.3")])
async def test_a_version_may_be_a_number(rig, value, version):
    thing = rig.thing("one")
    await downloaded(rig, thing, version)

    write(rig, thing, value, VERSION_RESOURCE)
    await rig.watching.settle()

    (running,) = (await rig.following.record(thing.id)).running
    assert running.version == version


async def test_an_object_tells_the_version_of_each_mcu(rig):
    thing = rig.thing("one")
    main = await downloaded(rig, thing, mcu="main")
    radio = await downloaded(rig, thing, "2.0", mcu="radio")

    write(rig, thing, {"main": "1.3", "radio": 2.0, "other": None}, VERSION_RESOURCE)
    await rig.watching.settle()

    assert await state_of(rig, thing, main) is S.REPORTED
    assert await state_of(rig, thing, radio) is S.REPORTED


@pytest.mark.parametrize("value", [None, True, ["1.3"], "", " \x00"])
async def test_what_can_be_no_version_is_left_out(rig, value):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)

    write(rig, thing, value, VERSION_RESOURCE)
    await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.DOWNLOADED


async def test_other_events_of_the_thing_and_things_that_are_over_are_left_out(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    write(rig, thing, "1.2", VERSION_RESOURCE)
    listener = rig.watching._hear

    await rig.following.said(thing, firmware.id, parse_status("failed"))
    listener(LiveEvent(thing.id, 1, ()))
    listener(object())
    await rig.watching.settle()

    assert (await rig.update(thing, firmware)).failures == 1


async def test_magic_resources_are_no_reports_but_prove(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    await rig.poll(thing, "1.3")

    rig.bus.publish(LiveEvent(thing.id, 1, (MagicEcho("$settings", {}),)))
    await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.SUCCEEDED


async def test_after_a_restart_things_under_way_are_listened_to_again(rig):
    thing, other = rig.thing("one"), rig.thing("other")
    firmware = await downloaded(rig, thing)
    await rig.poll(other, "1.2")

    rig.start()
    await rig.watching.start()
    write(rig, thing, "1.3", VERSION_RESOURCE)
    await rig.watching.settle()

    assert len(rig.watching) == 1
    assert await state_of(rig, thing, firmware) is S.REPORTED


async def test_more_than_a_page_of_things_is_found_at_the_start(rig):
    firmware = await rig.image("1.3")
    things = [rig.thing(f"thing {number}") for number in range(1_001)]
    await asyncio.gather(*(rig.following.begun(thing, firmware) for thing in things))

    rig.start()
    await rig.watching.start()

    assert len(rig.watching) == 1_001


async def test_so_many_are_listened_to_and_not_one_more(rig):
    firmware = await rig.image("1.3")
    watching = Watching(rig.following, rig.bus, rig.store, rig.clock, most=2)
    rig.watching.close()
    things = [rig.thing(name) for name in ("one", "two", "three")]

    for thing in things:
        await rig.following.begun(thing, firmware)
        rig.watching.close()

    assert [rig.bus.has_listener(thing.id) for thing in things] == [False, True, True]
    assert len(watching) == 2


async def test_a_thing_with_two_updates_is_listened_to_until_both_are_over(rig):
    thing = rig.thing("one")
    main = await downloaded(rig, thing, mcu="main")
    radio = await downloaded(rig, thing, "2.0", mcu="radio")

    await rig.poll(thing, "9.0", "main")
    after_one = rig.bus.has_listener(thing.id)
    await rig.poll(thing, "9.0", "radio")

    assert (after_one, rig.bus.has_listener(thing.id)) == (True, False)
    assert await state_of(rig, thing, main) is await state_of(rig, thing, radio) is S.CURRENT


async def test_what_could_not_be_stored_is_tried_again(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    rig.store.error = StoreUnavailableError()
    write(rig, thing, "1.3", VERSION_RESOURCE)

    with pytest.raises(StoreUnavailableError):
        await rig.watching.settle()
    rig.store.error = None
    await rig.watching.settle()

    assert await state_of(rig, thing, firmware) is S.REPORTED


async def test_a_thing_that_reports_too_often_waits_and_keeps_nobody_waiting():
    rig = OfferRig(FirmwareLimits(reports=Rate(per_second=1, burst=2)))
    hasty, other = rig.thing("one"), rig.thing("two")
    firmware = await rig.image("1.3")
    for thing in (hasty, other):
        await rig.following.begun(thing, firmware)
    for version in ("1.0", "1.1", "1.3"):
        write(rig, hasty, version, VERSION_RESOURCE)
        if version == "1.3":
            write(rig, other, version, VERSION_RESOURCE)
        await rig.watching.settle()
    meanwhile = [await state_of(rig, thing, firmware) for thing in (hasty, other)]

    rig.clock.advance(1)
    await rig.watching.settle()

    assert meanwhile == [S.DOWNLOADING, S.REPORTED]
    assert await state_of(rig, hasty, firmware) is S.REPORTED


async def test_a_running_watch_takes_in_later_what_it_put_off(monkeypatch):
    rig = OfferRig(FirmwareLimits(reports=Rate(per_second=1, burst=2)))
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    await rig.poll(thing, "1.1")
    await rig.poll(thing, "1.0")
    monkeypatch.setattr("thingstead.features.firmware.watching._PUT_OFF_S", 0)
    task = asyncio.create_task(rig.watching.run())
    await rig.following.begun(thing, firmware)
    write(rig, thing, "1.3", VERSION_RESOURCE)
    for _ in range(20):
        await asyncio.sleep(0)
    before = await state_of(rig, thing, firmware)
    is_stored = asyncio.Event()
    rig.following.on_change(lambda _: is_stored.set())

    rig.clock.advance(1)
    await is_stored.wait()

    task.cancel()
    await asyncio.wait([task])
    assert (before, await state_of(rig, thing, firmware)) == (S.DOWNLOADING, S.REPORTED)


async def test_a_running_watch_takes_in_what_is_heard(rig, monkeypatch):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    monkeypatch.setattr("thingstead.features.firmware.watching._AGAIN_AFTER_S", 0)
    task = asyncio.create_task(rig.watching.run())
    rig.store.error = StoreUnavailableError()

    write(rig, thing, "1.3", VERSION_RESOURCE)
    for _ in range(20):
        await asyncio.sleep(0)
    before = await state_of(rig, thing, firmware)
    is_stored = asyncio.Event()
    rig.following.on_change(lambda _: is_stored.set())
    rig.store.error = None
    await is_stored.wait()

    task.cancel()
    await asyncio.wait([task])
    assert before is S.DOWNLOADED
    assert await state_of(rig, thing, firmware) is S.REPORTED


async def test_after_closing_nothing_is_heard(rig):
    thing = rig.thing("one")
    firmware = await downloaded(rig, thing)
    write(rig, thing, "1.3", VERSION_RESOURCE)

    rig.watching.close()
    await rig.watching.settle()

    assert not rig.bus.has_listener(thing.id)
    assert await state_of(rig, thing, firmware) is S.DOWNLOADED
