"""What a request is about: its path and its query, as clients in the field write them.

The official node client sends its query within the last Uri-Path option (`KEY?limit=15`, or a
bare `TOKEN?`) and no Uri-Query (`thethings-v2.md` 5.2); others send the whole path as one
option, or slashes at its end. All of that means the same here. Sans-I/O.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from thingstead.transports.coap.refusals import InvalidTargetError

_MOST_PARAMETERS = 50


@dataclass(frozen=True, slots=True)
class Target:
    """The path without its empty segments, and the query; of one given twice the last counts."""

    segments: tuple[str, ...]
    query: dict[str, str]


def target_of(uri_path: Iterable[bytes], uri_query: Iterable[bytes]) -> Target:
    """Return what the options name.

    Raises:
        InvalidTargetError: they are no UTF-8, or a part of the path is a dot segment or holds a
            backslash or NUL.
    """
    try:
        path = b"/".join(uri_path).decode("utf-8")
        query = b"&".join(uri_query).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidTargetError("it is no UTF-8") from exc
    path, _, query_in_path = path.partition("?")
    if "\\" in path or "\x00" in path:
        raise InvalidTargetError("the path holds a backslash or NUL")
    segments = tuple(segment for segment in path.split("/") if segment)
    if "." in segments or ".." in segments:
        raise InvalidTargetError("dot segments are not followed")
    return Target(segments, _parameters("&".join(filter(None, (query_in_path, query)))))


def _parameters(query: str) -> dict[str, str]:
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict"
        )
    except (ValueError, UnicodeDecodeError) as exc:
        raise InvalidTargetError(f"more than {_MOST_PARAMETERS} parameters, or no UTF-8") from exc
    return dict(pairs)
