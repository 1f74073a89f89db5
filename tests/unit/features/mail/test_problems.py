import pytest

from thingstead.features.mail.model import Letter, Occasion
from thingstead.features.mail.problems import LONGEST_PROBLEM, problem_text, shortened

SECRET = "A1b2-C3d4_E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0u"
LETTER = Letter(Occasion.GRANT, "Ada.L+x@example.org", {"link": f"/grants#{SECRET}"})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ada@example.org", "a…@example.org"),
        ("ä@müller.de", "ä…@müller.de"),
        ('"a@b"@example.org', '"…@example.org'),
        ("", "…@"),
        ("no-at-sign", "…@no-at-sign"),
        ("\nada@exam\r\nple.org", "…@exam ple.org"),
        ("a@" + "d" * 81, "a…@" + "d" * 80),
    ],
)
def test_an_address_is_its_first_character_and_its_domain(address, expected):
    assert shortened(address) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("no such mailbox", "no such mailbox"),
        ("two\r\nlines\tand\x00more\x1b[31m", "two lines and more [31m"),
        ("line\u2028separator", "line separator"),
        (f"550 https://example.org/grants#{SECRET} is spam", "550 https://example.org… is spam"),
        (f"550 {SECRET}", "550 …"),
        ("ADA.l+X@EXAMPLE.org is unknown", "A…@example.org is unknown"),
        ("", "OSError"),
        ("\n \n", "OSError"),
    ],
)
def test_a_problem_is_one_line_without_secret_and_address(said, expected):
    assert problem_text(OSError(said), LETTER) == expected


def test_a_problem_is_cut_at_two_hundred_characters():
    as_long_as_may_be = problem_text(OSError("no " * 66 + "no"), LETTER)
    longer = problem_text(OSError("no " * 66 + "now"), LETTER)

    assert len(as_long_as_may_be) == LONGEST_PROBLEM
    assert as_long_as_may_be.endswith("no")
    assert len(longer) == LONGEST_PROBLEM
    assert longer.endswith("…")


def test_a_secret_at_the_cut_does_not_show_its_beginning():
    assert SECRET[:8] not in problem_text(OSError("x " * 90 + SECRET), LETTER)
