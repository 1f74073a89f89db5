"""`thingstead campaign create|list|things|pause|resume|advance|cancel|revert`.

How a campaign is shown is in `campaign_view.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import IO, TYPE_CHECKING, TypedDict, Unpack

import click

from thingstead.cli.campaign_view import (
    campaign_as_json,
    line_of,
    show_command,
    things_command,
)
from thingstead.cli.common import PRODUCT_ID, administer, data_option, json_option, print_json
from thingstead.cli.parameters import duration, percent, percents
from thingstead.cli.progress import progress_bar
from thingstead.cli.texts import as_text, confirm

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.campaigns.model import Campaign, CampaignPlan
    from thingstead.features.firmware.model import Firmware

_PERCENT = click.IntRange(1, 100)
_MOST_SIGNATURE_BYTES = 65_536


class _Wanted(TypedDict):
    """The options of `campaign create`, as click hands them over."""

    firmware: str
    name: str
    tags: tuple[str, ...]
    versions: tuple[str, ...]
    rings: tuple[int, ...]
    success: int
    soak: int
    proof: str
    stop_failures: int | None
    stop_percent: int
    stop_after: int
    attempts: int
    patience: int


@click.group("campaign")
def campaign_group() -> None:
    """Bring an image to many things, ring by ring."""


campaign_group.add_command(show_command)
campaign_group.add_command(things_command)


@campaign_group.command("create")
@click.option("--firmware", required=True, help="Firmware id; a draft is published by this.")
@click.option("--name", required=True, help="What it is called, for people.")
@click.option("--tag", "tags", multiple=True, help="Only things with one of the tags; repeatable.")
@click.option(
    "--from-version",
    "versions",
    multiple=True,
    help="Only things that reported one of the versions; repeatable.",
)
@click.option(
    "--rings",
    type=percents,
    default="1,10,50,100",
    show_default=True,
    help="Per cent of the things that each ring reaches together with those before.",
)
@click.option(
    "--success",
    type=_PERCENT,
    default=90,
    show_default=True,
    help="Per cent of a ring's things that must succeed before the next opens.",
)
@click.option(
    "--soak",
    type=duration,
    default="1h",
    show_default=True,
    help="How long a thing runs the new version before its proof counts.",
)
@click.option(
    "--proof",
    type=click.Choice(["write", "contact"]),
    default="write",
    show_default=True,
    help="What it must do then: write a value, or be heard of in any way.",
)
@click.option("--stop-failures", type=click.IntRange(1), help="Halt after so many failed things.")
@click.option(
    "--stop-percent",
    type=percent,
    default="10",
    show_default=True,
    help="Halt when so many per cent of those that ended failed; off for never.",
)
@click.option(
    "--stop-after",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="The share counts once so many things ended.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="After so many failures a thing is offered the image no more.",
)
@click.option(
    "--patience",
    type=duration,
    default="1d",
    show_default=True,
    help="A download, a restart or a proof that takes longer counts as failed.",
)
@data_option
@json_option
def create(data: str | None, *, as_json: bool, **wanted: Unpack[_Wanted]) -> None:
    """Create a campaign and list its things. The first ring is open then.

    Breaking it off while things are listed is harmless: `campaign resume` goes on.
    """

    async def work(administration: "Administration") -> "Campaign":
        campaign = await administration.campaigns.create(_plan(wanted))
        return await _prepared(administration, campaign, is_silent=as_json)

    _answer(administer(data, work), as_json=as_json)


def _plan(wanted: _Wanted) -> "CampaignPlan":
    from thingstead.features.campaigns.model import CampaignPlan, Gate, Proof, Stop, Target
    from thingstead.kernel.ids import FirmwareId

    return CampaignPlan(
        firmware_id=FirmwareId(wanted["firmware"]),
        name=wanted["name"],
        target=Target(wanted["tags"], wanted["versions"]),
        rings=wanted["rings"],
        gate=Gate(wanted["success"], wanted["soak"], Proof(wanted["proof"])),
        stop=Stop(wanted["stop_failures"], wanted["stop_percent"] or None, wanted["stop_after"]),
        attempts=wanted["attempts"],
        patience_s=wanted["patience"],
    )


async def _prepared(
    administration: "Administration", campaign: "Campaign", *, is_silent: bool
) -> "Campaign":
    """List the campaign's things; broken off, it says how to go on."""
    listed = 0
    try:
        with progress_bar("Listing things", is_silent=is_silent) as advance:

            def listed_so_far(count: int) -> None:
                nonlocal listed
                advance(count - listed)
                listed = count

            return await administration.campaigns.prepare(campaign, progress=listed_so_far)
    except asyncio.CancelledError:
        click.echo(
            f"Broken off. Go on with: thingstead campaign resume {campaign.id}"
            " (a running server goes on by itself)",
            err=True,
        )
        raise


