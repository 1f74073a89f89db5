"""The limits of messaging sessions that can be set, at n and at n + 1, through the platform."""

import pytest

from doubles.clock import ManualClock
from support.in_process import served
from thingstead.bootstrap import administration
from thingstead.features.kept_sessions.model import Holder, HolderKind, WaitingMessage
from thingstead.limit_settings import LimitSettings


@pytest.fixture
def clock(monkeypatch):
    """The clock of every platform that is opened."""
    standing = ManualClock()
    monkeypatch.setattr(administration, "SystemClock", lambda: standing)
    return standing


@pytest.fixture
def start(tmp_path, clock):
    """Start a server with the limits given."""

    def started(limits):
        return served(tmp_path / "folder", has_lane=False, limits=limits)

    return started


async def asleep(server, holder):
    """A session of the holder that is to last for long, whose client is away."""
    kept = server.platform.kept_sessions
    session, _ = await kept.open(holder, "sensor", is_clean=False, expires_after_s=2**32 - 1)
    await kept.leave(session.id, (), by_thing={})
    return session


async def new_holder(server):
    return Holder(HolderKind.THING, (await server.new_thing()).thing.id)


@pytest.mark.parametrize(("count", "kept"), [(3, 3), (4, 3)])
async def test_as_many_relayed_messages_are_kept_for_a_session_as_may(start, count, kept):
    async with start(LimitSettings(mqtt_offline_messages=3)) as server:
        session = await asleep(server, await new_holder(server))
        messages = [WaitingMessage("cmd", b"%d" % number) for number in range(count)]

        await server.platform.kept_sessions.keep([(session.id, one) for one in messages])

        waiting = await server.platform.kept_sessions.waiting(session.id)
        assert [one.payload for one in waiting] == [one.payload for one in messages[-kept:]]


@pytest.mark.parametrize(("seconds", "expected"), [(7_199, True), (7_200, False)])
async def test_a_session_is_kept_without_a_connection_for_as_long_as_may_be(
    start, clock, seconds, expected
):
    async with start(LimitSettings(mqtt_session_hours=2)) as server:
        holder = await new_holder(server)
        await asleep(server, holder)

        clock.advance(seconds)

        _, is_present = await server.platform.kept_sessions.open(
            holder, "sensor", is_clean=False, expires_after_s=1
        )
        assert is_present is expected
