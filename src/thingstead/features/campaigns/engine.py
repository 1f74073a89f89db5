"""What keeps campaigns going: it lists left-behind things, ends overdue updates, and judges.

All of it works on rows alone: it may be stopped at any moment, run in several processes, or be
started again, and comes to the same result.
"""

from itertools import groupby

from thingstead.features.campaigns.model import Campaign, CampaignState
from thingstead.features.campaigns.ports import CampaignStore
from thingstead.features.campaigns.service import Campaigns
from thingstead.features.firmware.model import Update, UpdateState
from thingstead.features.firmware.updates import Updates
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import ThingsteadError

_LEFT_BEHIND_MS = 30_000
"""Nobody has listed a page of things for so long: whoever did has gone."""
_PAGE = 1_000
_PAGES_A_TICK = 20

_WHAT_DID_NOT_HAPPEN = {
    UpdateState.DOWNLOADING: "the download did not go on or end within {}",
    UpdateState.DOWNLOADED: "the thing did not report the version within {} after the download",
    UpdateState.INSTALLING: "the thing did not report the version within {} after it installed",
    UpdateState.REPORTED: "the thing ran the version, but did not prove that it works within {}",
}


class Engine:
    """Looks after all campaigns that have something to do."""

    def __init__(
        self, store: CampaignStore, updates: Updates, campaigns: Campaigns, clock: Clock
    ) -> None:
        self._store = store
        self._updates = updates
        self._campaigns = campaigns
        self._clock = clock

    async def tick(self) -> None:
        """Do for each campaign what is due.

        One that cannot be looked after keeps none of the others from it.

        Raises:
            ThingsteadError: the first that any campaign met, when all were looked at.
        """
        first: ThingsteadError | None = None
        for campaign in await self._store.at_work():
            try:
                await self._look_after(campaign)
            except ThingsteadError as error:
                first = first or error
        if first is not None:
            raise first

    async def _look_after(self, campaign: Campaign) -> None:
        if campaign.state is CampaignState.PREPARING:
            if self._clock.now_ms() - campaign.changed_at_ms < _LEFT_BEHIND_MS:
                return
            campaign = await self._campaigns.prepare(campaign)
        campaign = await self._campaigns.follow_image(campaign)
        if campaign.state is CampaignState.RUNNING:
            await self._time_out(campaign)
            await self._campaigns.judge(campaign)

    async def _time_out(self, campaign: Campaign) -> None:
        """Count as failed what has taken longer than the campaign's patience."""
        before_ms = self._clock.now_ms() - campaign.plan.patience_s * 1_000
        if campaign.resumed_at_ms is not None and campaign.resumed_at_ms > before_ms:
            # Nothing could be downloaded while the campaign stood still.
            return
        for _ in range(_PAGES_A_TICK):
            overdue = await self._store.overdue(campaign.id, before_ms=before_ms, limit=_PAGE)
            await self._end(overdue, duration_words(campaign.plan.patience_s))
            if len(overdue) < _PAGE:
                return

    async def _end(self, overdue: list[Update], patience: str) -> None:
        by_state = sorted(overdue, key=lambda update: update.state)
        for state, updates in groupby(by_state, key=lambda update: update.state):
            await self._updates.timed_out(
                list(updates), _WHAT_DID_NOT_HAPPEN[state].format(patience)
            )


def duration_words(seconds: int) -> str:
    """Return a duration in the largest unit that divides it: `90 min`, `24 h`, `7 d`."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % unit == 0 and seconds > unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
