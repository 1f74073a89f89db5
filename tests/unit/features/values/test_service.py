"""The one way in for values, and what is announced of them."""

import pytest

from doubles.clock import ManualClock
from doubles.values import MemoryValueStore
from thingstead.bus.memory import MemoryBus
from thingstead.features.magic.errors import InvalidSettingsError
from thingstead.features.things.model import Thing
from thingstead.features.values.checks import WriteLimits
from thingstead.features.values.errors import (
    InvalidKeyError,
    InvalidValuesError,
    ResourceNotFoundError,
    TooManyKeysError,
)
from thingstead.features.values.model import (
    Delivery,
    DocumentChange,
    IncomingValue,
    IncomingWrite,
    MagicEcho,
    Position,
    StoredValue,
    Window,
)
from thingstead.features.values.service import Values, window_limit
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import (
    InvalidLimitError,
    OverloadedError,
    StoreUnavailableError,
    TooManyRequestsError,
)
from thingstead.kernel.ids import ProductId, ThingId

THING = Thing(ThingId("one"), ProductId(1), 0)
OTHER_THING = Thing(ThingId("two"), ProductId(1), 0)
LATER = Thing(THING.id, ProductId(1), 0, (1,))
BOTH = Thing(THING.id, ProductId(1), 0, (0, 1))
BEFORE = "2025-12-31T23:00:00.000Z"


AMPLE = Rate(per_second=1_000, burst=1_000)


class Rig:
    """The service on a memory store, with a listener on one thing."""

    def __init__(self, rate=AMPLE, **store_limits):
        self.clock = ManualClock()
        self.store = MemoryValueStore(**store_limits)
        self.bus = MemoryBus()
        self.values = Values(self.store, self.bus, self.clock, limits=WriteLimits(), rate=rate)
        self.heard = []
        self.bus.listen(THING.id, self.heard.append)

    def submit(self, *members, thing=THING, **options):
        write = IncomingWrite([IncomingValue(**member) for member in members])
        return self.values.submit(thing, write, **options)


@pytest.fixture
def rig():
    return Rig()


async def test_a_write_can_be_read_as_soon_as_its_future_resolved(rig):
    await rig.submit({"key": "t", "value": 21.5})

    reading = await rig.values.read(THING, "t", Window())

    assert reading.rows == [(21.5, rig.clock.now_ms(), None, None)]
    assert await rig.values.keys(THING) == ["t"]


async def test_reading_a_key_that_was_never_written_is_refused(rig):
    with pytest.raises(ResourceNotFoundError):
        await rig.values.read(THING, "t", Window())


async def test_a_wrong_write_is_refused_at_once_and_stores_nothing(rig):
    with pytest.raises(InvalidKeyError):
        rig.submit({"key": "good", "value": 1}, {"key": "not good", "value": 1})

    assert await rig.values.keys(THING) == []


async def test_one_bad_value_in_a_thousand_keeps_the_others_from_being_stored(rig):
    members = [{"key": f"k{number}", "value": 1} for number in range(999)]

    with pytest.raises(InvalidValuesError):
        rig.submit(*members, {"key": "bad", "value": float("nan")})

    assert await rig.values.keys(THING) == []


async def test_settings_that_are_too_large_keep_the_values_from_being_stored(rig):
    with pytest.raises(InvalidSettingsError):
        await rig.submit(
            {"key": "good", "value": 1}, {"key": "$settings", "value": {"a": "x" * 16_384}}
        )

    assert await rig.values.keys(THING) == []
    assert rig.heard == []


async def test_what_only_the_store_finds_comes_from_the_future():
    rig = Rig(max_keys=1)
    future = rig.submit({"key": "a", "value": 1}, {"key": "b", "value": 1})

    with pytest.raises(TooManyKeysError):
        await future


async def test_a_full_queue_is_refused_at_once():
    rig = Rig(max_waiting_values=1)
    first = rig.submit({"key": "a", "value": 1})

    with pytest.raises(OverloadedError):
        rig.submit({"key": "a", "value": 1})

    await first


