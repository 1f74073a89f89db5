"""A listing of things that is broken off says how to go on, and can be gone on with."""

import asyncio
from types import SimpleNamespace

import pytest

from doubles.campaign_rig import CampaignRig
from thingstead.cli.campaign import _prepared
from thingstead.features.campaigns.model import CampaignPlan, CampaignState


@pytest.fixture
async def rig():
    rig = CampaignRig()
    rig.things(3_000)
    return rig


async def test_breaking_off_with_ctrl_c_leaves_a_listing_to_go_on_with(rig, capsys):
    firmware = await rig.firmware("2.0")
    campaign = await rig.service.create(CampaignPlan(firmware_id=firmware.id, name="2.0"))
    administration = SimpleNamespace(campaigns=CancelledOnTheWay(rig.service))

    with pytest.raises(asyncio.CancelledError):
        await _prepared(administration, campaign, is_silent=True)

    said = capsys.readouterr()
    assert f"Go on with: thingstead campaign resume {campaign.id} " in said.err
    assert said.out == ""
    left = await rig.service.get(campaign.id)
    assert (left.state, left.prepared_to is None) == (CampaignState.PREPARING, False)
    going_on = SimpleNamespace(campaigns=rig.service)
    finished = await _prepared(going_on, left, is_silent=True)
    assert finished.state is CampaignState.RUNNING
    assert len([one async for one in rig.service.members(campaign.id)]) == 3_000


class CancelledOnTheWay:
    """Campaigns whose listing meets what Ctrl-C causes after the second page."""

    def __init__(self, campaigns):
        self._campaigns = campaigns

    async def prepare(self, campaign, *, progress):
        def told(listed):
            progress(listed)
            if listed == 2_000:
                raise asyncio.CancelledError

        return await self._campaigns.prepare(campaign, progress=told)
