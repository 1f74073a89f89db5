"""What every store of kept sessions promises."""

from dataclasses import replace

import pytest

from doubles.sealing import PlainSeal
from thingstead.features.kept_sessions.model import (
    Holder,
    HolderKind,
    KeptSession,
    KeptSessionLimits,
    KeptSubscription,
)

LIMITS = KeptSessionLimits(sessions_per_holder=3)
ONE = Holder(HolderKind.THING, "one")
VALUES = KeptSubscription("v2/things/TOKEN", 1, 7)
COMMANDS = KeptSubscription("v2/things/TOKEN/cmd/#", 2)
ASLEEP = KeptSession("s1", ONE, "sensor", 60, (VALUES, COMMANDS), expires_at_ms=1_000)


@pytest.fixture
def seal():
    return PlainSeal()


@pytest.fixture
async def store(core, make, seal):
    """A store with the thing `one`."""
    await make.thing("one")
    return core.kept_sessions(seal, LIMITS)


async def ids(store, *, at_ms=0):
    """The ids of all sessions that have not expired."""
    return [session.id for session in await store.away(at_ms=at_ms, after="", limit=100)]


async def test_an_unknown_session_is_none(store):
    assert await store.find(ONE, "sensor", at_ms=0) is None


async def test_a_session_is_found_as_it_was_put(store):
    await store.put(ASLEEP)

    assert await store.find(ONE, "sensor", at_ms=999) == ASLEEP


async def test_a_connected_session_does_not_expire(store):
    connected = replace(ASLEEP, subscriptions=(), expires_at_ms=None)
    await store.put(connected)

    assert await store.find(ONE, "sensor", at_ms=10**15) == connected
    assert await store.gone(at_ms=10**15, limit=10) == []


async def test_an_expired_session_is_not_found(store):
    await store.put(ASLEEP)

    assert await store.find(ONE, "sensor", at_ms=1_000) is None


@pytest.mark.parametrize(
    ("holder", "client_id"),
    [
        (Holder(HolderKind.THING, "two"), "sensor"),
        (Holder(HolderKind.USER, "one"), "sensor"),
        (ONE, "Sensor"),
        (ONE, ""),
    ],
)
async def test_a_session_is_found_by_its_holder_and_client_id_only(store, holder, client_id):
    await store.put(ASLEEP)

    assert await store.find(holder, client_id, at_ms=0) is None


async def test_two_holders_may_use_one_client_id(store, core, make):
    await make.user("ada")
    of_user = replace(ASLEEP, id="s2", holder=Holder(HolderKind.USER, "ada"))

    for session in (ASLEEP, of_user):
        await store.put(session)

    assert await store.find(ONE, "sensor", at_ms=0) == ASLEEP
    assert await store.find(of_user.holder, "sensor", at_ms=0) == of_user


@pytest.mark.parametrize("client_id", ["", "x" * 65_535, "pipe|slash/#+ \x7f 雪"])
async def test_client_ids_may_be_odd(store, client_id):
    session = replace(ASLEEP, client_id=client_id)

    await store.put(session)

    assert await store.find(ONE, client_id, at_ms=0) == session


async def test_putting_a_session_again_replaces_what_is_kept_of_it(store):
    await store.put(ASLEEP)
    changed = replace(ASLEEP, subscriptions=(COMMANDS,), expires_after_s=30, expires_at_ms=None)

    await store.put(changed)

    assert await store.find(ONE, "sensor", at_ms=0) == changed


async def test_a_new_session_takes_the_place_of_the_client_s_former_one(store):
    await store.put(ASLEEP)
    new = replace(ASLEEP, id="s2", subscriptions=())

    await store.put(new)

    assert await store.find(ONE, "sensor", at_ms=0) == new
    assert await store.gone(at_ms=0, limit=10) == ["s1"]


async def test_for_an_unknown_holder_nothing_is_kept(store):
    for number, kind in enumerate(HolderKind):
        holder = Holder(kind, "nobody")
        await store.put(replace(ASLEEP, id=f"s{number}", holder=holder))

        assert await store.find(holder, "sensor", at_ms=0) is None


async def put_several(store, *expirations):
    for number, expires_at_ms in enumerate(expirations, 1):
        await store.put(
            replace(ASLEEP, id=f"s{number}", client_id=f"c{number}", expires_at_ms=expires_at_ms)
        )


async def test_a_holder_has_as_many_sessions_as_it_may(store):
    await put_several(store, 900, 800, 700)

    assert await ids(store) == ["s1", "s2", "s3"]


async def test_of_too_many_sessions_the_one_that_expires_first_goes(store):
    await put_several(store, 900, 700, 800, 600)

    assert await ids(store) == ["s1", "s3", "s4"]
    assert await store.gone(at_ms=0, limit=10) == ["s2"]


async def test_connected_sessions_stay_however_many_they_are(store):
    await put_several(store, None, None, None, 900, None)

    assert await ids(store) == ["s1", "s2", "s3", "s5"]


