"""How far an update has come after something happened: one table, and what follows from it.

Pure: rows and times go in, a `Step` or None comes out. None means that nothing is to be stored,
so what is repeated costs nothing. What happened is told by `meanings.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Final

from thingstead.features.campaigns.model import Campaign
from thingstead.features.firmware.meanings import Terms, What
from thingstead.features.firmware.model import (
    UNDER_WAY,
    Firmware,
    Step,
    Update,
    UpdateEvent,
    UpdateState,
)
from thingstead.kernel.ids import ThingId
from thingstead.kernel.plurals import counted


class _To(Enum):
    """Outcomes that are not one state."""

    FAILURE = auto()
    """FAILED, or BLOCKED once there are too many; counts."""
    STAYS = auto()


_S = UpdateState
_OPEN: Final = (_S.OFFERED, _S.DOWNLOADING, _S.DOWNLOADED, _S.INSTALLING)

# What is not listed changes nothing. An update that is not stored yet is WAITING. BLOCKED is left
# by an operator only, or when the thing runs the version after all.
_TABLE: Final[Mapping[What, Mapping[UpdateState, UpdateState | _To]]] = {
    What.OFFERED: {_S.WAITING: _S.OFFERED, _S.FAILED: _S.OFFERED},
    What.FETCHES: {
        _S.WAITING: _S.DOWNLOADING,
        _S.OFFERED: _S.DOWNLOADING,
        _S.DOWNLOADED: _S.DOWNLOADING,
        _S.INSTALLING: _S.DOWNLOADING,
        _S.FAILED: _S.DOWNLOADING,
        _S.CURRENT: _S.DOWNLOADING,
    },
    What.HAS_ALL: {
        _S.WAITING: _S.DOWNLOADED,
        _S.OFFERED: _S.DOWNLOADED,
        _S.DOWNLOADING: _S.DOWNLOADED,
        _S.CURRENT: _S.DOWNLOADED,
    },
    What.INSTALLS: {
        _S.OFFERED: _S.INSTALLING,
        _S.DOWNLOADING: _S.INSTALLING,
        _S.DOWNLOADED: _S.INSTALLING,
        _S.FAILED: _S.INSTALLING,
    },
    What.RUNS_IT: {
        _S.WAITING: _S.CURRENT,
        **dict.fromkeys(_OPEN, _S.REPORTED),
        _S.FAILED: _S.REPORTED,
        _S.BLOCKED: _S.REPORTED,
    },
    What.RAN_IT_BEFORE: {_S.WAITING: _S.CURRENT, _S.OFFERED: _S.CURRENT},
    What.RUNS_NEWER: {
        _S.WAITING: _S.CURRENT,
        **dict.fromkeys(_OPEN, _S.CURRENT),
        _S.REPORTED: _S.CURRENT,
        _S.FAILED: _S.CURRENT,
    },
    What.RUNS_ANOTHER: {
        _S.DOWNLOADED: _To.FAILURE,
        _S.INSTALLING: _To.FAILURE,
        _S.REPORTED: _To.FAILURE,
        _S.SUCCEEDED: _To.FAILURE,
        _S.CURRENT: _S.WAITING,
    },
    What.PROVED: {_S.REPORTED: _S.SUCCEEDED},
    What.FAILS: {**dict.fromkeys(_OPEN, _To.FAILURE), _S.REPORTED: _To.FAILURE},
    What.LEFT_IT: {**dict.fromkeys(_OPEN, _S.FAILED), _S.REPORTED: _S.FAILED},
    What.LATE: dict.fromkeys(UNDER_WAY, _To.FAILURE),
    What.RELEASED: {_S.FAILED: _S.WAITING, _S.BLOCKED: _S.WAITING},
    What.SAID: {**dict.fromkeys(_OPEN, _To.STAYS), _S.REPORTED: _To.STAYS},
}

# What a thing may not come to with an image that it is not offered any more.
_OFFERS: Final = (What.OFFERED, What.FETCHES)

_EVENT_OF: Final[Mapping[UpdateState, str]] = {
    _S.WAITING: "reported",
    _S.OFFERED: "offered",
    _S.DOWNLOADING: "begun",
    _S.DOWNLOADED: "downloaded",
    _S.INSTALLING: "said",
    _S.REPORTED: "reported",
    _S.SUCCEEDED: "succeeded",
    _S.FAILED: "failed",
    _S.BLOCKED: "blocked",
    _S.CURRENT: "reported",
}


def new_update(
    thing_id: ThingId, firmware: Firmware, campaign: Campaign | None, *, ring: int, now_ms: int
) -> Update:
    """Return an update that is not stored yet, to make the first step from."""
    return Update(
        thing_id=thing_id,
        firmware_id=firmware.id,
        product_id=firmware.product_id,
        mcu=firmware.mcu,
        campaign_id=None if campaign is None else campaign.id,
        ring=ring,
        state=UpdateState.WAITING,
        changed_at_ms=now_ms,
    )


def is_blocked(update: Update, terms: Terms) -> bool:
    """Return whether the image is not to be offered for having failed too often.

    Also of an update that is not BLOCKED: its new campaign may allow fewer failures.
    """
    if update.state is UpdateState.BLOCKED:
        return True
    is_at_its_start = update.state in (UpdateState.WAITING, UpdateState.FAILED)
    return is_at_its_start and update.failures >= terms.attempts


def step(update: Update, what: What, terms: Terms, *, now_ms: int, detail: str = "") -> Step | None:
    """Return the step that the update takes, or None when nothing changes.

    `detail`: what is known beyond `what`, for people, such as the version that a thing reports.
    """
    to = _TABLE[what].get(update.state)
    if to is None or (what in _OFFERS and is_blocked(update, terms)):
        return None
    if to is _To.STAYS:
        return _said(update, detail, now_ms)
    if isinstance(to, UpdateState):
        reason = _reason(update, what, terms, detail)
        failures = 0 if what is What.RELEASED else update.failures
        moved = _moved(update, to, now_ms, reason=reason, failures=failures)
        kind = "released" if what is What.RELEASED else _EVENT_OF[to]
        return Step(moved, (_event(moved, kind, reason),))
    return _failed(update, what, terms, detail, now_ms)


def _said(update: Update, words: str, now_ms: int) -> Step | None:
    if words in ("", update.reason):
        return None
    said = replace(update, reason=words, changed_at_ms=now_ms)
    return Step(said, (_event(said, "said", words),))


def _failed(update: Update, what: What, terms: Terms, detail: str, now_ms: int) -> Step:
    failures = update.failures + 1
    count = f"failure {failures} of {terms.attempts}"
    reason = f"{_reason(update, what, terms, detail)} ({count})"
    if failures < terms.attempts:
        moved = _moved(update, UpdateState.FAILED, now_ms, reason=reason, failures=failures)
        return Step(moved, (_event(moved, "failed", reason),))
    blocked = f"{terms.version} is offered no more until an operator releases it"
    moved = _moved(
        update, UpdateState.BLOCKED, now_ms, reason=f"{reason}; {blocked}", failures=failures
    )
    failed = _event(moved, "failed", reason)
    return Step(moved, (failed, _event(moved, "blocked", f"after failure {failures}: {blocked}")))


def _reason(update: Update, what: What, terms: Terms, detail: str) -> str:
    version = terms.version
    match what:
        case What.RUNS_IT if update.state is not UpdateState.WAITING:
            return f"reports {version}; {_proof_wanted(terms)} has to prove that it works"
        case What.RUNS_IT | What.RAN_IT_BEFORE:
            return f"reports {version}, which it did not get here"
        case What.RUNS_NEWER:
            return f"reports {detail}, which is newer than {version}"
        case What.RUNS_ANOTHER if update.state is UpdateState.CURRENT:
            return f"reports {detail} and no longer {version}"
        case What.RUNS_ANOTHER if update.state in (UpdateState.REPORTED, UpdateState.SUCCEEDED):
            return f"reports {detail} after {version} had run: the update was rolled back"
        case What.RUNS_ANOTHER:
            return (
                f"reports {detail} after the download of {version}:"
                " the update was rolled back or never started"
            )
        case What.FAILS:
            return f"says that the update to {version} failed{_with(detail)}"
        case What.LEFT_IT:
            return f"does not go on with {version}{_with(detail)}"
        case What.RELEASED:
            failures = counted(update.failures, "failure")
            return f"released by an operator after {failures} with {version}"
        case _:
            return detail or _PLAIN_REASONS[what].format(version=version)


_PLAIN_REASONS: Final[Mapping[What, str]] = {
    What.OFFERED: "{version} was offered",
    What.FETCHES: "fetches {version}",
    What.HAS_ALL: "was given the last byte of {version}",
    What.INSTALLS: "installs {version}",
    What.PROVED: "works with {version}",
    What.LATE: "took too long to update to {version}",
}


def _with(detail: str) -> str:
    return f": {detail}" if detail else ""


def _proof_wanted(terms: Terms) -> str:
    contact_after_ms = terms.contact_after_ms
    if contact_after_ms is None:
        return f"a write{_later(terms.write_after_ms)}"
    if contact_after_ms == terms.write_after_ms:
        return f"a contact{_later(contact_after_ms)}"
    return f"a write{_later(terms.write_after_ms)} or a contact{_later(contact_after_ms)}"


def _later(after_ms: int) -> str:
    return f", {after_ms // 1_000} s later or more," if after_ms else ""


def _moved(
    update: Update, state: UpdateState, now_ms: int, *, reason: str, failures: int
) -> Update:
    """Return the update in the state, with the times of what happened in this attempt."""
    offered, begun = update.offered_at_ms, update.begun_at_ms
    downloaded, reported = update.downloaded_at_ms, update.reported_at_ms
    ended: int | None = None
    match state:
        case UpdateState.WAITING:
            offered = begun = downloaded = reported = None
        case UpdateState.OFFERED:
            offered, begun, downloaded, reported = now_ms, None, None, None
        case UpdateState.DOWNLOADING:
            begun, downloaded, reported = now_ms, None, None
        case UpdateState.DOWNLOADED:
            begun, downloaded, reported = begun or now_ms, now_ms, None
        case UpdateState.INSTALLING:
            reported = None
        case UpdateState.REPORTED:
            reported = now_ms
        case _:
            ended = now_ms
    return replace(
        update,
        state=state,
        reason=reason,
        failures=failures,
        offered_at_ms=offered,
        begun_at_ms=begun,
        downloaded_at_ms=downloaded,
        reported_at_ms=reported,
        ended_at_ms=ended,
        changed_at_ms=now_ms,
    )


def _event(update: Update, kind: str, detail: str) -> UpdateEvent:
    return UpdateEvent(
        update.thing_id,
        update.firmware_id,
        update.campaign_id,
        update.changed_at_ms,
        kind,
        detail,
    )
