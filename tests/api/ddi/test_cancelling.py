"""How agents of hawkBit are told to stop."""

from dataclasses import replace

import pytest
import pytest_asyncio

from support.hawkbit import is_json, new_agent, publish
from thingstead.features.campaigns.model import CampaignPlan, CampaignState
from thingstead.kernel.changes import Kind

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = b"an image of no bootloader" * 100


@pytest_asyncio.fixture(loop_scope="module", name="working")
async def an_agent_that_has_fetched_an_image(agent):
    await agent.configure(VIN="x")
    await publish(agent.served, agent.product, IMAGE, "1.3.0")
    await agent.download()
    return agent


async def revoke(agent):
    update = await agent.update()
    await agent.served.platform.administration.publishing.revoke(update.firmware_id)


async def test_an_agent_that_was_offered_an_image_is_told_that_it_was_withdrawn(agent):
    await agent.configure(VIN="x")
    await publish(agent.served, agent.product, IMAGE, "1.3.0")
    action, artifact = await agent.deployment()

    await revoke(agent)

    # It may have begun, and its first request for the image may not have come yet.
    assert (await agent.links()).keys() == {"cancelAction"}
    assert (await agent.ask("GET", f"/deploymentBase/{action}")).status == 404
    path = agent.path(artifact["_links"]["download-http"]["href"])
    assert (await agent.ask("GET", path)).status == 404


async def test_an_agent_at_work_is_told_to_stop(working):
    action = (await working.update()).action
    await revoke(working)

    links = await working.links()
    got = await working.ask("GET", links["cancelAction"])

    assert links.keys() == {"cancelAction"}
    assert is_json(got)
    assert got.json == {"id": str(action), "cancelAction": {"stopId": str(action)}}


async def test_without_a_reason_to_stop_there_is_nothing_to_be_stopped(working):
    action = (await working.update()).action

    assert (await working.ask("GET", f"/cancelAction/{action}")).status == 404


@pytest.mark.parametrize(
    "said", [("closed", "success"), ("closed", "failure"), ("canceled", "success"), ("canceled",)]
)
async def test_an_agent_that_stopped_is_told_nothing_more(working, said):
    action = (await working.update()).action
    await revoke(working)
    await working.links()

    assert await working.say(action, *said, kind="cancelAction") == 200

    assert await working.state() == "failed"
    assert await working.links() == {}


async def test_stopping_what_was_withdrawn_is_no_failure(working):
    action = (await working.update()).action
    await revoke(working)

    await working.say(action, "closed", "success", kind="cancelAction")

    assert (await working.update()).failures == 0


async def test_an_agent_that_does_not_stop_is_told_once(working):
    action = (await working.update()).action
    await revoke(working)
    await working.links()

    assert await working.say(action, "rejected", kind="cancelAction") == 200

    assert await working.links() == {}
    assert await working.state() == "downloaded"
    assert await working.say(action, "closed", "success") == 200


async def test_that_stopping_goes_on_changes_nothing(working):
    action = (await working.update()).action
    await revoke(working)

    assert await working.say(action, "proceeding", kind="cancelAction") == 200

    assert await working.state() == "downloaded"
    assert (await working.links()).keys() == {"cancelAction"}


async def test_an_agent_that_never_answers_is_told_three_times(working):
    await revoke(working)

    told = [(await working.links()).keys() for _ in range(4)]

    assert told == [{"cancelAction"}] * 3 + [set()]
    assert await working.state() == "failed"


async def test_an_agent_stops_before_it_begins_with_something_newer(working):
    old = (await working.update()).action
    await publish(working.served, working.product, IMAGE + b"2", "1.4.0")

    links = await working.links()
    await working.say(old, "canceled", "success", kind="cancelAction")
    new, _ = await working.deployment()

    assert links.keys() == {"cancelAction"}
    assert new != old


async def test_an_agent_that_refuses_to_stop_goes_on_with_what_it_had(working):
    old = (await working.update()).action
    await publish(working.served, working.product, IMAGE + b"2", "1.4.0")
    await working.links()

    await working.say(old, "rejected", kind="cancelAction")
    going_on, _ = await working.deployment()
    await working.say(old, "closed", "success")
    new, _ = await working.deployment()

    assert going_on == old
    assert new != old


async def test_something_newer_for_another_mcu_waits_its_turn(working):
    old = (await working.update()).action
    await publish(working.served, working.product, IMAGE + b"2", "7", mcu="radio")

    assert (await working.deployment())[0] == old


async def in_a_campaign(agent):
    """Start a campaign with a new image for all things of the agent's product."""
    campaigns = agent.served.platform.administration.campaigns
    firmware = await publish(agent.served, agent.product, IMAGE, "1.3.0", is_draft=True)
    plan = CampaignPlan(firmware_id=firmware.id, name="Spring", rings=(100,))
    return campaigns, await campaigns.prepare(await campaigns.create(plan))


async def test_while_a_campaign_pauses_who_is_at_work_goes_on(server, agent):
    await agent.configure(VIN="x")
    later = await new_agent(server, agent.product)
    await later.configure(VIN="x")
    campaigns, campaign = await in_a_campaign(agent)
    action, _ = await agent.download()

    await campaigns.pause(campaign.id)

    assert (await agent.deployment())[0] == action
    assert await later.links() == {}
    assert await agent.say(action, "closed", "success") == 200


async def test_an_older_image_is_no_reason_to_stop(agent):
    await agent.configure(VIN="x")
    await publish(agent.served, agent.product, IMAGE + b"0", "1.2.0")
    campaigns, campaign = await in_a_campaign(agent)
    action, _ = await agent.download()

    await campaigns.pause(campaign.id)

    assert (await agent.deployment())[0] == action


async def halted(agent, campaigns, campaign):
    """Stop the campaign as its engine does."""
    administration = agent.served.platform.administration
    newest = await campaigns.get(campaign.id)
    halting = replace(newest, state=CampaignState.HALTED)
    assert await administration.core.campaigns.change(halting) is not None
    administration.changes.tell(Kind.FIRMWARE, str(campaign.product_id))


async def test_when_a_campaign_goes_on_what_was_refused_before_does_not_count(agent):
    await agent.configure(VIN="x")
    campaigns, campaign = await in_a_campaign(agent)
    action, _ = await agent.download()
    told = []

    for said in ("rejected", "canceled"):
        await halted(agent, campaigns, campaign)
        told.append((await agent.links()).keys())
        await agent.say(action, said, kind="cancelAction")
        told.append((await agent.links()).keys())
        await campaigns.resume(campaign.id)
        # Ends what goes on, so that it begins anew.
        await agent.say(action, "closed", "failure")
        await agent.download()

    assert told == [{"cancelAction"}, set(), {"cancelAction"}, set()]


async def test_when_a_campaign_is_cancelled_who_is_at_work_is_told_to_stop(agent):
    await agent.configure(VIN="x")
    campaigns, campaign = await in_a_campaign(agent)
    action, _ = await agent.download()

    await campaigns.cancel(campaign.id)

    assert (await agent.links()).keys() == {"cancelAction"}
    assert await agent.say(action, "canceled", "success", kind="cancelAction") == 200
    assert await agent.links() == {}