@campaign_group.command("list")
@click.option("--product", type=PRODUCT_ID, help="Only those of this product.")
@data_option
@json_option
def list_campaigns(product: int | None, data: str | None, *, as_json: bool) -> None:
    """List the campaigns, newest first."""

    async def work(administration: "Administration") -> "list[Campaign]":
        from thingstead.kernel.ids import ProductId

        wanted = None if product is None else ProductId(product)
        return [campaign async for campaign in administration.campaigns.all(wanted)]

    campaigns = administer(data, work)
    if as_json:
        print_json([campaign_as_json(campaign) for campaign in campaigns])
        return
    for campaign in campaigns:
        click.echo(line_of(campaign))


@campaign_group.command("pause")
@click.argument("campaign_id")
@data_option
@json_option
def pause(campaign_id: str, data: str | None, *, as_json: bool) -> None:
    """Offer the image of CAMPAIGN_ID to nobody new. Downloads that had begun may finish."""
    _change(campaign_id, data, "pause", as_json=as_json)


@campaign_group.command("resume")
@click.argument("campaign_id")
@data_option
@json_option
def resume(campaign_id: str, data: str | None, *, as_json: bool) -> None:
    """Go on with CAMPAIGN_ID. Failures so far do not stop it again."""

    async def work(administration: "Administration") -> "Campaign":
        from thingstead.kernel.ids import CampaignId

        campaign = await administration.campaigns.get(CampaignId(campaign_id))
        if campaign.state.value == "preparing":
            return await _prepared(administration, campaign, is_silent=as_json)
        return await administration.campaigns.resume(campaign.id)

    _answer(administer(data, work), as_json=as_json)


@campaign_group.command("advance")
@click.argument("campaign_id")
@data_option
@json_option
def advance(campaign_id: str, data: str | None, *, as_json: bool) -> None:
    """Open the next ring of CAMPAIGN_ID now, whatever its gate says."""
    _change(campaign_id, data, "advance", as_json=as_json)


@campaign_group.command("cancel")
@click.argument("campaign_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def cancel(campaign_id: str, data: str | None, *, yes: bool, as_json: bool) -> None:
    """End CAMPAIGN_ID for good. Its image is offered to nobody any more."""
    confirm(f"Cancel campaign {campaign_id} for good?", is_sure=yes, as_json=as_json)
    _change(campaign_id, data, "cancel", as_json=as_json)


def _change(campaign_id: str, data: str | None, verb: str, *, as_json: bool) -> None:
    async def work(administration: "Administration") -> "Campaign":
        from thingstead.kernel.ids import CampaignId

        campaigns = administration.campaigns
        verbs: dict[str, Callable[[CampaignId], Awaitable[Campaign]]] = {
            "pause": campaigns.pause,
            "advance": campaigns.advance,
            "cancel": campaigns.cancel,
        }
        return await verbs[verb](CampaignId(campaign_id))

    _answer(administer(data, work), as_json=as_json)


@campaign_group.command("revert")
@click.argument("campaign_id")
@click.option("--to", help="Firmware id to go back to; the one before when not given.")
@click.option(
    "--signature",
    type=click.File("rb"),
    help="What `firmware sign` wrote for the earlier image, where signatures are required.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def revert(
    campaign_id: str,
    data: str | None,
    *,
    to: str | None,
    signature: IO[bytes] | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Revoke the image of CAMPAIGN_ID and bring an earlier one back.

    That is offered to every thing of the product, under a new sequence number, so that things
    which refuse to go back accept it.
    """
    confirm(
        f"Revoke the image of campaign {campaign_id} and bring the earlier one back?",
        is_sure=yes,
        as_json=as_json,
    )

    async def work(administration: "Administration") -> "tuple[Campaign, Firmware]":
        return await _reverted(administration, campaign_id, to, signature)

    campaign, firmware = administer(data, work)
    if as_json:
        print_json({**campaign_as_json(campaign), "revertedTo": firmware.id})
        return
    click.echo(line_of(campaign))
    click.echo(
        f"Version {firmware.version} is offered as firmware {firmware.id},"
        f" sequence {firmware.sequence}."
    )


async def _reverted(
    administration: "Administration", campaign_id: str, to: str | None, signature: IO[bytes] | None
) -> "tuple[Campaign, Firmware]":
    from thingstead.features.firmware.manifests import parse_signature_file
    from thingstead.kernel.ids import CampaignId, FirmwareId

    revert_to = administration.campaigns.revert
    earlier = None if to is None else FirmwareId(to)
    if signature is None:
        return await revert_to(CampaignId(campaign_id), earlier)
    signed = parse_signature_file(signature.read(_MOST_SIGNATURE_BYTES))
    return await revert_to(
        CampaignId(campaign_id), earlier, signature=signed.signature, sequence=signed.sequence
    )


def _answer(campaign: "Campaign", *, as_json: bool) -> None:
    if as_json:
        print_json(campaign_as_json(campaign))
        return
    click.echo(line_of(campaign))
    if campaign.reason:
        click.echo(f"  {as_text(campaign.reason)}")
