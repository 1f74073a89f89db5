"""What it means for an update that a thing reports a version, says a word, or writes.

Pure, and the part of following updates that knows about versions and times. Where the meaning
leads stands in `progress.py`.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from thingstead.features.campaigns.model import OFFERING, Proof
from thingstead.features.firmware.model import (
    UNDER_WAY,
    FirmwareLimits,
    FirmwareState,
    Update,
    UpdateState,
)
from thingstead.features.firmware.status import Execution, Result, Status
from thingstead.features.firmware.stock import Item
from thingstead.features.firmware.versions import VersionKey

CONTACT_AFTER_MS: Final = 60_000
"""Outside campaigns a contact so long after the report proves health, for things that never
write: sooner it may come from a boot that is about to fail."""


class What(Enum):
    """What happened, as far as it matters to an update."""

    OFFERED = auto()
    FETCHES = auto()
    HAS_ALL = auto()
    INSTALLS = auto()
    RUNS_IT = auto()
    RAN_IT_BEFORE = auto()
    """It runs the version, and nothing tells that it got it here."""
    RUNS_NEWER = auto()
    RUNS_ANOTHER = auto()
    """An older version, or one that was withdrawn for the sake of this one."""
    PROVED = auto()
    FAILS = auto()
    LEFT_IT = auto()
    """It does something else, for which it is not to blame."""
    LATE = auto()
    RELEASED = auto()
    SAID = auto()
    """Words that change nothing but what people see."""


@dataclass(frozen=True, slots=True)
class Terms:
    """By what an update is judged: those of the image's campaign, or of no campaign."""

    version: str
    key: VersionKey
    attempts: int
    grace_ms: int
    write_after_ms: int = 0
    """A write so long after the report proves health."""
    contact_after_ms: int | None = CONTACT_AFTER_MS
    """A contact so long after the report does; None: never."""
    is_withdrawn: bool = False
    """Whether the image is not to be installed any more."""


def terms_of(item: Item, limits: FirmwareLimits) -> Terms:
    """Return the terms for updates to the image."""
    version, grace_ms = item.firmware.version, limits.grace_ms
    if item.campaign is None:
        is_withdrawn = item.firmware.state is not FirmwareState.PUBLISHED
        return Terms(version, item.key, limits.attempts, grace_ms, is_withdrawn=is_withdrawn)
    plan = item.campaign.plan
    soak_ms = plan.gate.soak_s * 1_000
    return Terms(
        version,
        item.key,
        plan.attempts,
        grace_ms,
        write_after_ms=soak_ms,
        contact_after_ms=soak_ms if plan.gate.proof is Proof.CONTACT else None,
        is_withdrawn=item.firmware.state is not FirmwareState.PUBLISHED
        or item.campaign.state not in OFFERING,
    )


def last_doing_ms(update: Update) -> int:
    """Return when the thing last did something for the update, 0 if it never did."""
    return max(update.begun_at_ms or 0, update.downloaded_at_ms or 0, update.reported_at_ms or 0)


def meaning_of_report(
    update: Update,
    terms: Terms,
    key: VersionKey,
    *,
    key_before: VersionKey | None,
    is_newer: bool,
    is_superseded: bool,
    now_ms: int,
) -> What | None:
    """Return what it means for the update that the thing says it runs a version.

    `key`: of that version. `key_before`: of what it said before. `is_newer`: than the image, and
    not withdrawn for its sake. `is_superseded`: it did something for another image of the MCU
    since.
    """
    if key == terms.key:
        got_it_here = update.begun_at_ms is not None or key_before not in (None, terms.key)
        is_early = update.state in (UpdateState.WAITING, UpdateState.OFFERED)
        return What.RAN_IT_BEFORE if is_early and not got_it_here else What.RUNS_IT
    if is_newer:
        return What.RUNS_NEWER
    if is_superseded:
        return What.LEFT_IT if update.state in UNDER_WAY else None
    return None if _has_just_loaded(update, terms, now_ms) else What.RUNS_ANOTHER


def says_success(status: Status) -> bool:
    """Return whether the thing calls the update done, which is a report of its version.

    As hawkBit has it, what is closed without a result went well.
    """
    return status.execution is Execution.CLOSED and status.result is not Result.FAILURE


def meaning_of_status(update: Update, terms: Terms, status: Status) -> tuple[What, str]:
    """Return what it means for the update that the thing says this of it, and the detail."""
    match status.execution:
        case Execution.CLOSED:
            return (What.RUNS_IT if says_success(status) else What.FAILS), status.details
        case Execution.CANCELED:
            return (What.LEFT_IT if terms.is_withdrawn else What.FAILS), words_of(status)
        case Execution.DOWNLOAD if update.state in (UpdateState.OFFERED, UpdateState.FAILED):
            return What.FETCHES, ""
        case Execution.DOWNLOADED:
            return What.HAS_ALL, ""
        case Execution.INSTALLING:
            return What.INSTALLS, words_of(status)
        case Execution.PROCEEDING if update.state is UpdateState.DOWNLOADED:
            return What.INSTALLS, words_of(status)
        case _:
            return What.SAID, words_of(status)


def begins_anew(update: Update, terms: Terms, *, now_ms: int) -> bool:
    """Return whether fetching bytes begins a download, rather than belonging to the last one.

    Clients that fetch ranges may have the last byte first, or read parts again to check them.
    """
    return not _has_just_loaded(update, terms, now_ms)


def is_proof(update: Update, terms: Terms, *, is_write: bool, now_ms: int) -> bool:
    """Return whether a write, or another contact, now proves that the update works."""
    after_ms = terms.write_after_ms if is_write else terms.contact_after_ms
    if update.state is not UpdateState.REPORTED or after_ms is None:
        return False
    return now_ms >= (update.reported_at_ms or 0) + after_ms


def words_of(status: Status) -> str:
    """Return the status as a clause for people."""
    share = "" if status.progress is None else f", {status.progress} %"
    details = f": {status.details}" if status.details else ""
    return f"says {status.execution}{share}{details}"


def _has_just_loaded(update: Update, terms: Terms, now_ms: int) -> bool:
    is_loaded = update.state in (UpdateState.DOWNLOADED, UpdateState.INSTALLING)
    return is_loaded and now_ms - update.changed_at_ms <= terms.grace_ms
