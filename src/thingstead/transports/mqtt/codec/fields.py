"""The building blocks of MQTT packets: numbers, texts and binary fields (MQTT 5, section 1.5).

Reading checks everything against the end of the packet; writing trusts its caller.
Read on in `properties.py`.
"""

from typing import Final

from thingstead.transports.mqtt.codec.errors import MQTTProtocolError
from thingstead.transports.mqtt.codec.reasons import Reason

MAX_VARIABLE: Final = 268_435_455
"""The largest number of four bytes with seven bits each."""


class Cursor:
    """A place within one packet that moves forward; `what` names the field in errors."""

    __slots__ = ("_at", "_data", "_stop")

    def __init__(self, data: bytes, at: int, stop: int) -> None:
        self._data = data
        self._at = at
        self._stop = stop

    @property
    def at(self) -> int:
        """Where the next field begins."""
        return self._at

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= self._stop

    def _take(self, count: int, what: str) -> bytes:
        end = self._at + count
        if end > self._stop:
            raise malformed(f"{what}: the packet ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self, what: str) -> int:
        """Return the next byte.

        Raises:
            MQTTProtocolError: here and below, the packet ends before, or the field's form
                is not allowed.
        """
        return self._take(1, what)[0]

    def two_bytes(self, what: str) -> int:
        """Return the next number, 0 to 65,535."""
        return int.from_bytes(self._take(2, what), "big")

    def four_bytes(self, what: str) -> int:
        """Return the next number, 0 to 4,294,967,295."""
        return int.from_bytes(self._take(4, what), "big")

    def variable(self, what: str) -> int:
        """Return the next number of one to four bytes; a longer form than needed is refused."""
        number = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte(what)
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    break
                return number
        raise malformed(f"{what}: not a number of at most four bytes in its shortest form")

    def binary(self, what: str) -> bytes:
        """Return the next field of up to 65,535 bytes with its length before it."""
        return self._take(self.two_bytes(what), what)

    def text(self, what: str) -> str:
        """Return the next text."""
        return text_of(self.binary(what), what)

    def packet_id(self) -> int:
        """Return the packet identifier, 1 to 65,535."""
        number = self.two_bytes("packet identifier")
        if not number:
            raise MQTTProtocolError(Reason.PROTOCOL_ERROR, "the packet identifier is 0")
        return number

    def rest(self) -> bytes:
        """Return all that is left."""
        return self._take(self._stop - self._at, "rest")

    def part(self, count: int, what: str) -> "Cursor":
        """Return a cursor for the next bytes alone, and go behind them."""
        start, end = self._at, self._at + count
        if end > self._stop:
            raise malformed(f"{what}: the packet ends too early")
        self._at = end
        return Cursor(self._data, start, end)

    def finish(self) -> None:
        """Check that nothing is left."""
        if self._at < self._stop:
            raise malformed("there are bytes behind the packet's last field")


def malformed(detail: str) -> MQTTProtocolError:
    """Return the error for bytes that cannot be read by the rules."""
    return MQTTProtocolError(Reason.MALFORMED_PACKET, detail)


def protocol_error(detail: str) -> MQTTProtocolError:
    """Return the error for what can be read, but must not be sent."""
    return MQTTProtocolError(Reason.PROTOCOL_ERROR, detail)


def text_of(raw: bytes, what: str) -> str:
    """Return the text; strict UTF-8 without U+0000 (MQTT 5, section 1.5.4).

    Raises:
        MQTTProtocolError: it is not.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise malformed(f"{what}: not UTF-8") from exc
    if "\0" in text:
        raise malformed(f"{what}: holds U+0000")
    return text


def topic_of(raw: bytes, what: str) -> str:
    """Return the topic name; it may be empty.

    Raises:
        MQTTProtocolError: it is no text, or holds a wildcard.
    """
    topic = text_of(raw, what)
    if "+" in topic or "#" in topic:
        raise MQTTProtocolError(
            Reason.TOPIC_NAME_INVALID, f"{what}: + and # are for subscriptions only"
        )
    return topic


def written_variable(number: int) -> bytes:
    """Return the number in its shortest form.

    Raises:
        ValueError: it is over `MAX_VARIABLE`.
    """
    if number < 0x80:
        return bytes((number,))
    if number > MAX_VARIABLE:
        raise ValueError(f"{number} does not fit into four bytes of seven bits")
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def written_binary(raw: bytes) -> bytes:
    """Return the field with its length before it.

    Raises:
        OverflowError: it has more than 65,535 bytes.
    """
    return len(raw).to_bytes(2, "big") + raw


def written_text(text: str) -> bytes:
    """Return the text in UTF-8 with its length before it."""
    return written_binary(text.encode("utf-8"))
