"""How a number and what it counts are written in sentences for people."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 thing`, `3 things`; `many` where that is more than an s behind `one`."""
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"
