"""What a thing says about its update, in the words of hawkBit's device protocol.

The words and what they mean stand in hawkBit's documentation of the DDI API
(`POST …/deploymentBase/{actionId}/feedback`); a few plain ones are taken too, for who writes
the firmware by hand. Knows no transport: members come as decoded JSON of any shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from thingstead.features.firmware.errors import InvalidStatusError

MAX_DETAIL_CHARACTERS = 200
_MOST_DETAILS = 50


class Execution(StrEnum):
    """What the thing does with the update."""

    SCHEDULED = "scheduled"
    RESUMED = "resumed"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"
    PROCEEDING = "proceeding"
    INSTALLING = "installing"
    """Not a word of hawkBit, whose `proceeding` may also mean the download."""
    REJECTED = "rejected"
    CANCELED = "canceled"
    CLOSED = "closed"
    """It is done, `Status.result` tells how."""


class Result(StrEnum):
    """How it ended, or that it has not."""

    NONE = "none"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Status:
    """What a thing says about its update."""

    execution: Execution
    result: Result = Result.NONE
    progress: int | None = None
    """Per cent, 0 to 100."""
    details: str = ""
    """At most 200 printable characters of the thing's own: show them as text."""


_PLAIN_WORDS: Final = {
    "success": (Execution.CLOSED, Result.SUCCESS),
    "succeeded": (Execution.CLOSED, Result.SUCCESS),
    "failure": (Execution.CLOSED, Result.FAILURE),
    "failed": (Execution.CLOSED, Result.FAILURE),
    "downloading": (Execution.DOWNLOAD, Result.NONE),
    "cancelled": (Execution.CANCELED, Result.NONE),
}


def parse_status(
    execution: object, result: object = None, progress: object = None, details: object = None
) -> Status:
    """Return what the members mean; null is as good as absent, except for `execution`.

    `result`: a word, or hawkBit's `{"finished": word, "progress": {"cnt": 1, "of": 2}}`.
    `progress`: a number of per cent, or `{"cnt": 1, "of": 2}`; it goes before that of `result`.
    `details`: a text or a list of texts.

    Raises:
        InvalidStatusError: a member is none of these.
    """
    if not isinstance(execution, str):
        raise InvalidStatusError("state: a text is expected")
    word = execution.strip().lower()
    if word in _PLAIN_WORDS:
        meant, plain_result = _PLAIN_WORDS[word]
    elif word in list(Execution):
        meant, plain_result = Execution(word), Result.NONE
    else:
        expected = ", ".join([*Execution, *_PLAIN_WORDS])
        raise InvalidStatusError(f"state: one of {expected} is expected")
    finished, inner_progress = _taken_apart(result)
    said = _result(finished)
    return Status(
        meant,
        plain_result if said is Result.NONE else said,
        _progress(inner_progress if progress is None else progress),
        _details(details),
    )


def printable(text: str, most: int = MAX_DETAIL_CHARACTERS) -> str:
    """Return at most `most` printable characters of a text that a thing sent."""
    # Looking at four times as many bounds the work, and still fills it in any usual text.
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())[:most]


def _taken_apart(result: object) -> tuple[object, object]:
    if isinstance(result, Mapping):
        return result.get("finished"), result.get("progress")
    return result, None


def _result(finished: object) -> Result:
    if finished is None:
        return Result.NONE
    if isinstance(finished, str) and finished.strip().lower() in list(Result):
        return Result(finished.strip().lower())
    raise InvalidStatusError(f"result: one of {', '.join(Result)} is expected")


def _progress(progress: object) -> int | None:
    if progress is None:
        return None
    if isinstance(progress, Mapping):
        done, whole = progress.get("cnt"), progress.get("of")
        if done is None and whole is None:
            return None
        # hawkBit's agents also send only one of both; then there is no share to be told.
        if done is None or whole is None or whole == 0:
            return None
        return _per_cent(100 * _number(done) / _number(whole))
    return _per_cent(_number(progress))


def _number(value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1e15:  # type: ignore[operator]
        raise InvalidStatusError('progress: 0 to 100, or {"cnt": 1, "of": 2}, is expected')
    return float(value)  # type: ignore[arg-type]


def _per_cent(value: float) -> int:
    # In this order: a share of very little is infinite, and no integer.
    return int(min(100.0, value))


def _details(details: object) -> str:
    if details is None:
        return ""
    texts = [details] if isinstance(details, str) else details
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidStatusError("details: a text or a list of texts is expected")
    return printable("; ".join(text[: 4 * MAX_DETAIL_CHARACTERS] for text in texts[:_MOST_DETAILS]))
