"""What people are shown cannot harm their terminal, and bars tell what they should."""

import pytest

from thingstead.cli.texts import as_text, bar, moment


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rolled back to 1.2", "rolled back to 1.2"),
        ("größer", "größer"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_could_move_the_cursor_is_escaped(text, shown):
    assert as_text(text) == shown


def test_moments_are_written_as_the_api_does():
    assert moment(1_769_860_800_000) == "2026-01-31T12:00:00.000Z"
    assert moment(None) is None


@pytest.mark.parametrize(
    ("done", "failed", "total", "drawn"),
    [
        (0, 0, 10, "...................."),
        (5, 0, 10, "##########.........."),
        (10, 0, 10, "####################"),
        (9, 1, 10, "##################!!"),
        (999, 1, 1_000, "###################!"),
        (1, 1, 1_000, "#!.................."),
        (0, 10, 10, "!!!!!!!!!!!!!!!!!!!!"),
        (0, 0, 0, "                    "),
    ],
)
def test_bars_show_every_success_and_every_failure(done, failed, total, drawn):
    assert bar(done, failed, total) == drawn
