"""Nothing waits without a reason."""

import pytest

from doubles.campaign_plans import NOW, campaign, plan
from doubles.hawkbit import firmware
from thingstead.features.campaigns.model import CampaignState
from thingstead.features.campaigns.waiting import waits_for
from thingstead.features.firmware.model import FirmwareState, Update, UpdateState
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId

S = CampaignState


def waiting(ring=0, failures=0):
    return Update(
        thing_id=ThingId("thing"),
        firmware_id=FirmwareId("image"),
        product_id=ProductId(1),
        mcu="main",
        ring=ring,
        failures=failures,
        state=UpdateState.WAITING,
        changed_at_ms=NOW,
    )


@pytest.mark.parametrize(
    ("state", "ring", "words"),
    [
        (S.PREPARING, 0, "the campaign still lists its things"),
        (S.RUNNING, 0, "its ring is open, and it has not asked since"),
        (S.RUNNING, 1, "its ring is open, and it has not asked since"),
        (S.RUNNING, 2, "its ring is not open"),
        (S.FINISHED, 1, "its ring is open, and it has not asked since"),
        (S.PAUSED, 1, "the campaign is paused"),
        (S.PAUSED, 2, "its ring is not open"),
        (S.HALTED, 0, "the campaign is halted"),
        (S.CANCELLED, 2, "the campaign is cancelled"),
        (S.REVERTED, 0, "the campaign is reverted"),
    ],
)
def test_the_campaign_and_the_ring_come_first(state, ring, words):
    said = waits_for(campaign(state=state, open_ring=1), firmware(), waiting(ring), now_ms=NOW)

    assert said == words


@pytest.mark.parametrize(
    ("of_image", "words"),
    [
        ({"state": FirmwareState.DEPRECATED}, "the image is deprecated"),
        ({"expires_at_ms": NOW}, "the image has expired on 1970-01-01T00:16:40.000Z"),
        ({"expires_at_ms": NOW + 1}, "its ring is open, and it has not asked since"),
        ({"not_before_ms": NOW}, "its ring is open, and it has not asked since"),
        ({"not_before_ms": NOW + 1}, "the image is offered from 1970-01-01T00:16:40.001Z on"),
        ({"min_version": "1.5"}, "it has not asked and said that it runs 1.5 or newer"),
    ],
)
def test_then_what_the_image_demands(of_image, words):
    said = waits_for(campaign(), firmware(**of_image), waiting(), now_ms=NOW)

    assert said == words


@pytest.mark.parametrize(
    ("failures", "words"),
    [
        (1, "its ring is open, and it has not asked since"),
        (2, "it failed 2 times before, until an operator releases it"),
    ],
)
def test_what_failed_too_often_in_an_earlier_campaign_waits_for_an_operator(failures, words):
    strict = campaign(plan=plan(attempts=2))

    assert waits_for(strict, firmware(), waiting(failures=failures), now_ms=NOW) == words
