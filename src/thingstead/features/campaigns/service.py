"""Campaigns as operators and the engine use them; each change is one compare-and-set.

What several do at once is therefore never lost: who comes second reads again, and goes on from
there or is refused with what the state is now. Rules are in `planning`, `moves` and `judging`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

from thingstead.features.campaigns import moves
from thingstead.features.campaigns.errors import (
    CampaignExistsError,
    CampaignNotFoundError,
)
from thingstead.features.campaigns.judging import Counts, judge
from thingstead.features.campaigns.model import Campaign, CampaignPlan, CampaignState
from thingstead.features.campaigns.planning import check_plan
from thingstead.features.campaigns.ports import CampaignStore, Candidate, Joining
from thingstead.features.campaigns.progress import Progress, progress_of
from thingstead.features.campaigns.reverting import Reverting
from thingstead.features.campaigns.rings import ring_of
from thingstead.features.firmware.errors import (
    FirmwareNotFoundError,
    InvalidSignatureError,
    SignatureMissingError,
    WrongFirmwareStateError,
)
from thingstead.features.firmware.model import (
    Firmware,
    FirmwareState,
    Signature,
    Update,
    UpdateState,
)
from thingstead.features.firmware.ports import FirmwareStore
from thingstead.features.firmware.publishing import Publishing
from thingstead.features.firmware.versions import is_same, version_key
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import CampaignId, FirmwareId, IdSource, ProductId, ThingId

_PAGE = 1_000
_CAMPAIGNS_PAGE = 100
_TRIES = 5
_USABLE = frozenset({FirmwareState.DRAFT, FirmwareState.PUBLISHED})

_Move = Callable[[Campaign, Counts, int], Campaign | None]


class Campaigns:
    """Creates, runs, stops and shows campaigns."""

    def __init__(
        self,
        store: CampaignStore,
        publishing: Publishing,
        firmwares: FirmwareStore,
        changes: Changes,
        *,
        ids: IdSource,
        clock: Clock,
    ) -> None:
        self._store = store
        self._publishing = publishing
        self._firmwares = firmwares
        self._changes = changes
        self._ids = ids
        self._clock = clock
        self._reverting = Reverting(store, publishing, firmwares)

    async def create(self, plan: CampaignPlan) -> Campaign:
        """Store a campaign; it is PREPARING until `prepare` has listed its things.

        From now on its image, published already or not, is offered to no thing outside it.

        Raises:
            InvalidCampaignError: the plan cannot be carried out.
            FirmwareNotFoundError: there is no such image.
            WrongFirmwareStateError: the image is deprecated or revoked.
            SignatureMissingError, InvalidSignatureError: it is a draft, and may not be published.
            CampaignExistsError: the image is in a campaign that has not ended.
        """
        checked = check_plan(plan)
        firmware = await self._firmware(checked.firmware_id)
        _check_usable(firmware)
        await self._publishing.check_releasable(firmware)
        now_ms = self._clock.now_ms()
        campaign = await self._store.add(
            CampaignId(self._ids.sortable_id(now_ms)), checked, firmware, at_ms=now_ms
        )
        if campaign is None:
            raise CampaignExistsError(f"firmware {firmware.id}")
        self._tell(campaign)
        return campaign

    async def prepare(
        self, campaign: Campaign, *, progress: Callable[[int], None] | None = None
    ) -> Campaign:
        """List the things of a PREPARING campaign and have it run; a draft image is published.

        May be broken off at any moment and repeated, and several may do it at once. `progress`
        is told how many things this call has listed. Returns the campaign as it is then, which
        is CANCELLED when its image may not be given out; one that is not PREPARING is left as it
        is.

        Raises:
            FirmwareNotFoundError: its image is gone.
        """
        firmware = await self._firmware(campaign.firmware_id)
        listed = 0
        while campaign.state is CampaignState.PREPARING:
            why_not = await self._why_not_given_out(firmware)
            if why_not is not None:
                return await self._move(campaign.id, partial(_given_up, why_not))
            page = await self._store.candidates(
                campaign.product_id,
                campaign.mcu,
                campaign.plan.target,
                after=None if campaign.prepared_to is None else ThingId(campaign.prepared_to),
                limit=_PAGE,
            )
            await self._join(campaign, firmware, page)
            listed += len(page)
            if progress is not None:
                progress(listed)
            campaign = await self._listed(campaign, page)
            firmware = await self._firmware(campaign.firmware_id)
        return campaign

    async def get(self, campaign_id: CampaignId) -> Campaign:
        """Return the campaign.

        Raises:
            CampaignNotFoundError: there is none.
        """
        campaign = await self._store.get(campaign_id)
        if campaign is None:
            raise CampaignNotFoundError(f"id {campaign_id[:64]}")
        return campaign

    async def all(self, product_id: ProductId | None = None) -> AsyncIterator[Campaign]:
        """Yield the campaigns, of one product or of all, newest first."""
        after: CampaignId | None = None
        while True:
            page = await self._store.page(product_id, after=after, limit=_CAMPAIGNS_PAGE)
            for campaign in page:
                yield campaign
            if len(page) < _CAMPAIGNS_PAGE:
                return
            after = page[-1].id

    async def pause(self, campaign_id: CampaignId) -> Campaign:
        """Offer nothing new until `resume`; downloads that had begun may finish.

        Raises:
            CampaignNotFoundError: there is none.
            WrongCampaignStateError: it is neither RUNNING nor FINISHED nor PAUSED.
        """
        return await self._move(campaign_id, moves.paused)

    async def resume(self, campaign_id: CampaignId) -> Campaign:
        """Go on after a pause, a halt, or a broken-off preparation.

        What failed so far is forgiven: only what fails from now on halts the campaign again.

        Raises:
            CampaignNotFoundError: there is none.
            WrongCampaignStateError: it has ended.
            WrongFirmwareStateError: its image is deprecated or revoked.
        """
        campaign = await self.get(campaign_id)
        if campaign.state is CampaignState.PREPARING:
            return await self.prepare(campaign)
        if campaign.state in {CampaignState.PAUSED, CampaignState.HALTED}:
            _check_usable(await self._firmware(campaign.firmware_id))
        return await self._move(campaign_id, moves.resumed)

    async def advance(self, campaign_id: CampaignId) -> Campaign:
        """Open the next ring of a RUNNING campaign, whatever its gate says.

        When the gate opened it meanwhile, no further one is opened.

        Raises:
            CampaignNotFoundError: there is none.
            WrongCampaignStateError: it does not run, or all rings are open.
        """
        seen = (await self.get(campaign_id)).open_ring

        def advanced(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
            return None if campaign.open_ring > seen else moves.advanced(campaign, counts, now_ms)

        return await self._move(campaign_id, advanced)

    async def cancel(self, campaign_id: CampaignId) -> Campaign:
        """End the campaign: its image is offered to nobody any more.

        Raises:
            CampaignNotFoundError: there is none.
            WrongCampaignStateError: it is REVERTED.
        """
        return await self._move(campaign_id, moves.cancelled)

    async def revert(
        self,
        campaign_id: CampaignId,
        to: FirmwareId | None = None,
        *,
        signature: Signature | None = None,
        sequence: int | None = None,
    ) -> tuple[Campaign, Firmware]:
        """Revoke the campaign's image and bring an earlier one back, under a new sequence.

        `to`: which one; None is the published one before. `signature`, over the manifest with
        the new `sequence`, is for products that demand one. Repeating it finishes what a crash
        broke off, and brings nothing back twice. Returns the campaign and the image that is back.

        Raises:
            CampaignNotFoundError: there is none.
            WrongCampaignStateError: it is PREPARING.
            FirmwareNotFoundError: there is no earlier image, or not this one.
            InvalidCampaignError: the image to go back to is not an earlier one of the same MCU.
            WrongFirmwareStateError: the image to go back to is a draft or revoked.
            SignatureMissingError: the product demands one; nothing was changed.
            InvalidSignatureError, FirmwareExistsError: the image is revoked, and nothing is back;
                repeat it with what is right.
        """
        campaign = await self.get(campaign_id)
        moves.check_may_be_reverted(campaign)
        back, words = await self._reverting.revert(
            campaign, to, signature=signature, sequence=sequence
        )
        return await self._move(campaign_id, partial(_reverted, words)), back

    async def members(
        self, campaign_id: CampaignId, states: Sequence[UpdateState] = ()
    ) -> AsyncIterator[Update]:
        """Yield the updates of the campaign's things in these states (all), by thing.

        Raises:
            CampaignNotFoundError: there is none.
        """
        await self.get(campaign_id)
        after: ThingId | None = None
        while True:
            page = await self._store.members(campaign_id, states=states, after=after, limit=_PAGE)
            for update in page:
                yield update
            if len(page) < _PAGE:
                return
            after = page[-1].thing_id

    async def progress(self, campaign_id: CampaignId) -> Progress:
        """Return how far the campaign has come.

        Raises:
            CampaignNotFoundError: there is none.
        """
        campaign = await self.get(campaign_id)
        return progress_of(campaign, await self._store.counts(campaign_id))

    async def judge(self, campaign: Campaign) -> Campaign:
        """Open rings, halt or finish the campaign as its counts demand."""
        return await self._move(campaign.id, judge)

    async def follow_image(self, campaign: Campaign) -> Campaign:
        """Stop the campaign when its image may be offered no more."""
        firmware = await self._firmware(campaign.firmware_id)
        if firmware.state is FirmwareState.PUBLISHED:
            return campaign
        return await self._move(campaign.id, partial(_withdrawn, firmware.state))

    async def _move(self, campaign_id: CampaignId, move: _Move) -> Campaign:
        """Change the campaign as `move` says, which sees it and its counts as they are."""
        for _ in range(_TRIES):
            campaign = await self.get(campaign_id)
            wanted = move(campaign, await self._store.counts(campaign_id), self._clock.now_ms())
            if wanted is None:
                return campaign
            stored = await self._store.change(wanted)
            if stored is not None:
                self._tell(stored)
                return stored
        raise moves.refusal(await self.get(campaign_id), "others keep changing the campaign")

    async def _join(
        self, campaign: Campaign, firmware: Firmware, page: Sequence[Candidate]
    ) -> None:
        if not page:
            return
        joining = [
            Joining(
                thing_id=candidate.thing_id,
                ring=ring_of(campaign.id, candidate.thing_id, campaign.plan.rings),
                is_current=is_current(firmware, candidate.version),
            )
            for candidate in page
        ]
        await self._store.join(campaign, joining, at_ms=self._clock.now_ms())

    async def _listed(self, campaign: Campaign, page: Sequence[Candidate]) -> Campaign:
        """Note how far the listing is, and begin after the last page.

        Returns the campaign as it is, which is what others made of it when they were first.
        """
        now_ms = self._clock.now_ms()
        if len(page) == _PAGE:
            to = page[-1].thing_id
            wanted = replace(campaign, prepared_to=to, changed_at_ms=now_ms)
        else:
            wanted = moves.begun(campaign, await self._store.counts(campaign.id), now_ms)
        begins = wanted.state is CampaignState.RUNNING
        stored = await self._store.change(wanted, publishes=begins)
        if stored is None:
            return await self.get(campaign.id)
        if begins:
            self._tell(stored)
        return stored

    async def _why_not_given_out(self, firmware: Firmware) -> str | None:
        if firmware.state not in _USABLE:
            return f"its image was {firmware.state}"
        try:
            await self._publishing.check_releasable(firmware)
        except (SignatureMissingError, InvalidSignatureError) as refusal:
            return f"its image may not be published ({refusal})"
        return None

    async def _firmware(self, firmware_id: FirmwareId) -> Firmware:
        firmware = await self._firmwares.get(firmware_id)
        if firmware is None:
            raise FirmwareNotFoundError(f"id {firmware_id[:64]}")
        return firmware

    def _tell(self, campaign: Campaign) -> None:
        self._changes.tell(Kind.FIRMWARE, str(campaign.product_id))


def is_current(firmware: Firmware, version: str | None) -> bool:
    """Return whether a thing that reports the version has no need of the image.

    One that brings an earlier version back is also for things that run a newer one.
    """
    if version is None:
        return False
    if is_same(version, firmware.version):
        return True
    return not firmware.is_revert and version_key(version) >= version_key(firmware.version)


def _check_usable(firmware: Firmware) -> None:
    if firmware.state not in _USABLE:
        raise WrongFirmwareStateError(f"the image is {firmware.state}")


def _given_up(why: str, campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
    return moves.given_up(campaign, why, counts, now_ms)


def _withdrawn(
    state: FirmwareState, campaign: Campaign, counts: Counts, now_ms: int
) -> Campaign | None:
    return moves.withdrawn(campaign, state, counts, now_ms)


def _reverted(words: str, campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
    return moves.reverted(campaign, words, counts, now_ms)
