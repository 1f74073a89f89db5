"""`thingstead firmware timeline|unblock`: what became of the images on one thing, and why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from thingstead.cli.common import administer, data_option, json_option, print_json, settings_from
from thingstead.cli.texts import as_text, moment

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.campaigns.model import Campaign
    from thingstead.features.firmware.model import (
        Firmware,
        FirmwareLimits,
        Running,
        ThingRecord,
        Update,
        UpdateEvent,
    )
    from thingstead.features.firmware.outlook import Prospect
    from thingstead.features.things.model import Thing
    from thingstead.kernel.ids import CampaignId, FirmwareId

_MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class _History:
    """All that is known about one thing's firmware, with the rows that it names."""

    thing_id: str
    running: "tuple[Running, ...]"
    prospects: "list[Prospect]"
    updates: "tuple[Update, ...]"
    events: "list[UpdateEvent]"
    firmwares: "dict[FirmwareId, Firmware]"
    campaigns: "dict[CampaignId, Campaign]"


@click.command("timeline")
@click.option("--thing", "thing_id", required=True, help="Thing id.")
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST_EVENTS),
    default=50,
    show_default=True,
    help="At most so many events.",
)
@data_option
@json_option
def timeline_command(thing_id: str, limit: int, data: str | None, *, as_json: bool) -> None:
    """Tell why a thing has or has not updated.

    What it runs, what it would be offered now, its updates, then what happened, newest first.
    """
    from thingstead.limits import firmware_limits

    limits = firmware_limits(settings_from(data=data).limits)

    async def work(administration: "Administration") -> _History:
        return await _history(administration, thing_id, limit, limits)

    history = administer(data, work)
    if as_json:
        print_json(_as_json(history))
        return
    _tell(history)


async def _history(
    administration: "Administration", thing_id: str, limit: int, limits: "FirmwareLimits"
) -> _History:
    from thingstead.kernel.ids import ThingId

    thing = await administration.things.get(ThingId(thing_id))
    record = await administration.updates.record(thing.id)
    timeline = await administration.updates.timeline(thing.id, limit=limit)
    events = [event for _, event in timeline]
    rows: list[Update | UpdateEvent] = [*record.updates, *events]
    return _History(
        thing_id,
        record.running,
        await _prospects(administration, thing, record, limits),
        tuple(sorted(record.updates, key=lambda update: update.changed_at_ms, reverse=True)),
        events,
        await _firmwares(administration, {row.firmware_id for row in rows}),
        await _campaigns(administration, {row.campaign_id for row in rows}),
    )


async def _prospects(
    administration: "Administration",
    thing: "Thing",
    record: "ThingRecord",
    limits: "FirmwareLimits",
) -> "list[Prospect]":
    from thingstead.features.firmware.outlook import Rules, prospects

    stock = await administration.firmware.catalogues.stock_of(thing.product_id)
    rules = Rules(stock, administration.core.campaigns, limits)
    return await prospects(thing, record, rules, now_ms=administration.clock.now_ms())


async def _firmwares(
    administration: "Administration", ids: "set[FirmwareId | None]"
) -> "dict[FirmwareId, Firmware]":
    return {
        firmware_id: await administration.publishing.get(firmware_id)
        for firmware_id in ids
        if firmware_id is not None
    }


async def _campaigns(
    administration: "Administration", ids: "set[CampaignId | None]"
) -> "dict[CampaignId, Campaign]":
    return {
        campaign_id: await administration.campaigns.get(campaign_id)
        for campaign_id in ids
        if campaign_id is not None
    }


def _as_json(history: _History) -> dict[str, object]:
    return {
        "thing": history.thing_id,
        "runs": [
            {
                "mcu": running.mcu,
                "version": running.version,
                "since": moment(running.since_ms),
                "seenAt": moment(running.seen_at_ms),
            }
            for running in history.running
        ],
        "offers": [
            {
                "mcu": prospect.mcu,
                "firmware": None if prospect.firmware is None else prospect.firmware.id,
                "version": None if prospect.firmware is None else prospect.firmware.version,
                "reason": None if prospect.reason is None else prospect.reason.value,
            }
            for prospect in history.prospects
        ],
        "updates": [_update_as_json(update, history) for update in history.updates],
        "events": [
            {
                "at": moment(event.at_ms),
                "kind": event.kind,
                "firmware": event.firmware_id,
                "version": _version(event.firmware_id, history),
                "campaign": event.campaign_id,
                "detail": event.detail,
            }
            for event in history.events
        ],
    }


