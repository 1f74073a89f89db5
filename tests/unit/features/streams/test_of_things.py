"""Streams of a thing whose epoch ends while they are open: nothing of the next one is missed."""

import pytest

from doubles.clock import ManualClock
from doubles.core import MemoryCore
from doubles.ids import SequentialIds
from doubles.replays import History
from doubles.sealing import PlainSeal
from thingstead.bus.memory import MemoryBus
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Missed
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import LiveLimits
from thingstead.features.products.service import Products
from thingstead.features.streams.service import Streams
from thingstead.features.things.service import ThingLimits, Things
from thingstead.features.values.model import StoredValue
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.known_tokens import TokenLimits

RATE = Rate(per_second=1_000, burst=1_000)
LIMITS = ThingLimits(
    tokens=TokenLimits(kept=10, bad=RATE, spare=RATE), bad_codes=RATE, spare_codes=RATE
)


class EpochHistory(History):
    """What was written, by the epochs that may be seen."""

    async def missed(self, sources, *, key, after):
        assert key is None
        page = await super().missed(after)
        epochs = {epoch for source in sources for epoch in source.epochs}
        events = [event for event in page.events if event.epoch in epochs]
        return Missed(events, page.scanned_to, page.is_complete, page.has_gap)

    async def head(self):
        return self.newest


class Rig:
    def __init__(self):
        self.core = MemoryCore()
        self.history = EpochHistory(MemoryBus())
        live = Live(self.history.bus, LiveLimits())
        clock, ids = ManualClock(), SequentialIds()
        self.changes = Changes(self.core.change_signal, clock)
        self.things = Things(
            self.core.things, PlainSeal(), self.changes, ids=ids, clock=clock, limits=LIMITS
        )
        self.products = Products(
            self.core.products, PlainSeal(), self.changes, ids=ids, clock=clock
        )
        self.changes.listen(Kind.THING, live.recheck)
        # Streams of things ask for no resource and no collection.
        self.streams = Streams(live, self.things, None, None, self.history)

    async def open(self):
        product = await self.products.create("Weather station")
        self.new = await self.things.create(product.id)
        return await self.streams.of_thing(self.new.token, address=None)

    def end_epoch(self):
        """As unlinking does: whoever writes from now on writes to the next one."""
        organisation = self.core.things._organisation
        organisation.epoch[self.new.thing.id] = organisation.epoch.get(self.new.thing.id, 0) + 1
        organisation.announce(things=[self.new.thing.id])
        self.changes.look_now()

    def write(self, sequence, epoch):
        value = StoredValue("t", sequence, 0)
        self.history.happen(LiveEvent(self.new.thing.id, sequence, (value,), epoch))


@pytest.fixture
def rig():
    return Rig()


def told(stream):
    events = [event for event in stream.subscription.take() if stream.accepts(event)]
    return [event.sequence for event in events]


async def test_what_is_written_before_the_stream_has_looked_again_is_heard(rig):
    stream = await rig.open()
    rig.end_epoch()
    rig.write(1, 1)

    assert stream.subscription.takes_recheck()
    await stream.recheck()
    stream.subscription.sift()

    assert told(stream) == [1]


async def test_what_belongs_to_the_former_epoch_is_heard_no_more(rig):
    stream = await rig.open()
    rig.write(1, 0)
    rig.end_epoch()
    await stream.recheck()
    rig.write(2, 0)
    rig.write(3, 1)

    assert told(stream) == [3]


async def test_what_is_written_while_the_last_page_goes_out_is_told_too(rig):
    stream = await rig.open()
    rig.write(1, 0)

    heard = []
    async for page in stream.missed(0):
        heard += [event.sequence for event in page.events]
        if heard == [1]:
            rig.end_epoch()
            rig.write(2, 1)

    assert heard + told(stream) == [1, 2]


async def test_what_was_written_before_a_page_is_looked_for_is_told_too(rig):
    stream = await rig.open()
    rig.write(1, 0)
    rig.end_epoch()
    rig.write(2, 1)

    heard = [event.sequence async for page in stream.missed(0) for event in page.events]

    assert heard + told(stream) == [2]
