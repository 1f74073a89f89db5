"""Versions of images: which one is newer, and what may be the name of a version or an MCU.

Knows nothing of images. Versions come from publishers, from inside images and from devices, so
every text whatsoever has its place in the order.
"""

import re

from thingstead.features.firmware.errors import InvalidFirmwareError

MAX_VERSION_CHARACTERS = 64
MAX_MCU_CHARACTERS = 64
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
MCU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Part = tuple[int, int, str]
"""A number (0, how many digits, the digits), or a text (1, 0, the text).

Digits stay a text: those of a device may be more than Python makes a number of.
"""
VersionKey = tuple[int, tuple[Part, ...], int, tuple[Part, ...]]
"""Whether it can be read, its numbers, whether it is a release, and its pre-release."""

_READABLE = re.compile(
    r"[vV]?(?P<numbers>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-~](?P<before>[0-9A-Za-z~-]+(?:\.[0-9A-Za-z~-]+)*))?"
    r"(?:\+.*)?",
    re.DOTALL,
)
_RUNS = re.compile(r"[0-9]+|[^0-9]+")
_DIGITS = frozenset("0123456789")


def version_key(text: str) -> VersionKey:
    """Return what versions are compared by: the larger key is the newer version.

    A total order over all texts, by the rules of semver.org 2.0.0, 11, taken more widely: a
    leading v is ignored, there may be any count of numbers, and missing ones are 0. `1.2-rc.1`
    and `1.2~rc.1` come before `1.2`; what follows a plus sign is ignored. So what `git describe`
    says after a tag (`1.2-4-gabcdef`) comes before that tag, as semver has it. A text that
    cannot be read that way is older than all that can; among themselves such texts are ordered
    run by run of digits and other characters.
    """
    text = text.strip()
    found = _READABLE.fullmatch(text)
    if found is None:
        # The text itself comes last, because no two such texts are the same version.
        return 0, tuple(map(_part, _RUNS.findall(text))), 1, ((1, 0, text),)
    numbers = [_part(digits) for digits in found["numbers"].split(".")]
    while numbers and numbers[-1] == _ZERO:
        numbers.pop()
    before = found["before"]
    if before is None:
        return 1, tuple(numbers), 1, ()
    return 1, tuple(numbers), 0, tuple(map(_part, before.split(".")))


def is_same(one: str, other: str) -> bool:
    """Return whether both texts name one version, as `v1.2` and `1.2.0` do."""
    return one == other or version_key(one) == version_key(other)


def check_version(text: str, what: str = "version") -> None:
    """Check that a publisher may use the text as a version.

    Raises:
        InvalidFirmwareError: it is empty, over 64 characters, or has others than it may.
    """
    if VERSION.fullmatch(text) is None:
        raise InvalidFirmwareError(
            f"{what}: 1 to {MAX_VERSION_CHARACTERS} of letters, digits and . _ + ~ - are"
            " expected, the first a letter or a digit"
        )


def check_mcu(text: str) -> None:
    """Check that a publisher may use the text as the name of an MCU.

    Raises:
        InvalidFirmwareError: it is empty, over 64 characters, or has others than it may.
    """
    if MCU.fullmatch(text) is None:
        raise InvalidFirmwareError(
            f"mcu: 1 to {MAX_MCU_CHARACTERS} of letters, digits and . _ - are expected,"
            " the first a letter or a digit"
        )


def _part(text: str) -> Part:
    if _DIGITS.issuperset(text):
        digits = text.lstrip("0")
        return 0, len(digits), digits
    return 1, 0, text


_ZERO: Part = (0, 0, "")
