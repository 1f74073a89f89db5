"""What a thing is to do now, in hawkBit's terms: one action at a time, to install or to stop.

An action is the update of one thing to one image, and has its number. Agents do not compare
versions themselves, so that what a thing runs or has done is not told again. What is offered and
what is withdrawn is decided in `features/firmware`; here is only what hawkBit adds to it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from thingstead.features.firmware.errors import FirmwareNotFoundError, UpdateNotFoundError
from thingstead.features.firmware.model import (
    NO_REPORT,
    Firmware,
    Report,
    ThingRecord,
    Update,
    UpdateState,
)
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.status import Execution, Status
from thingstead.features.firmware.updates import Updates
from thingstead.features.firmware.versions import is_same, version_key
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import FirmwareId, ThingId
from thingstead.transports.http.ddi.attributes import Attributes
from thingstead.transports.http.refusals import HTTPRefusalError

_WORKED_ON = frozenset({UpdateState.DOWNLOADING, UpdateState.DOWNLOADED, UpdateState.INSTALLING})
_OPEN = _WORKED_ON | {UpdateState.OFFERED}
# What failed may be offered again, and a thing that succeeds later than expected may say so.
_CLOSED = frozenset({UpdateState.SUCCEEDED, UpdateState.BLOCKED, UpdateState.CURRENT})
_INSTALLED = frozenset({UpdateState.REPORTED, UpdateState.SUCCEEDED})
_ENDS = frozenset({Execution.CLOSED, Execution.CANCELED})
# An agent that does not know how to stop (rauc-hawkbit-updater before 1.1) would wait for ever.
_MOST_UNANSWERED = 3
_UNANSWERED = Status(Execution.CANCELED, details="the agent does not answer cancellations")
_REFUSED = float("inf")
_MOST_REMEMBERED = 20_000

Action = tuple[Update, Firmware]


class ActionClosedError(HTTPRefusalError):
    """The action has ended; nothing more can be said about it."""

    status = 410
    code = "action-closed"
    message = "The action is closed"
    advice = "Poll again: what is to be done next, if anything, has a number of its own."


@dataclass(frozen=True, slots=True)
class Turn:
    """What a thing is to do now: at most one of `deploy` and `cancel` is set."""

    deploy: Action | None
    cancel: Action | None
    installed: Update | None
    """What it installed last."""
    wants_attributes: bool
    poll_after_s: int


class Actions:
    """Finds the actions of things, and takes in what they say of them."""

    def __init__(self, offers: Offers, updates: Updates, attributes: Attributes) -> None:
        self._offers = offers
        self._updates = updates
        self._attributes = attributes
        self._cancellations = _Cancellations()

    async def turn(self, thing: Thing) -> Turn:
        """Return what the thing is to do now; what it is offered is durably noted on return."""
        record = await self._updates.record(thing.id, thing.product_id)
        untaken = self._attributes.untaken(thing.id, record)
        if untaken != NO_REPORT:
            await self._updates.heard(thing, untaken)
        offer = await self._offers.latest(thing)
        record = await self._updates.record(thing.id, thing.product_id)
        worked_on = await self._worked_on(thing, record)
        stopping = await self._to_be_stopped(thing, worked_on, offer.firmwares)
        if stopping is not None and self._cancellations.are_refused(thing.id, stopping[0]):
            stopping = None
        elif stopping is not None and not self._cancellations.tell(thing.id, stopping[0]):
            await self._updates.said(thing, stopping[1].id, _UNANSWERED)
            stopping = worked_on = None
        deploy = worked_on or _first_open(record, offer.firmwares)
        return Turn(
            None if stopping else deploy,
            stopping,
            _last_installed(record),
            self._attributes.are_wanted(thing.id, record),
            offer.poll_after_s,
        )

    async def heard(self, thing: Thing, report: Report) -> None:
        """Take in the attributes of the thing's agent."""
        if report != NO_REPORT:
            await self._updates.heard(thing, report)
        self._attributes.told(thing.id, report)

    async def to_install(self, thing: Thing, action: int) -> Firmware:
        """Return the image of an action that the thing may go on with.

        Raises:
            UpdateNotFoundError: there is no such action, it has ended, or it was withdrawn.
        """
        update, _ = await self._offers.action(thing, action)
        if update.state not in _OPEN:
            raise UpdateNotFoundError
        try:
            return await self._offers.find(thing, update.firmware_id)
        except FirmwareNotFoundError as exc:
            raise UpdateNotFoundError from exc

    async def installed(self, thing: Thing, action: int) -> Firmware:
        """Return the image of an action that ended well.

        Raises:
            UpdateNotFoundError: there is no such action.
        """
        update, firmware = await self._offers.action(thing, action)
        if update.state not in _INSTALLED:
            raise UpdateNotFoundError
        return firmware

    async def to_stop(self, thing: Thing, action: int) -> None:
        """Return if the thing is to stop that action.

        Raises:
            UpdateNotFoundError: it is not.
        """
        cancel = (await self.turn(thing)).cancel
        if cancel is None or cancel[0].action != action:
            raise UpdateNotFoundError

    async def said(self, thing: Thing, action: int, status: Status) -> None:
        """Take in what the thing says of an action.

        Raises:
            UpdateNotFoundError: it was not told of it.
            ActionClosedError: it has ended.
        """
        firmware_id = await self._open(thing, action)
        await self._updates.said(thing, firmware_id, status)
        if status.execution in _ENDS:
            self._cancellations.forget(thing.id, action)

    async def said_of_stopping(self, thing: Thing, action: int, status: Status) -> None:
        """Take in what the thing says to being told to stop; otherwise as `said`.

        It goes on with what it refuses to stop, and is told only once.
        """
        firmware_id = await self._open(thing, action)
        if status.execution is Execution.REJECTED:
            self._cancellations.refused(thing.id, action)
        elif status.execution in _ENDS:
            stopped = Status(Execution.CANCELED, details=status.details)
            await self._updates.said(thing, firmware_id, stopped)
            self._cancellations.forget(thing.id, action)

    async def _open(self, thing: Thing, action: int) -> FirmwareId:
        update, firmware = await self._offers.action(thing, action)
        if update.state in _CLOSED:
            raise ActionClosedError
        return firmware.id

    async def _worked_on(self, thing: Thing, record: ThingRecord) -> Action | None:
        """Return what the thing works on and may go on with, the newest."""
        for update in sorted(record.updates, key=lambda one: one.action, reverse=True):
            if update.state not in _WORKED_ON:
                continue
            try:
                return update, await self._offers.find(thing, update.firmware_id)
            except FirmwareNotFoundError:
                continue
        return None

    async def _to_be_stopped(
        self, thing: Thing, worked_on: Action | None, offered: Sequence[Firmware]
    ) -> Action | None:
        """Return what the thing is to stop: what was withdrawn, or what something newer follows.

        hawkBit, too, has an agent stop before it begins with something else. SWUpdate reports
        its success after a restart for whatever action it is told of then.
        """
        withdrawn = await self._offers.withdrawn(thing)
        if withdrawn is not None:
            return withdrawn
        if worked_on is not None and _is_superseded(worked_on[1], offered):
            return worked_on
        return None


