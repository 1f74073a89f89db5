"""`thingstead mail list`: what waits, what was given up, and what was only written down."""

from typing import TYPE_CHECKING

import click

from thingstead.cli.common import administer, data_option, json_option, print_json, settings_from

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.mail.service import ListedLetter


@click.group("mail")
def mail_group() -> None:
    """Look into the outbox of mails to app users."""


@mail_group.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=100,
    show_default=True,
    help="At most so many.",
)
@data_option
@json_option
def list_letters(limit: int, data: str | None, *, as_json: bool) -> None:
    """List mails that were not delivered, newest first, with their links.

    Without a mail server every mail is here for 30 days; a link lets whoever has it act for the
    reader of the mail.
    """

    async def work(administration: "Administration") -> "list[ListedLetter]":
        return await administration.mail.letters(limit=limit)

    from thingstead.server import served_url

    settings = settings_from(data=data)
    url = served_url(settings.data_folder) or settings.url(settings.port)
    listed = [_as_json(letter, url) for letter in administer(data, work)]
    if as_json:
        print_json(listed)
        return
    for known in listed:
        click.echo(f"{known['state']}  {known['occasion']}  to {known['to']}")
        for name in ("link", "problem"):
            if known[name]:
                click.echo(f"  {name}: {known[name]}")


def _as_json(listed: "ListedLetter", url: str) -> dict[str, object]:
    letter = listed.letter
    link = None if letter is None else letter.facts.get("link")
    return {
        "id": listed.id,
        "state": listed.state.value,
        "occasion": listed.occasion.value,
        "to": None if letter is None else letter.to,
        "link": None if link is None else url + link,
        "attempts": listed.attempts,
        "problem": listed.problem,
    }
