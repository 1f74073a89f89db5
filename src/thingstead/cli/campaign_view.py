"""`thingstead campaign show|things`, and how every command writes a campaign down."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from thingstead.cli.common import administer, data_option, json_option, print_json
from thingstead.cli.texts import as_text, bar, moment

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.campaigns.judging import Tally
    from thingstead.features.campaigns.model import Campaign
    from thingstead.features.campaigns.progress import Progress
    from thingstead.features.firmware.model import Firmware, Update

_STATES = (
    "waiting",
    "offered",
    "downloading",
    "downloaded",
    "installing",
    "reported",
    "succeeded",
    "failed",
    "blocked",
    "current",
)


def line_of(campaign: "Campaign") -> str:
    """Return the campaign in one line."""
    rings = campaign.plan.rings
    return (
        f"{campaign.id}  {campaign.state.value}  ring {campaign.open_ring + 1} of {len(rings)}"
        f" ({rings[campaign.open_ring]} %)  {as_text(campaign.plan.name)}"
    )


def campaign_as_json(campaign: "Campaign") -> dict[str, object]:
    """Return the campaign and its plan."""
    plan = campaign.plan
    return {
        "id": campaign.id,
        "name": plan.name,
        "product": campaign.product_id,
        "mcu": campaign.mcu,
        "firmware": campaign.firmware_id,
        "state": campaign.state.value,
        "reason": campaign.reason,
        "openRing": campaign.open_ring,
        "ringOpenedAt": moment(campaign.ring_opened_at_ms),
        "createdAt": moment(campaign.created_at_ms),
        "changedAt": moment(campaign.changed_at_ms),
        "plan": {
            "tags": list(plan.target.tags),
            "fromVersions": list(plan.target.versions),
            "rings": list(plan.rings),
            "successPercent": plan.gate.success_percent,
            "soakSeconds": plan.gate.soak_s,
            "proof": plan.gate.proof.value,
            "stopFailures": plan.stop.failures,
            "stopPercent": plan.stop.percent,
            "stopAfter": plan.stop.at_least,
            "attempts": plan.attempts,
            "patienceSeconds": plan.patience_s,
        },
    }


@click.command("show")
@click.argument("campaign_id")
@data_option
@json_option
def show_command(campaign_id: str, data: str | None, *, as_json: bool) -> None:
    """Show how far CAMPAIGN_ID has come. Also what its gate needs, and what its stop allows."""

    async def work(administration: "Administration") -> "Progress":
        from thingstead.kernel.ids import CampaignId

        return await administration.campaigns.progress(CampaignId(campaign_id))

    progress = administer(data, work)
    if as_json:
        print_json(_progress_as_json(progress))
        return
    _tell(progress)


def _progress_as_json(progress: "Progress") -> dict[str, object]:
    gate, stop = progress.gate, progress.stop
    return {
        **campaign_as_json(progress.campaign),
        "things": _tally_as_json(progress.total),
        "rings": [
            {
                "percent": ring.percent,
                "isOpen": ring.is_open,
                "needed": ring.needed,
                "things": _tally_as_json(ring.tally),
                "sentence": ring.sentence,
            }
            for ring in progress.rings
        ],
        "gate": {
            "needed": gate.needed,
            "succeeded": gate.succeeded,
            "missing": gate.missing,
            "outOfReach": gate.out_of_reach,
            "sentence": gate.sentence,
        },
        "stop": {
            "failed": stop.failed,
            "ended": stop.ended,
            "moreFailures": stop.more_failures,
            "sentence": stop.sentence,
        },
    }


def _tally_as_json(tally: "Tally") -> dict[str, object]:
    return {
        "all": tally.things,
        "current": tally.current,
        "waiting": tally.waiting,
        "underWay": tally.under_way,
        "succeeded": tally.succeeded,
        "failed": tally.failed,
        "blocked": tally.blocked,
    }


def _tell(progress: "Progress") -> None:
    campaign = progress.campaign
    click.echo(line_of(campaign))
    if campaign.reason:
        click.echo(f"  {as_text(campaign.reason)}")
    whose = f"{campaign.mcu} of product {campaign.product_id}"
    click.echo(f"  firmware {campaign.firmware_id} for {whose}")
    for ring in progress.rings:
        tally = ring.tally
        click.echo(f"[{bar(tally.succeeded, tally.failed, tally.targets)}] {ring.sentence}")
    click.echo(f"Gate: {progress.gate.sentence}")
    click.echo(f"Stop: {progress.stop.sentence}")


@click.command("things")
@click.argument("campaign_id")
@click.option(
    "--state",
    "states",
    type=click.Choice(_STATES),
    multiple=True,
    help="Only things in this state; repeatable.",
)
@data_option
@json_option
def things_command(
    campaign_id: str, states: tuple[str, ...], data: str | None, *, as_json: bool
) -> None:
    """List the things of CAMPAIGN_ID: how far each is, and why."""

    async def work(administration: "Administration") -> "list[Update]":
        from thingstead.features.firmware.model import UpdateState
        from thingstead.kernel.ids import CampaignId

        campaign = await administration.campaigns.get(CampaignId(campaign_id))
        firmware = await administration.publishing.get(campaign.firmware_id)
        wanted = tuple(UpdateState(state) for state in states)
        now_ms = administration.clock.now_ms()
        return [
            _with_reason(update, campaign, firmware, now_ms)
            async for update in administration.campaigns.members(campaign.id, wanted)
        ]

    updates = administer(data, work)
    if as_json:
        print_json([_update_as_json(update) for update in updates])
        return
    for update in updates:
        click.echo(
            f"{update.thing_id}  ring {update.ring + 1}  {update.state.value:<11}"
            f"  {as_text(update.reason)}"
        )


def _with_reason(
    update: "Update", campaign: "Campaign", firmware: "Firmware", now_ms: int
) -> "Update":
    """Return the update; one that waits says for what, after what was known of it before."""
    from thingstead.features.campaigns.waiting import waits_for

    if update.state.value != "waiting":
        return update
    words = waits_for(campaign, firmware, update, now_ms=now_ms)
    return replace(update, reason=f"{update.reason}; {words}" if update.reason else words)


def _update_as_json(update: "Update") -> dict[str, object]:
    return {
        "thing": update.thing_id,
        "ring": update.ring,
        "state": update.state.value,
        "reason": update.reason,
        "failures": update.failures,
        "changedAt": moment(update.changed_at_ms),
    }
