"""Following updates: what is remembered, stored together, and made anew after a lost race."""

import asyncio
from dataclasses import replace

import pytest

from doubles.firmware import MemoryUpdateStore
from doubles.offer_rig import OfferRig
from thingstead.features.firmware.errors import UpdateNotFoundError
from thingstead.features.firmware.model import FirmwareLimits, Report, Step, UpdateState
from thingstead.features.firmware.sightings import MOST_MCUS_OF_A_THING
from thingstead.features.firmware.status import parse_status
from thingstead.kernel.changes import Kind
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError
from thingstead.kernel.ids import FirmwareId, ThingId

S = UpdateState


@pytest.fixture
def rig():
    return OfferRig()


async def change_elsewhere(rig, update, **to):
    """Store a change as another process would."""
    (stored,) = await MemoryUpdateStore.save(rig.store, [Step(replace(update, **to))])
    return stored


class TestRemembering:
    async def test_a_record_is_read_once(self, rig):
        thing = rig.thing("one")
        unknown = rig.following.known(thing.id)

        record = await rig.following.record(thing.id)

        assert unknown is None
        assert rig.following.known(thing.id) is record is await rig.following.record(thing.id)
        assert rig.store.reads == 1

    async def test_who_asks_at_once_shares_one_read(self, rig):
        thing = rig.thing("one")

        await asyncio.gather(*(rig.following.record(thing.id) for _ in range(3)))

        assert rig.store.reads == 1

    async def test_what_this_process_stores_needs_no_reading(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing, "1.2")
        reads = rig.store.reads

        await rig.install(thing, firmware)

        record = rig.following.known(thing.id)
        assert [update.state for update in record.updates] == [S.REPORTED]
        assert [running.version for running in record.running] == ["1.3"]
        assert rig.store.reads == reads

    async def test_a_change_of_the_product_forgets_its_things_only(self, rig):
        rig.product(7)
        firmware, one, other = await rig.image("1.3"), rig.thing("one"), rig.thing("other", 7)
        await rig.poll(one)
        await rig.poll(other)

        rig.changes.tell(Kind.FIRMWARE, "7")

        assert rig.following.known(one.id) is not None
        assert rig.following.known(other.id) is None
        assert (await rig.update(one, firmware)).state is S.OFFERED

    async def test_of_whom_no_product_is_known_any_change_forgets(self, rig):
        thing = rig.thing("one")
        await rig.following.record(thing.id)

        rig.changes.tell(Kind.FIRMWARE, "7")

        assert rig.following.known(thing.id) is None

    async def test_a_change_of_the_thing_forgets_it_only(self, rig):
        for name in ("one", "other"):
            await rig.following.record(rig.thing(name).id)

        rig.changes.tell(Kind.THING, "one")

        assert rig.following.known(ThingId("one")) is None
        assert rig.following.known(ThingId("other")) is not None

    @pytest.mark.parametrize("kind", [Kind.FIRMWARE, Kind.THING])
    async def test_a_change_that_nobody_can_name_forgets_all(self, rig, kind):
        thing = rig.thing("one")
        await rig.following.record(thing.id, thing.product_id)

        rig.changes.tell(kind, None)

        assert rig.following.known(thing.id) is None

    @pytest.mark.parametrize(
        ("kind", "subject"), [(Kind.FIRMWARE, "10001"), (Kind.THING, "one"), (Kind.THING, None)]
    )
    async def test_a_change_during_a_read_is_not_lost(self, rig, kind, subject):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        rig.following.forget(thing.id)
        update = await rig.update(thing, firmware)

        async def change():
            await change_elsewhere(rig, update, state=S.BLOCKED)
            rig.changes.tell(kind, subject)

        rig.store.before_record = change
        old = await rig.following.record(thing.id, thing.product_id)

        assert old.updates[0].state is S.OFFERED
        assert (await rig.following.record(thing.id)).updates[0].state is S.BLOCKED

    async def test_what_is_stored_during_a_read_is_not_lost(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        rig.following.forget(thing.id)
        update = await rig.update(thing, firmware)

        async def time_out():
            late = await change_elsewhere(rig, update, state=S.DOWNLOADING)
            await rig.following.timed_out([late], "silent")

        rig.store.before_record = time_out
        await rig.following.record(thing.id)

        assert (await rig.following.record(thing.id)).updates[0].state is S.FAILED

    async def test_so_many_are_remembered_and_not_one_more(self, rig):
        rig.start(kept=2)
        for name in ("one", "two"):
            await rig.following.record(rig.thing(name).id)
        rig.following.known(ThingId("one"))

        await rig.following.record(rig.thing("three").id)

        assert rig.following.known(ThingId("one")) is not None
        assert rig.following.known(ThingId("two")) is None  # Used less lately.
        assert rig.following.known(ThingId("three")) is not None

    async def test_an_error_reaches_all_who_wait_and_is_not_remembered(self, rig):
        thing = rig.thing("one")

        async def fail():
            await asyncio.sleep(0)
            raise StoreUnavailableError

        rig.store.before_record = fail
        results = await asyncio.gather(
            *(rig.following.record(thing.id) for _ in range(2)), return_exceptions=True
        )

        assert [type(result) for result in results] == [StoreUnavailableError] * 2
        assert (await rig.following.record(thing.id)).updates == ()

    async def test_what_is_stored_of_a_thing_that_was_forgotten_meanwhile_is_read_anew(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.following.record(thing.id, thing.product_id)

        async def forget():
            rig.changes.tell(Kind.THING, thing.id)

        rig.store.before_save = forget
        await rig.following.offered(thing, firmware, None)

        assert rig.following.known(thing.id) is None
        assert (await rig.following.record(thing.id)).updates[0].state is S.OFFERED

    async def test_when_the_reading_one_is_cancelled_another_reads(self, rig):
        thing, go = rig.thing("one"), asyncio.Event()
        rig.store.before_record = go.wait
        first, second = (asyncio.create_task(rig.following.record(thing.id)) for _ in range(2))
        await asyncio.sleep(0)

        first.cancel()
        await asyncio.wait([first])
        go.set()

        assert (await second).updates == ()
        assert rig.store.reads == 2


class TestStoring:
    async def test_things_that_ask_at_once_share_a_transaction(self, rig):
        await rig.image("1.3")
        things = [rig.thing(f"thing {number}") for number in range(20)]
        for thing in things:
            await rig.following.record(thing.id, thing.product_id)

        await asyncio.gather(*(rig.poll(thing) for thing in things))

        assert rig.store.saves == [20]

    async def test_what_is_repeated_stores_nothing(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        for act in (rig.following.begun, rig.following.downloaded):
            await act(thing, firmware)
            writes = rig.store.writes
            await act(thing, firmware)
            assert rig.store.writes == writes

    async def test_parts_fetched_within_the_grace_belong_to_the_same_download(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.following.begun(thing, firmware)
        await rig.following.downloaded(thing, firmware)

        rig.clock.advance(30)
        await rig.following.begun(thing, firmware)
        within = (await rig.update(thing, firmware)).state
        rig.clock.advance(0.001)
        await rig.following.begun(thing, firmware)

        assert within is S.DOWNLOADED
        update = await rig.update(thing, firmware)
        assert (update.state, update.failures) == (S.DOWNLOADING, 0)

    async def test_a_lost_race_is_run_again_from_the_fresh_record(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        update = await rig.update(thing, firmware)

        async def block():
            await change_elsewhere(rig, update, failures=2)

        rig.store.before_save = block
        said = await rig.following.said(thing, firmware.id, parse_status("failed"))

        assert (said.state, said.failures) == (S.BLOCKED, 3)
        assert said == await rig.update(thing, firmware)

    async def test_a_lost_race_may_leave_nothing_to_do(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        update = await rig.update(thing, firmware)

        async def finish():
            await change_elsewhere(rig, update, state=S.SUCCEEDED)

        rig.store.before_save = finish
        await rig.following.begun(thing, firmware)

        assert rig.following.known(thing.id).updates[0].state is S.SUCCEEDED

    @pytest.mark.parametrize(("races", "is_stored"), [(2, True), (3, False)])
    async def test_three_tries_are_made_and_no_more(self, rig, races, is_stored):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        left = races

        async def interfere():
            nonlocal left
            await change_elsewhere(rig, await rig.update(thing, firmware), reason=f"{left}")
            left -= 1
            if left:
                rig.store.before_save = interfere

        rig.store.before_save = interfere
        if is_stored:
            await rig.following.begun(thing, firmware)
        else:
            with pytest.raises(OverloadedError):
                await rig.following.begun(thing, firmware)

        assert ((await rig.update(thing, firmware)).state is S.DOWNLOADING) == is_stored

    async def test_a_cancelled_caller_loses_no_step_of_others(self, rig):
        firmware = await rig.image("1.3")
        things = [rig.thing("one"), rig.thing("two")]
        for thing in things:
            await rig.following.record(thing.id, thing.product_id)
        is_storing, go = asyncio.Event(), asyncio.Event()

        async def wait():
            is_storing.set()
            await go.wait()

        rig.store.before_save = wait
        first, second = (asyncio.create_task(rig.poll(thing)) for thing in things)
        await is_storing.wait()

        first.cancel()
        await asyncio.wait([first])
        go.set()
        await second

        for thing in things:
            assert (await rig.update(thing, firmware)).state is S.OFFERED
            assert rig.following.known(thing.id).updates[0].state is S.OFFERED

    async def test_listeners_hear_of_every_stored_update(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        heard = []
        rig.following.on_change(heard.append)

        await rig.following.begun(thing, firmware)

        assert heard == [await rig.update(thing, firmware)]

    async def test_an_image_that_is_not_known_changes_nothing(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.following.heard(thing, Report())

        await rig.following.begun(thing, replace(firmware, id=FirmwareId("none")))

        assert rig.store.writes == 0

    async def test_updates_to_images_that_are_not_known_stay_as_they_are(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        del rig.organisation.firmware.firmwares[firmware.id]
        await rig.image("1.4")

        await rig.poll(thing, "1.3")

        assert (await rig.update(thing, firmware)).state is S.OFFERED

    async def test_words_about_an_update_that_is_deleted_meanwhile_are_refused(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)

        async def delete():
            rig.organisation.firmware.drop_thing(thing.id)
            await change_elsewhere(rig, an_old_one)

        an_old_one = await rig.update(thing, firmware)
        rig.store.before_save = delete
        with pytest.raises(UpdateNotFoundError):
            await rig.following.said(thing, firmware.id, parse_status("failed"))


class TestSightings:
    async def test_a_new_version_is_stored_at_once(self, rig):
        await rig.image("1.3")
        thing, now_ms = rig.thing("one"), rig.clock.now_ms()

        await rig.poll(thing, "1.2")

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert (running.version, running.since_ms, running.seen_at_ms) == ("1.2", now_ms, now_ms)

    async def test_who_is_seen_again_is_noted_after_ten_minutes_and_written_later(self, rig):
        await rig.image("1.3")
        thing, first_ms = rig.thing("one"), rig.clock.now_ms()
        await rig.poll(thing, "1.2")
        seen = []

        for wait_s in (599.999, 0.001):
            rig.clock.advance(wait_s)
            await rig.poll(thing, "1.2")
            await rig.following.flush_seen()
            (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
            seen.append((running.since_ms, running.seen_at_ms - first_ms))

        assert seen == [(first_ms, 0), (first_ms, 600_000)]
        assert rig.store.running_saves == 2

    async def test_what_could_not_be_written_stays_noted(self, rig):
        await rig.image("1.3")
        thing = rig.thing("one")
        await rig.poll(thing, "1.2")
        rig.clock.advance(600)
        await rig.poll(thing, "1.2")
        rig.store.error = StoreUnavailableError()

        with pytest.raises(StoreUnavailableError):
            await rig.following.flush_seen()
        rig.store.error = None
        await rig.following.flush_seen()

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert running.seen_at_ms == rig.clock.now_ms()

    async def test_what_was_noted_of_a_thing_that_is_forgotten_is_written_too(self, rig):
        await rig.image("1.3")
        thing = rig.thing("one")
        await rig.poll(thing, "1.2")
        rig.clock.advance(600)
        await rig.poll(thing, "1.2")

        rig.following.forget(thing.id)
        await rig.following.flush_seen()

        (running,) = (await rig.following.record(thing.id)).running
        assert running.seen_at_ms == rig.clock.now_ms()

    async def test_a_note_never_overwrites_a_newer_version(self, rig):
        await rig.image("1.3")
        thing = rig.thing("one")
        await rig.poll(thing, "1.2")
        rig.clock.advance(600)
        await rig.poll(thing, "1.2")

        await asyncio.gather(rig.following.flush_seen(), rig.poll(thing, "1.25"))
        await rig.following.flush_seen()

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert running.version == "1.25"

    async def test_a_note_made_while_notes_are_written_is_kept(self, rig):
        await rig.image("1.3")
        thing = rig.thing("one")
        await rig.poll(thing, "1.2")
        rig.clock.advance(600)
        await rig.poll(thing, "1.2")

        async def see_again():
            rig.clock.advance(600)
            await rig.poll(thing, "1.2")

        rig.store.before_running = see_again
        await rig.following.flush_seen()
        await rig.following.flush_seen()

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert running.seen_at_ms == rig.clock.now_ms()

    async def test_a_note_is_gone_once_another_version_runs(self, rig):
        await rig.image("1.3")
        thing = rig.thing("one")
        await rig.poll(thing, "1.2")
        rig.clock.advance(600)
        await rig.poll(thing, "1.2")

        await rig.poll(thing, "1.25")
        await rig.following.flush_seen()

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert running.version == "1.25"

    async def test_a_version_heard_again_after_a_word_of_another_is_stored_again(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        await rig.poll(thing, "1.4")

        await rig.following.said(thing, firmware.id, parse_status("success"))
        after_the_word = rig.following.known(thing.id).running[0].version
        await rig.poll(thing, "1.4")

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert (after_the_word, running.version) == ("1.3", "1.4")

    async def test_a_version_heard_again_after_another_is_stored_again(self, rig):
        await rig.image("1.3")
        thing = rig.thing("one")

        for version in ("1.2", "1.1", "1.2"):
            await rig.poll(thing, version)

        (running,) = (await MemoryUpdateStore.record(rig.store, thing.id)).running
        assert running.version == "1.2"

    async def test_so_many_mcus_of_a_thing_are_taken_in_and_not_one_more(self, rig):
        thing = rig.thing("one")

        for number in range(MOST_MCUS_OF_A_THING + 1):
            await rig.following.heard(thing, Report(f"mcu{number}", "1.0"))

        record = await MemoryUpdateStore.record(rig.store, thing.id)
        assert len(record.running) == MOST_MCUS_OF_A_THING


class TestOperators:
    async def blocked(self, rig, thing):
        firmware = await rig.image("1.3")
        await rig.poll(thing)
        await rig.following.said(thing, firmware.id, parse_status("failed"))
        return firmware

    async def test_a_released_thing_is_offered_the_image_again(self):
        rig = OfferRig(FirmwareLimits(attempts=1))
        thing = rig.thing("one")
        firmware = await self.blocked(rig, thing)
        before = await rig.poll(thing)

        released = await rig.following.release(thing.id, firmware.id)

        assert (before.firmwares, before.reason) == ((), "blocked")
        assert (released.state, released.failures) == (S.WAITING, 0)
        assert (await rig.poll(thing)).firmwares == (firmware,)
        assert await rig.kinds(thing) == ["offered", "failed", "blocked", "released", "offered"]

    async def test_another_process_hears_of_the_release(self):
        rig = OfferRig(FirmwareLimits(attempts=1))
        thing = rig.thing("one")
        firmware = await self.blocked(rig, thing)
        await rig.poll(thing)
        server = rig.offers
        rig.start()

        await rig.following.release(thing.id, firmware.id)
        rig.clock.advance(0.1)

        assert (await server.latest(thing)).firmwares == (firmware,)

    async def test_what_is_not_blocked_stays_as_it_is(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        before = await rig.update(thing, firmware)

        assert await rig.following.release(thing.id, firmware.id) == before

    async def test_there_must_be_an_update_to_release(self, rig):
        with pytest.raises(UpdateNotFoundError):
            await rig.following.release(rig.thing("one").id, FirmwareId("none"))

    async def test_the_timeline_has_a_page_and_a_next_one(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing, "1.2")
        await rig.install(thing, firmware)

        page = await rig.following.timeline(thing.id, limit=3)
        rest = await rig.following.timeline(thing.id, before=page[-1][0])

        assert [event.kind for _, event in page] == ["reported", "downloaded", "begun"]
        assert [event.kind for _, event in rest] == ["offered"]

    async def test_updates_that_take_too_long_fail_together(self, rig):
        firmware = await rig.image("1.3")
        things = [rig.thing("one"), rig.thing("two")]
        for thing in things:
            await rig.following.begun(thing, firmware)
        late = [await rig.update(thing, firmware) for thing in things]
        rig.store.saves.clear()

        await rig.following.timed_out(late, "said nothing for 86400 s")

        assert rig.store.saves == [2]
        assert {(await rig.update(thing, firmware)).state for thing in things} == {S.FAILED}

    async def test_an_update_that_moved_meanwhile_is_not_late(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.following.begun(thing, firmware)
        late = await rig.update(thing, firmware)
        await rig.following.downloaded(thing, firmware)

        await rig.following.timed_out([late], "said nothing")

        assert (await rig.update(thing, firmware)).state is S.DOWNLOADED
        assert rig.following.known(thing.id) is None  # Somebody else may know better.

    async def test_of_an_image_that_is_gone_nothing_is_late(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.following.begun(thing, firmware)
        late = replace(await rig.update(thing, firmware), firmware_id=FirmwareId("gone"))

        await rig.following.timed_out([late], "said nothing")

        assert (await rig.update(thing, firmware)).state is S.DOWNLOADING

    async def test_an_update_is_found_by_its_number_among_those_of_its_thing_only(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        update = await rig.update(thing, firmware)

        assert await rig.following.by_action(thing.id, update.action) == update
        with pytest.raises(UpdateNotFoundError):
            await rig.following.by_action(rig.thing("other").id, update.action)
