"""The table of paths: which handler takes a method of a path. Sans-I/O."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiocoap.numbers.codes import Code

from thingstead.transports.coap.messages import Answer, CoAPRequest, LongAnswer
from thingstead.transports.coap.refusals import MethodNotAllowedError, NotFoundError

Handler = Callable[[CoAPRequest], Awaitable[Answer | LongAnswer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; `{name}` in the path stands for any segment.

    `body_bytes`: how much of a body it takes. `is_observable`: a GET with Observe 0 subscribes.
    With `thing_token` in the path, the thing must exist before any block of a body is kept.
    """

    method: Code
    path: str
    handle: Handler
    body_bytes: int = 0
    is_observable: bool = False


class Routes:
    """Finds routes; of two that match, the one that was given first is taken."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            pattern = tuple(filter(None, route.path.split("/")))
            self._by_length.setdefault(len(pattern), []).append((pattern, route))

    def find(self, method: Code, segments: tuple[str, ...]) -> tuple[Route, dict[str, str]]:
        """Return the route and what its path names.

        Raises:
            NotFoundError: no route has this path.
            MethodNotAllowedError: some have, but none with this method.
        """
        allowed: list[str] = []
        for pattern, route in self._by_length.get(len(segments), ()):
            arguments = _matched(pattern, segments)
            if arguments is None:
                continue
            if route.method is method:
                return route, arguments
            allowed.append(str(route.method))
        if allowed:
            raise MethodNotAllowedError("use " + ", ".join(dict.fromkeys(allowed)))
        raise NotFoundError


def _matched(pattern: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    arguments: dict[str, str] = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            arguments[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return arguments