async def test_the_store_is_checked_by_reading_from_it(rig):
    await rig.values.check()


async def test_a_store_that_cannot_be_read_fails_the_check(rig, monkeypatch):
    async def check():
        raise StoreUnavailableError

    monkeypatch.setattr(rig.store, "check", check)

    with pytest.raises(StoreUnavailableError):
        await rig.values.check()


# Epochs.


async def test_a_thing_reads_its_own_epochs_only(rig):
    await rig.submit({"key": "t", "value": "theirs"}, {"key": "u", "value": 1})
    rig.clock.advance(1)
    await rig.submit({"key": "t", "value": "mine"}, thing=LATER)

    mine = await rig.values.read(LATER, "t", Window(9))
    both = await rig.values.read(BOTH, "t", Window(9))

    assert [row[0] for row in mine.rows] == ["mine"]
    assert [row[0] for row in both.rows] == ["mine", "theirs"]
    assert await rig.values.keys(LATER) == ["t"]
    with pytest.raises(ResourceNotFoundError):
        await rig.values.read(LATER, "u", Window())


async def test_a_write_is_announced_with_the_epoch_that_it_went_into(rig):
    await rig.submit({"key": "t", "value": 1})
    await rig.submit({"key": "t", "value": 2}, thing=BOTH)
    await rig.values.submit_change(LATER, DocumentChange("description", (), {}, 99))

    assert [event.epoch for event in rig.heard] == [0, 1, 1]


async def test_a_changed_document_goes_into_the_newest_epoch(rig):
    await rig.values.submit_change(BOTH, DocumentChange("description", (), {"a": 1}, 99))

    assert await rig.store.document(THING.id, (1,), "description") == {"a": 1}
    assert await rig.store.document(THING.id, (0,), "description") is None


# Rates.


async def test_a_thing_may_write_its_burst_and_is_then_told_when_to_come_again():
    rig = Rig(Rate(per_second=2, burst=3))
    futures = [rig.submit({"key": "a", "value": 1}) for _ in range(3)]

    with pytest.raises(TooManyRequestsError, match="at most 2 writes") as refused:
        rig.submit({"key": "a", "value": 1})

    assert refused.value.retry_after_s == 1
    for future in futures:
        await future


async def test_a_thing_may_write_again_after_the_time_it_was_told():
    rig = Rig(Rate(per_second=0.5, burst=1))
    await rig.submit({"key": "a", "value": 1})
    with pytest.raises(TooManyRequestsError) as refused:
        rig.submit({"key": "a", "value": 1})

    rig.clock.advance(refused.value.retry_after_s)

    await rig.submit({"key": "a", "value": 1})


async def test_a_thing_that_writes_too_often_does_not_cost_the_decoding():
    rig = Rig(Rate(per_second=1, burst=1))
    await rig.submit({"key": "a", "value": 1})
    decoded = []

    with pytest.raises(TooManyRequestsError):
        rig.values.submit_encoded(THING, lambda: decoded.append("too much"))

    assert decoded == []


async def test_every_thing_has_a_rate_of_its_own():
    rig = Rig(Rate(per_second=1, burst=1))
    await rig.submit({"key": "a", "value": 1})

    await rig.submit({"key": "a", "value": 1}, thing=OTHER_THING)


async def test_wrong_writes_count_towards_the_rate():
    rig = Rig(Rate(per_second=1, burst=1))
    with pytest.raises(InvalidKeyError):
        rig.submit({"key": "not good", "value": 1})

    with pytest.raises(TooManyRequestsError):
        rig.submit({"key": "good", "value": 1})


async def test_changes_of_documents_count_towards_the_rate():
    rig = Rig(Rate(per_second=1, burst=1))
    change = DocumentChange("description", (), {}, 99)
    await rig.values.submit_change(THING, change)

    with pytest.raises(TooManyRequestsError):
        rig.values.submit_change(THING, change)


# What is announced.


