"""Checking a write: from what was sent to what is stored.

Every transport's write passes here, once. The common case, a number under a plain key with
the server's time, takes the shortest way through (this is on the hottest path, see
benchmarks/README.md). Errors name the place: `values[3].datetime: …`.
"""

import math
import re
from dataclasses import dataclass, field

from thingstead.features.magic.positions import position_of
from thingstead.features.magic.service import RESERVED_KEYS, change_of
from thingstead.features.things.model import Thing
from thingstead.features.values.errors import InvalidKeyError, InvalidValuesError
from thingstead.features.values.model import (
    ABSENT,
    DocumentChange,
    IncomingValue,
    IncomingWrite,
    MagicEcho,
    NewValue,
    Write,
)
from thingstead.kernel.errors import InvalidBodyError, InvalidDateError
from thingstead.kernel.instants import parse_instant
from thingstead.kernel.json_values import (
    JSONLimits,
    check_json,
    has_more_parts_than,
    is_larger_than,
)

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KEYS_KEPT = 10_000
# {"values":[{"value":…}]}: a value stands within three containers already.
_DEPTH_OF_VALUE = 3
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """How much one write may hold."""

    values: int = 1_000
    value_bytes: int = 8 * 1024
    document_bytes: int = 16 * 1024
    past_days: int = 3_653
    future_hours: int = 24
    json: JSONLimits = field(default=JSONLimits())


def is_resource_key(text: str) -> bool:
    """Return whether values can be written under that key."""
    return _KEY.fullmatch(text) is not None and text not in RESERVED_KEYS


class WriteChecker:
    """Turns an `IncomingWrite` into a `Write`."""

    def __init__(self, limits: WriteLimits) -> None:
        self._limits = limits
        self._good_keys: set[str] = set()

    def checked(
        self, thing: Thing, incoming: IncomingWrite, now_ms: int, *, is_broadcast: bool
    ) -> Write:
        """Return the write to store; a value without a time gets `now_ms`.

        Raises:
            InvalidValuesError, InvalidKeyError, InvalidDateError, InvalidPositionError,
            InvalidSettingsError, UnknownMagicKeyError: the first member that is wrong.
        """
        sent = incoming.values
        if not sent:
            raise InvalidValuesError("values: empty")
        if len(sent) > self._limits.values:
            raise InvalidValuesError(f"values: more than {self._limits.values} in one request")
        values: list[NewValue] = []
        changes: list[DocumentChange] = []
        echo: list[int | MagicEcho] = []
        for index, member in enumerate(sent):
            if member.key.startswith("$"):
                changes.append(self._change(member, index))
                echo.append(MagicEcho(member.key, changes[-1].value))
            else:
                echo.append(len(values))
                values.append(self._value(member, index, now_ms))
        return Write(
            thing.id,
            tuple(values),
            tuple(changes),
            tuple(echo) if changes else None,
            is_broadcast,
            thing.epochs,
        )

    def _value(self, member: IncomingValue, index: int, now_ms: int) -> NewValue:
        if member.key not in self._good_keys:
            self._check_key(member.key, index)
        value = member.value
        kind = type(value)
        if not (
            (kind is float and math.isfinite(value))  # type: ignore[arg-type]  # It is a float.
            or kind is bool
            or value is None
        ):
            self._check_value(value, index)
        if member.datetime is None and member.geo is None:
            return NewValue(member.key, value, now_ms)
        position = None
        if member.geo is not None:
            position = position_of(member.geo, f"values[{index}].geo")
        at_ms = self._instant(member.datetime, index, now_ms)
        return NewValue(
            member.key, value, now_ms if at_ms is None else at_ms, position, at_ms is not None
        )

    def _check_key(self, key: str, index: int) -> None:
        where = f"values[{index}].key"
        if _KEY.fullmatch(key) is None:
            raise InvalidKeyError(
                f"{where}: a key has 1 to 64 letters, digits, dots, hyphens or underscores"
            )
        if key in RESERVED_KEYS:
            raise InvalidKeyError(f"{where}: {key} is reserved and cannot hold values")
        if len(self._good_keys) >= _KEYS_KEPT:
            self._good_keys.clear()
        self._good_keys.add(key)

    def _check_value(self, value: object, index: int) -> None:
        where = f"values[{index}].value"
        if value is ABSENT:
            raise InvalidValuesError(f"{where}: missing")
        try:
            # Every part takes a byte, so a value with more parts is too large whatever they are.
            if not has_more_parts_than(value, self._limits.value_bytes):
                check_json(value, where, self._limits.json, depth=_DEPTH_OF_VALUE)
                if not is_larger_than(value, self._limits.value_bytes):
                    return
        except InvalidBodyError as exc:
            raise InvalidValuesError(exc.detail) from exc
        raise InvalidValuesError(f"{where}: larger than {self._limits.value_bytes} bytes of JSON")

    def _change(self, member: IncomingValue, index: int) -> DocumentChange:
        where = f"values[{index}]"
        try:
            check_json(member.key, f"{where}.key", self._limits.json)
            if member.value is not ABSENT:
                check_json(member.value, f"{where}.value", self._limits.json, depth=_DEPTH_OF_VALUE)
        except InvalidBodyError as exc:
            raise InvalidValuesError(exc.detail) from exc
        return change_of(member, where, max_bytes=self._limits.document_bytes)

    def _instant(self, sent: object, index: int, now_ms: int) -> int | None:
        """Return the time that was sent, or None for the server's."""
        if sent is None or sent == "NOW()":
            return None
        where = f"values[{index}].datetime"
        if not isinstance(sent, str):
            raise InvalidDateError(f"{where}: expected a text")
        try:
            at_ms = parse_instant(sent)
        except InvalidDateError as exc:
            raise InvalidDateError(f"{where}: {exc.detail}") from exc
        limits = self._limits
        if at_ms > now_ms + limits.future_hours * 3_600_000:
            raise InvalidDateError(
                f"{where}: more than {limits.future_hours} hours ahead of the server's clock"
            )
        if at_ms < now_ms - limits.past_days * _DAY_MS:
            raise InvalidDateError(f"{where}: more than {limits.past_days} days ago")
        return at_ms