def _update_as_json(update: "Update", history: _History) -> dict[str, object]:
    campaign = None if update.campaign_id is None else history.campaigns[update.campaign_id]
    return {
        "firmware": update.firmware_id,
        "mcu": update.mcu,
        "version": _version(update.firmware_id, history),
        "state": update.state.value,
        "reason": update.reason,
        "failures": update.failures,
        "campaign": update.campaign_id,
        "campaignState": None if campaign is None else campaign.state.value,
        "ring": None if campaign is None else update.ring,
        "ringIsOpen": None if campaign is None else update.ring <= campaign.open_ring,
        "changedAt": moment(update.changed_at_ms),
    }


def _version(firmware_id: "FirmwareId | None", history: _History) -> str | None:
    return None if firmware_id is None else history.firmwares[firmware_id].version


def _tell(history: _History) -> None:
    for running in history.running:
        click.echo(
            f"{as_text(running.mcu)} runs {as_text(running.version)} since"
            f" {moment(running.since_ms)}, last heard of {moment(running.seen_at_ms)}"
        )
    if not history.running:
        click.echo("It has not said which version it runs.")
    for prospect in history.prospects:
        firmware, reason = prospect.firmware, prospect.reason
        what = f"nothing ({reason})" if firmware is None else f"{firmware.version} ({firmware.id})"
        click.echo(f"{prospect.mcu} is offered {what}")
    for update in history.updates:
        _tell_update(update, history)
    for event in history.events:
        version = _version(event.firmware_id, history)
        detail = event.detail or (f"campaign {event.campaign_id}" if event.campaign_id else "")
        words = [moment(event.at_ms), f"{event.kind:<10}", version, detail]
        click.echo("  ".join(as_text(word) for word in words if word))


def _tell_update(update: "Update", history: _History) -> None:
    firmware = history.firmwares[update.firmware_id]
    reason = f": {as_text(update.reason)}" if update.reason else ""
    click.echo(f"{update.mcu} to {firmware.version} ({firmware.id}): {update.state.value}{reason}")
    if firmware.state.value != "published":
        click.echo(f"  The firmware is {firmware.state.value}.")
    if update.failures:
        click.echo(f"  Failed attempts: {update.failures}")
    if update.campaign_id is not None:
        campaign = history.campaigns[update.campaign_id]
        is_open = update.ring <= campaign.open_ring
        # Most reasons begin with the state: "halted because …".
        state, reason = campaign.state.value, as_text(campaign.reason)
        words = reason if reason.startswith(state) else ": ".join(filter(None, (state, reason)))
        click.echo(
            f"  Ring {update.ring + 1} ({'open' if is_open else 'not open yet'}) of campaign"
            f" {campaign.id}: {words}"
        )


@click.command("unblock")
@click.option("--thing", "thing_id", required=True, help="Thing id.")
@click.option("--firmware", "firmware_id", required=True, help="Firmware id.")
@data_option
@json_option
def unblock_command(thing_id: str, firmware_id: str, data: str | None, *, as_json: bool) -> None:
    """Offer a blocked image to a thing again. Its failures there are forgotten."""

    async def work(administration: "Administration") -> "Update":
        from thingstead.kernel.ids import FirmwareId, ThingId

        thing = await administration.things.get(ThingId(thing_id))
        return await administration.updates.release(thing.id, FirmwareId(firmware_id))

    update = administer(data, work)
    if as_json:
        print_json({"thing": thing_id, "firmware": firmware_id, "state": update.state.value})
        return
    if update.state.value == "waiting":
        click.echo("The update is waiting: it is offered again when the thing asks.")
        return
    click.echo(f"The update is {update.state.value}: it was not blocked, and stays as it is.")
