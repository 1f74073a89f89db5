"""Whatever a thing, its campaign and its operators do: what holds at every moment."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from doubles.offer_rig import OfferRig
from thingstead.features.campaigns.model import ENDED, OFFERING, CampaignState
from thingstead.features.firmware.errors import FirmwareNotFoundError, UpdateNotFoundError
from thingstead.features.firmware.model import FirmwareState, Report, UpdateState
from thingstead.features.firmware.status import Execution, Result, Status

S = UpdateState
VERSIONS = ("1.0", "1.1", "1.2", "1.3", "nonsense")
IMAGES = st.integers(0, 3)
HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("poll"), st.sampled_from([None, *VERSIONS])),
        st.tuples(st.just("report"), st.sampled_from(VERSIONS)),
        st.tuples(st.just("fetch"), IMAGES),
        st.tuples(st.just("finish"), IMAGES),
        st.tuples(
            st.just("say"), st.tuples(IMAGES, st.sampled_from(Execution), st.sampled_from(Result))
        ),
        st.tuples(st.just("write"), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 31, 60, 3_600])),
        st.tuples(st.just("release"), IMAGES),
        st.tuples(st.just("campaign"), st.sampled_from(CampaignState)),
        st.tuples(st.just("withdraw"), st.tuples(IMAGES, st.sampled_from(FirmwareState))),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=25,
)


class Life:
    """A thing, four images (the third in a campaign, the last a revert), and what happens."""

    async def begin(self):
        self.rig = OfferRig()
        self.thing = self.rig.thing("one")
        self.images = [await self.rig.image(version) for version in ("1.1", "1.2", "1.3")]
        self.campaign = await self.rig.campaign(self.images[2], [self.thing], soak_s=60)
        self.images.append(await self.rig.image("1.2", is_revert=True))

    async def happen(self, what, detail):
        """Let it happen, and return what was offered by it."""
        rig, following, thing = self.rig, self.rig.following, self.thing
        match what:
            case "poll":
                return (await rig.poll(thing, detail)).firmwares
            case "report":
                await following.heard(thing, Report(None, detail))
            case "fetch" | "finish":
                await self.fetch(self.images[detail], is_whole=what == "finish")
            case "say":
                image, execution, result = detail
                await following.said(thing, self.images[image].id, Status(execution, result))
            case "write":
                await following.wrote(thing.id)
            case "wait":
                rig.clock.advance(detail)
            case "release":
                await following.release(thing.id, self.images[detail].id)
            case "campaign":
                self.campaign = await rig.change(self.campaign, state=detail)
            case "withdraw":
                image, state = detail
                await rig.set_state(self.images[image], state)
            case _:
                rig.start()
        return ()

    async def fetch(self, image, *, is_whole):
        found = await self.rig.offers.find(self.thing, image.id)
        async with self.rig.offers.download(self.thing, found) as download:
            await download.begun()
            if is_whole:
                await download.finished()

    async def updates(self):
        record = await self.rig.store.record(self.thing.id)
        return {update.firmware_id: update for update in record.updates}

    def image_of(self, update):
        return next(image for image in self.images if image.id == update.firmware_id)


async def check(life, happenings):
    await life.begin()
    for what, detail in happenings:
        before = await life.updates()
        try:
            offered = await life.happen(what, detail)
        except (FirmwareNotFoundError, UpdateNotFoundError):
            offered = ()
        after = await life.updates()
        check_offers(life, offered, after)
        for firmware_id, update in after.items():
            check_update(life, what, before.get(firmware_id), update)


def check_offers(life, offered, after):
    rows = life.rig.organisation.firmware.firmwares
    for firmware in offered:
        assert after[firmware.id].state is not S.BLOCKED
        assert rows[firmware.id].state is FirmwareState.PUBLISHED
        if firmware.id == life.campaign.firmware_id:
            assert life.campaign.state in OFFERING
            assert life.campaign.state not in ENDED


def check_update(life, what, before, update):
    if before is not None and before.failures > update.failures:
        assert what == "release"
    if before is not None and before.state is S.BLOCKED and update.state is not S.BLOCKED:
        assert what in ("release", "poll", "report", "say")
        assert update.state in (S.WAITING, S.REPORTED)
    if update.state in (S.FAILED, S.BLOCKED, S.CURRENT):
        assert update.reason
    if update.state in (S.REPORTED, S.SUCCEEDED):
        assert update.reported_at_ms is not None
        (running,) = [
            row
            for (thing_id, _), row in life.rig.organisation.firmware.running.items()
            if thing_id == update.thing_id
        ]
        if before is None or before.state is not update.state:
            assert running.version == life.image_of(update).version


@given(HAPPENINGS)
@settings(max_examples=200, deadline=None)
def test_what_holds_at_every_moment(happenings):
    asyncio.run(check(Life(), happenings))