async def test_a_write_is_announced_whole_in_the_order_sent(rig):
    appended = await rig.submit(
        {"key": "a", "value": 1, "geo": {"lat": 1, "long": 2}},
        {"key": "$settings.x", "value": 5},
        {"key": "b", "value": "2", "datetime": BEFORE},
    )

    (event,) = rig.heard
    now = rig.clock.now_ms()
    assert event.thing_id == THING.id
    assert event.sequence == appended.sequence
    assert event.entries == (
        StoredValue("a", 1, now, Position(1, 2)),
        MagicEcho("$settings.x", 5),
        StoredValue("b", "2", now - 3_600_000),
    )


async def test_writes_are_announced_in_the_order_of_their_sequences(rig):
    for number in range(10):
        last = rig.submit({"key": "a", "value": number})
    await last

    assert [event.entries[0].value for event in rig.heard] == list(range(10))
    assert [event.sequence for event in rig.heard] == sorted(event.sequence for event in rig.heard)


async def test_a_change_of_a_document_is_announced(rig):
    await rig.values.submit_change(THING, DocumentChange("description", (), {"a": 1}, 99))

    assert rig.heard[0].entries == (MagicEcho("description", {"a": 1}),)


async def test_a_write_that_shall_not_be_announced_is_not(rig):
    await rig.submit({"key": "a", "value": 1}, is_broadcast=False)

    assert rig.heard == []


async def test_another_thing_s_write_is_not_heard(rig):
    await rig.submit({"key": "a", "value": 1}, thing=OTHER_THING)

    assert rig.heard == []


async def test_a_refused_write_is_not_announced():
    rig = Rig(max_keys=1)
    with pytest.raises(TooManyKeysError):
        await rig.submit({"key": "a", "value": 1}, {"key": "b", "value": 1})

    assert rig.heard == []


async def test_a_repeat_is_not_announced(rig):
    await rig.submit({"key": "a", "value": 1, "datetime": BEFORE})

    await rig.submit({"key": "a", "value": 1, "datetime": BEFORE})

    assert len(rig.heard) == 1


async def test_of_a_write_with_a_repeat_only_the_rest_is_announced(rig):
    await rig.submit({"key": "a", "value": 1, "datetime": BEFORE})

    await rig.submit(
        {"key": "a", "value": 1, "datetime": BEFORE}, {"key": "a", "value": 2, "datetime": BEFORE}
    )

    assert [entry.value for entry in rig.heard[1].entries] == [2]


async def test_of_magic_with_a_repeat_only_the_magic_is_announced(rig):
    await rig.submit({"key": "a", "value": 1, "datetime": BEFORE})

    await rig.submit(
        {"key": "a", "value": 1, "datetime": BEFORE}, {"key": "$settings.x", "value": 5}
    )

    assert rig.heard[1].entries == (MagicEcho("$settings.x", 5),)


# The limit of a query.


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, 1), ("1", 1), ("99", 99), ("100", 100), ("101", 100), ("1000", 100), ("007", 7)],
)
def test_a_limit_is_at_most_a_hundred(text, expected):
    assert window_limit(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1.0", "1e2", " 1", "ten", "\u0661", "\u00b2", "9" * 19, "0x1"]
)
def test_what_is_no_whole_number_from_one_is_refused(text):
    with pytest.raises(InvalidLimitError, match="from 1 to 100"):
        window_limit(text)


def test_a_very_large_limit_is_a_hundred():
    assert window_limit("9" * 18) == 100


def test_other_defaults_and_maxima_may_be_asked_for():
    assert window_limit(None, default=50, most=500) == 50
    assert window_limit("501", default=50, most=500) == 500


async def test_a_packet_that_comes_again_is_neither_stored_nor_announced_again(rig):
    def submit(is_again):
        return rig.values.submit_encoded(
            THING,
            lambda: IncomingWrite([IncomingValue("t", 1)]),
            delivery=Delivery("session", 7, 1, b"digest", is_again),
        )

    first = await submit(is_again=False)
    again = await submit(is_again=True)

    assert (first.is_repeat, again.is_repeat) == (False, True)
    assert len((await rig.values.read(THING, "t", Window(9))).rows) == 1
    assert [event.sequence for event in rig.heard] == [first.sequence]
