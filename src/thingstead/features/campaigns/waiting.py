"""What a thing of a campaign waits for, in words for operators.

Pure. By what a thing that asks is told the same stands in `features/firmware/eligibility.py`.
"""

from thingstead.features.campaigns.model import ENDED, OFFERING, Campaign, CampaignState
from thingstead.features.firmware.model import Firmware, FirmwareState, Update
from thingstead.kernel.instants import format_instant


def waits_for(campaign: Campaign, firmware: Firmware, update: Update, *, now_ms: int) -> str:
    """Return why the update, which is WAITING, has come no further; a clause without an end mark.

    `campaign`: the one that the thing is a target of, which brings `firmware`.
    """
    if campaign.state in ENDED:
        return f"the campaign is {campaign.state}"
    if campaign.state is CampaignState.PREPARING:
        return "the campaign still lists its things"
    if update.ring > campaign.open_ring:
        return "its ring is not open"
    if campaign.state not in OFFERING:
        return f"the campaign is {campaign.state}"
    if update.failures >= campaign.plan.attempts:
        return f"it failed {update.failures} times before, until an operator releases it"
    return _by_image(firmware, now_ms)


def _by_image(firmware: Firmware, now_ms: int) -> str:
    if firmware.state is not FirmwareState.PUBLISHED:
        return f"the image is {firmware.state}"
    if firmware.expires_at_ms is not None and firmware.expires_at_ms <= now_ms:
        return f"the image has expired on {format_instant(firmware.expires_at_ms)}"
    if firmware.not_before_ms is not None and firmware.not_before_ms > now_ms:
        return f"the image is offered from {format_instant(firmware.not_before_ms)} on"
    if firmware.min_version is not None:
        return f"it has not asked and said that it runs {firmware.min_version} or newer"
    return "its ring is open, and it has not asked since"