class _Cancellations:
    """Counts how often things were told to stop; in memory, and bounded."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[ThingId, int], float] = OrderedDict()

    def are_refused(self, thing_id: ThingId, update: Update) -> bool:
        """Return whether the thing said that it does not stop."""
        return self._told.get((thing_id, update.action)) == _REFUSED

    def tell(self, thing_id: ThingId, update: Update) -> bool:
        """Return whether to tell the thing to stop, or that it was told often enough."""
        times = self._told.get((thing_id, update.action), 0)
        if times >= _MOST_UNANSWERED:
            del self._told[thing_id, update.action]
            return False
        self._set(thing_id, update.action, times + 1)
        return True

    def refused(self, thing_id: ThingId, action: int) -> None:
        """Note that the thing does not stop."""
        self._set(thing_id, action, _REFUSED)

    def forget(self, thing_id: ThingId, action: int) -> None:
        """Begin anew with what has ended, because it may be offered again."""
        self._told.pop((thing_id, action), None)

    def _set(self, thing_id: ThingId, action: int, times: float) -> None:
        self._told[thing_id, action] = times
        self._told.move_to_end((thing_id, action))
        while len(self._told) > _MOST_REMEMBERED:
            self._told.popitem(last=False)


def _first_open(record: ThingRecord, offered: Sequence[Firmware]) -> Action | None:
    updates = {update.firmware_id: update for update in record.updates}
    for firmware in offered:
        update = updates.get(firmware.id)
        if update is not None and update.state in _OPEN and not _runs(record, firmware):
            return update, firmware
    return None


def _runs(record: ThingRecord, firmware: Firmware) -> bool:
    """Return whether the thing runs the image's version, or a newer one."""
    for running in record.running:
        if running.mcu == firmware.mcu:
            if firmware.is_revert:
                return is_same(running.version, firmware.version)
            return version_key(running.version) >= version_key(firmware.version)
    return False


def _is_superseded(firmware: Firmware, offered: Sequence[Firmware]) -> bool:
    return any(
        one.mcu == firmware.mcu and one.sequence > firmware.sequence
        for one in offered
        if one.id != firmware.id
    )


def _last_installed(record: ThingRecord) -> Update | None:
    installed = [one for one in record.updates if one.state in _INSTALLED]
    return max(installed, key=lambda one: one.reported_at_ms or 0, default=None)
