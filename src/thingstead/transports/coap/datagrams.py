"""Reading datagrams strictly (RFC 7252, 3 and 5.4), before the library sees them.

aiocoap remembers every option number and content format that it ever met, raises errors of
its own on texts that are no UTF-8, and takes critical options that it does not know; so only
what has passed here reaches it. Sans-I/O.
"""

from dataclasses import dataclass
from enum import IntEnum

MOST_OPTIONS = 64
_PAYLOAD_MARKER = 0xFF


class Kind(IntEnum):
    """The type of a message (RFC 7252, 3)."""

    CON = 0
    NON = 1
    ACK = 2
    RST = 3


class Number(IntEnum):
    """The options that the server knows, each by its number."""

    URI_HOST = 3
    OBSERVE = 6
    URI_PORT = 7
    URI_PATH = 11
    CONTENT_FORMAT = 12
    URI_QUERY = 15
    ACCEPT = 17
    BLOCK2 = 23
    BLOCK1 = 27
    SIZE2 = 28
    PROXY_URI = 35
    PROXY_SCHEME = 39
    SIZE1 = 60
    ECHO = 252
    NO_RESPONSE = 258
    REQUEST_TAG = 292


_LENGTHS = {
    Number.URI_HOST: (1, 255),
    Number.OBSERVE: (0, 3),
    Number.URI_PORT: (0, 2),
    # Longer than the 255 of the RFC: the official node client has its query in there.
    Number.URI_PATH: (0, 1_024),
    Number.CONTENT_FORMAT: (0, 2),
    Number.URI_QUERY: (0, 1_024),
    Number.ACCEPT: (0, 2),
    Number.BLOCK2: (0, 3),
    Number.BLOCK1: (0, 3),
    Number.SIZE2: (0, 4),
    Number.PROXY_URI: (1, 1_034),
    Number.PROXY_SCHEME: (1, 255),
    Number.SIZE1: (0, 4),
    Number.ECHO: (1, 40),
    Number.NO_RESPONSE: (0, 1),
    Number.REQUEST_TAG: (0, 8),
}
_REPEATABLE = frozenset({Number.URI_PATH, Number.URI_QUERY, Number.REQUEST_TAG})
_KNOWN = {int(number): number for number in Number}


class MalformedError(Exception):
    """The datagram is no CoAP message; `confirmable_id` is set where a reset may answer it."""

    def __init__(self, confirmable_id: int | None = None) -> None:
        super().__init__()
        self.confirmable_id = confirmable_id


@dataclass(frozen=True, slots=True)
class Datagram:
    """One message. `options` are the known ones in order; `bad_option` a critical other one."""

    kind: Kind
    code: int
    message_id: int
    token: bytes
    options: tuple[tuple[Number, bytes], ...]
    payload: bytes
    bad_option: int | None

    @property
    def is_request(self) -> bool:
        """Whether the code is one of a request."""
        return 0 < self.code < 32

    @property
    def is_empty(self) -> bool:
        """Whether it is an acknowledgement, a reset or a ping without anything in it."""
        return self.code == 0


def read_datagram(raw: bytes) -> Datagram:
    """Return the message that a datagram holds.

    Raises:
        MalformedError: it holds none.
    """
    if len(raw) < 4 or raw[0] >> 6 != 1:
        raise MalformedError
    kind = Kind(raw[0] >> 4 & 0x03)
    code = raw[1]
    message_id = int.from_bytes(raw[2:4], "big")
    confirmable_id = message_id if kind is Kind.CON else None
    token_length = raw[0] & 0x0F
    if token_length > 8 or len(raw) < 4 + token_length or (code == 0 and len(raw) != 4):
        raise MalformedError(confirmable_id)
    try:
        options, payload, bad_option = _read_options(raw, 4 + token_length)
    except (ValueError, IndexError):
        raise MalformedError(confirmable_id) from None
    return Datagram(
        kind, code, message_id, raw[4 : 4 + token_length], tuple(options), payload, bad_option
    )


def _read_options(raw: bytes, at: int) -> tuple[list[tuple[Number, bytes]], bytes, int | None]:
    options: list[tuple[Number, bytes]] = []
    bad_option: int | None = None
    number = count = 0
    while at < len(raw):
        first = raw[at]
        if first == _PAYLOAD_MARKER:
            if at + 1 == len(raw):
                raise ValueError("a payload marker without a payload")
            return options, raw[at + 1 :], bad_option
        delta, at = _extended(raw, first >> 4, at + 1)
        length, at = _extended(raw, first & 0x0F, at)
        number += delta
        count += 1
        end = at + length
        if end > len(raw) or count > MOST_OPTIONS:
            raise ValueError("an option ends after the datagram, or there are too many")
        known = _usable(number, raw[at:end], options)
        if known is not None:
            options.append((known, raw[at:end]))
        elif number % 2:
            bad_option = number if bad_option is None else bad_option
        at = end
    return options, b"", bad_option


def _usable(number: int, value: bytes, before: list[tuple[Number, bytes]]) -> Number | None:
    """Return the option, None when it must be treated like an unknown one (RFC 7252, 5.4)."""
    known = _KNOWN.get(number)
    if known is None:
        return None
    shortest, longest = _LENGTHS[known]
    is_repeated = bool(before) and before[-1][0] is known
    if not shortest <= len(value) <= longest or (is_repeated and known not in _REPEATABLE):
        return None
    return known


def _extended(raw: bytes, nibble: int, at: int) -> tuple[int, int]:
    if nibble < 13:
        return nibble, at
    if nibble == 13:
        return raw[at] + 13, at + 1
    if nibble == 14:
        return (raw[at] << 8) + raw[at + 1] + 269, at + 2
    raise ValueError("reserved")
