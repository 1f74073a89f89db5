"""Identifiers that follow one another, so that a test can tell which came first."""

from thingstead.kernel.ids import ActivationCode, SessionToken, normalised_code

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SequentialIds:
    """Counts; tokens are 43 characters, codes have the right check character."""

    def __init__(self) -> None:
        self._count = 0

    def token(self) -> str:
        return f"token-{self._next():037d}"

    def activation_code(self) -> ActivationCode:
        body = f"{self._next():019d}"
        # The check character's rule is the kernel's; whichever one it accepts is right.
        return next(
            code for last in _ALPHABET if (code := normalised_code(body + last)) is not None
        )

    def product_hash(self) -> str:
        return f"hash{self._next():010d}"

    def short_id(self) -> str:
        return f"id{self._next():012d}"

    def session_token(self) -> SessionToken:
        return SessionToken("us_" + self.token())

    def sortable_id(self, at_ms: int) -> str:
        return f"{at_ms:015d}{self._next():015d}"

    def _next(self) -> int:
        self._count += 1
        return self._count
