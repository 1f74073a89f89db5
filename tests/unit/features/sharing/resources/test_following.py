"""Which live events a user's stream of one resource takes, and what it shows of them."""

from dataclasses import dataclass

import pytest

from doubles.callers import a_caller, thing_id
from thingstead.features.live.model import LiveEvent
from thingstead.features.sharing.following import entries_of
from thingstead.features.values.model import MagicEcho, Source, StoredValue

ONE, TWO, THREE = thing_id(1), thing_id(2), thing_id(3)
WARM = StoredValue("temperature", 20, 0)
HUMID = StoredValue("humidity", 50, 0)


def event(*entries, of=ONE, epoch=0):
    return LiveEvent(of, 1, entries or (WARM,), epoch)


@dataclass(frozen=True)
class OtherEvent:
    """Something else that travels on the same bus, under a thing's id by mistake."""

    topic: str = ONE

    def weight(self) -> int:
        return 1


async def test_the_topics_are_the_things_that_may_be_read(resources, ada, bob):
    assert (await resources.follow(ada, "temperature")).topics == (ONE, TWO)
    assert (await resources.follow(bob, "temperature")).topics == (ONE,)
    assert (await resources.follow(bob, "description")).topics == (THREE,)


@pytest.mark.parametrize("name", ["bob", "carl"])
async def test_who_may_read_nothing_follows_nothing(resources, name):
    topics, sources, accepts = await resources.follow(a_caller(name), "humidity")

    assert (topics, sources) == ((), ())
    assert not accepts(event(HUMID))


async def test_following_ends_where_the_app_does(resources):
    following = await resources.follow(a_caller("ada", resources=["humidity"]), "temperature")

    assert following.topics == ()


async def test_an_event_counts_when_it_names_the_resource(resources, bob):
    accepts = (await resources.follow(bob, "temperature")).accepts

    assert accepts(event(HUMID, WARM))
    assert not accepts(event(HUMID))


async def test_an_event_counts_when_its_epoch_may_be_seen(resources, rig, ada, make_owner_reach):
    rig.reaches.of_user["ada"] = make_owner_reach(one=(1, 3))
    following = await resources.follow(ada, "temperature")
    accepts = following.accepts

    assert [epoch for epoch in range(5) if accepts(event(epoch=epoch))] == [1, 3]


async def test_the_sources_are_the_same_things_with_the_epochs_that_may_be_seen(
    resources, rig, ada, make_owner_reach
):
    rig.reaches.of_user["ada"] = make_owner_reach(one=(1, 3))

    topics, sources, _ = await resources.follow(ada, "temperature")

    assert tuple(source.thing_id for source in sources) == topics
    assert sources[0] == Source(ONE, (1, 3))


async def test_an_event_of_another_thing_or_kind_does_not_count(resources, bob):
    accepts = (await resources.follow(bob, "temperature")).accepts

    assert not accepts(event(of=TWO))
    assert not accepts(OtherEvent())


async def test_a_description_is_followed_like_a_resource(resources, bob):
    accepts = (await resources.follow(bob, "description")).accepts

    assert accepts(event(MagicEcho("description", {}), of=THREE))


def test_a_stream_shows_its_own_resource_only():
    door = StoredValue("temperature", 21, 1)

    assert entries_of(event(WARM, HUMID, MagicEcho("$geo", {}), door), "temperature") == (
        WARM,
        door,
    )
