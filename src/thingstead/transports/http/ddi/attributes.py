"""What an agent tells of its device: hawkBit's "attributes", asked for with the link `configData`.

Of all attributes the version that runs is taken, as a report like any other; nothing else is kept,
because what describes a thing is its description. They are asked for as hawkBit does it: at first,
and again after an update.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, TypeGuard

from thingstead.features.firmware.model import NO_REPORT, Report, ThingRecord
from thingstead.features.firmware.versions import MCU, VERSION
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import InvalidBodyError
from thingstead.kernel.ids import ThingId

MOST_ATTRIBUTES = 100
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 1_024
_VERSION_KEYS: Final = ("version", "firmware_version", "sw_version")
_MCU_KEY: Final = "mcu"
_MODES: Final = (None, "merge", "replace", "remove")
_KEPT = 20_000


def report_of(body: object) -> Report:
    """Return the report that the body of `configData` holds; one of nothing without a version.

    Raises:
        InvalidBodyError: it is not of the protocol's shape, or over a limit.
    """
    if not isinstance(body, Mapping) or not isinstance(data := body.get("data"), Mapping):
        raise InvalidBodyError("data: expected an object")
    if (mode := body.get("mode")) not in _MODES:
        raise InvalidBodyError("mode: expected merge, replace or remove")
    if len(data) > MOST_ATTRIBUTES:
        raise InvalidBodyError(f"data: at most {MOST_ATTRIBUTES} attributes are taken")
    for key, value in data.items():
        _check(key, value)
    if mode == "remove":
        return Report()
    mcu = data.get(_MCU_KEY)
    versions = (value for key in _VERSION_KEYS if _is(VERSION, value := data.get(key)))
    return Report(mcu if _is(MCU, mcu) else None, next(versions, None))


class Attributes:
    """Knows which agents are to be asked; it remembers for one process only.

    After a restart an agent is asked once more, unless the version that it runs is known.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[ThingId, tuple[int, Report]] = OrderedDict()

    def told(self, thing_id: ThingId, report: Report) -> None:
        """Note that the agent has told them."""
        self._told[thing_id] = (self._clock.now_ms(), report)
        self._told.move_to_end(thing_id)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)

    def untaken(self, thing_id: ThingId, record: ThingRecord) -> Report:
        """Return what the agent told before there was an image to know its MCU by, if anything."""
        if record.running or record.updates:
            return NO_REPORT
        return self._told.get(thing_id, (0, NO_REPORT))[1]

    def are_wanted(self, thing_id: ThingId, record: ThingRecord) -> bool:
        """Return whether the agent is to tell them (again)."""
        known_at: int | None = None
        if thing_id in self._told:
            known_at = self._told[thing_id][0]
        elif record.running:
            known_at = max(one.seen_at_ms for one in record.running)
        if known_at is None:
            return True
        return any(
            one.reported_at_ms is not None and one.reported_at_ms > known_at
            for one in record.updates
        )


def _is(pattern: re.Pattern[str], value: object) -> TypeGuard[str]:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _check(key: object, value: object) -> None:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidBodyError(f"data: a key has 1 to {MAX_KEY_CHARACTERS} characters")
    if value is not None and not isinstance(value, (str, int, float)):
        raise InvalidBodyError("data: the values of attributes are texts")
    if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
        raise InvalidBodyError(f"data: a value has at most {MAX_VALUE_CHARACTERS} characters")