async def test_sessions_of_others_do_not_count(store, make):
    await make.thing("two")
    await put_several(store, 900, 800, 700)

    await store.put(replace(ASLEEP, id="s4", holder=Holder(HolderKind.THING, "two")))

    assert await ids(store) == ["s1", "s2", "s3", "s4"]


async def test_a_mark_tells_how_far_subscriptions_came_and_when_the_session_expires(store):
    await store.put(ASLEEP)
    came_to = replace(VALUES, after=9)
    unknown = KeptSubscription("other", 1, 5)

    await store.mark(
        [
            replace(
                ASLEEP, subscriptions=(came_to, unknown), expires_after_s=5, expires_at_ms=None
            ),
            replace(ASLEEP, id="unknown"),
        ]
    )

    assert await store.find(ONE, "sensor", at_ms=0) == replace(
        ASLEEP, subscriptions=(came_to, COMMANDS), expires_after_s=5, expires_at_ms=None
    )


async def test_sessions_without_subscriptions_are_marked_too(store):
    await store.put(replace(ASLEEP, subscriptions=()))

    await store.mark([replace(ASLEEP, subscriptions=(), expires_at_ms=5_000)])

    found = await store.find(ONE, "sensor", at_ms=1_000)
    assert found.expires_at_ms == 5_000


async def test_of_several_marks_of_one_session_the_last_one_counts(store):
    await store.put(ASLEEP)

    await store.mark([replace(ASLEEP, expires_at_ms=at_ms) for at_ms in (None, 3_000)])

    found = await store.find(ONE, "sensor", at_ms=0)
    assert found.expires_at_ms == 3_000


async def test_a_deleted_session_is_gone_and_told_until_it_is_crossed_off(store):
    await store.put(ASLEEP)

    for _ in range(2):
        await store.delete("s1")
    await store.delete("unknown")

    assert await store.find(ONE, "sensor", at_ms=0) is None
    assert await store.gone(at_ms=0, limit=10) == ["s1"]
    for _ in range(2):
        await store.cross_off(["s1"])
    assert await store.gone(at_ms=0, limit=10) == []


async def test_an_id_may_be_deleted_put_and_deleted_again(store):
    for _ in range(2):
        await store.put(ASLEEP)
        await store.delete("s1")

    assert await store.gone(at_ms=0, limit=10) == ["s1"]


async def test_expired_sessions_go_page_by_page(store):
    await put_several(store, 900, 800, 1_000)

    told = [await store.gone(at_ms=900, limit=1)]
    await store.cross_off(told[0])
    told.append(await store.gone(at_ms=900, limit=1))
    await store.cross_off(told[1])
    told.append(await store.gone(at_ms=900, limit=1))

    assert sorted(told[0] + told[1]) == ["s1", "s2"]
    assert told[2] == []
    assert await ids(store) == ["s3"]


async def test_at_a_start_all_are_away_from_then_on(store):
    await store.put(replace(ASLEEP, expires_at_ms=None))

    (session,) = await store.away(at_ms=5_000, after="", limit=10)

    assert session == replace(ASLEEP, expires_at_ms=5_000 + 60_000)
    assert await store.find(ONE, "sensor", at_ms=65_000) is None
    # A second start counts nothing anew.
    assert await store.away(at_ms=6_000, after="", limit=10) == [session]


async def test_one_that_was_not_to_outlast_its_connection_has_expired_at_a_start(store):
    await store.put(replace(ASLEEP, expires_after_s=0, expires_at_ms=None))

    assert await store.away(at_ms=5_000, after="", limit=10) == []
    assert await store.gone(at_ms=5_000, limit=10) == ["s1"]


async def test_those_away_come_page_by_page(store):
    await put_several(store, 900, 100, 800)

    pages = [await store.away(at_ms=100, after=after, limit=1) for after in ("", "s1", "s3")]

    assert [[session.id for session in page] for page in pages] == [["s1"], ["s3"], []]


async def test_a_deleted_thing_s_sessions_are_gone(store, core):
    await store.put(ASLEEP)

    await core.things.delete_thing("one", at_ms=2)

    assert await store.find(ONE, "sensor", at_ms=0) is None
    assert await store.gone(at_ms=0, limit=10) == ["s1"]


async def test_a_deleted_user_s_sessions_are_gone(store, core, make):
    for name in ("ada", "bob"):
        await make.user(name)
        await store.put(replace(ASLEEP, id=name, holder=Holder(HolderKind.USER, name)))

    await core.accounts.delete_user("ada", at_ms=2)

    assert await ids(store) == ["bob"]
    assert await store.gone(at_ms=0, limit=10) == ["ada"]


async def test_sessions_are_there_after_a_restart(store, core, open_again, seal):
    await store.put(ASLEEP)
    await core.close()

    again = (await open_again()).kept_sessions(seal, LIMITS)

    assert await again.find(ONE, "sensor", at_ms=0) == ASLEEP
