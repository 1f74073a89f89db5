"""What commands show to people, and how they ask them."""

import sys

import click

from thingstead.kernel.instants import format_instant

_BAR_CHARACTERS = 20


def as_text(text: str) -> str:
    """Return the text with everything escaped that could move a terminal's cursor.

    Text of devices and of images is written by whoever made them.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def moment(at_ms: int | None) -> str | None:
    """Return the point in time as the API writes it."""
    return None if at_ms is None else format_instant(at_ms)


def bar(done: int, failed: int, total: int) -> str:
    """Return a bar of fixed width: `#` for what is done, `!` for what failed, `.` for the rest.

    Whatever is more than nothing has a character of its own, as long as there is room.
    """
    if total <= 0:
        return " " * _BAR_CHARACTERS
    exclamations = _characters(failed, total)
    hashes = min(_characters(done, total), _BAR_CHARACTERS - exclamations)
    return ("#" * hashes + "!" * exclamations).ljust(_BAR_CHARACTERS, ".")


def _characters(part: int, total: int) -> int:
    return min(_BAR_CHARACTERS, max(part * _BAR_CHARACTERS // total, 1 if part > 0 else 0))


def confirm(question: str, *, is_sure: bool, as_json: bool) -> None:
    """Ask on a terminal, and end the command unless the answer is yes.

    Scripts are not asked: they know what they do.
    """
    if is_sure or as_json or not sys.stdin.isatty():
        return
    click.confirm(question, abort=True, err=True)
