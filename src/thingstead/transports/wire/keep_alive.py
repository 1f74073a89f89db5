"""How often an idle live stream shows that it lives: `keepAlive` (`thethings-v2.md` 3.7)."""

SHORTEST_KEEP_ALIVE_MS = 1_000
LONGEST_KEEP_ALIVE_MS = 3_600_000
DEFAULT_KEEP_ALIVE_MS = 60_000


def keep_alive_ms(text: str | None) -> int:
    """Return the milliseconds between signs of life that are asked for, clamped.

    Raises:
        ValueError: it is no whole number; the text says what was expected.
    """
    if not text:
        return DEFAULT_KEEP_ALIVE_MS
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise ValueError("keepAlive: expected a number of milliseconds")
    return max(SHORTEST_KEEP_ALIVE_MS, min(LONGEST_KEEP_ALIVE_MS, int(text)))
