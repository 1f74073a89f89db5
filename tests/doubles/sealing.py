"""A seal that anybody can open."""


class PlainSeal:
    """Marks what it closes and nothing more; counts, so that two results differ."""

    def __init__(self) -> None:
        self._count = 0

    def close(self, secret: str) -> bytes:
        self._count += 1
        return f"{self._count}:{secret}".encode()

    def open(self, sealed: bytes) -> str:
        return sealed.decode().split(":", 1)[1]
