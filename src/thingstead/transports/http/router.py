"""The route table: which handler serves which method and address.

A plain tree over path segments. `{name}` matches any one segment; a literal segment wins over
it. The table is also what the OpenAPI document and the docs are made from, so a route states
its summary where it is declared.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from thingstead.transports.http.answers import Answer
from thingstead.transports.http.refusals import (
    AddressNotFoundError,
    InvalidSessionTokenError,
    MethodNotAllowedError,
)
from thingstead.transports.http.request import Request, Send

Handler = Callable[[Request], Awaitable[Answer]]
StreamHandler = Callable[[Request, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter, for the docs."""

    name: str
    schema: dict[str, object]
    description: str


@dataclass(frozen=True, slots=True)
class Route:
    """One call. Exactly one of `handler` and `stream` is set."""

    method: str
    pattern: str
    summary: str
    handler: Handler | None = None
    stream: StreamHandler | None = None
    statuses: tuple[int, ...] = (200,)
    parameters: tuple[Parameter, ...] = ()
    body_example: object = None
    answer_example: object = None


@dataclass(slots=True)
class _Node:
    literals: "dict[str, _Node]" = field(default_factory=dict)
    variable: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, request: Request) -> Route:
        """Return the route, having set the request's `arguments`.

        Raises:
            MethodNotAllowedError: the address exists with other methods.
            InvalidSessionTokenError, AddressNotFoundError: it does not exist, below /v2 or not.
        """
        values: list[str] = []
        node = self._walk(self._root, request.segments, 0, values)
        if node is None:
            if request.segments[:1] == ["v2"]:
                raise InvalidSessionTokenError
            raise AddressNotFoundError
        method = request.method
        route = node.routes.get(method)
        if route is None and method == "HEAD":
            route = node.routes.get("GET")
            if route is not None and route.stream is not None:
                route = None
        if route is None:
            raise MethodNotAllowedError(", ".join([*sorted(node.routes), "OPTIONS"]))
        request.arguments = dict(zip(node.names[route.method], values, strict=True))
        return route

    def _walk(
        self, node: _Node, segments: list[str], index: int, values: list[str]
    ) -> _Node | None:
        if index == len(segments):
            return node if node.routes else None
        literal = node.literals.get(segments[index])
        if literal is not None:
            found = self._walk(literal, segments, index + 1, values)
            if found is not None:
                return found
        if node.variable is None:
            return None
        values.append(segments[index])
        found = self._walk(node.variable, segments, index + 1, values)
        if found is None:
            values.pop()
        return found

    def _add(self, route: Route) -> None:
        node = self._root
        names: list[str] = []
        for segment in filter(None, route.pattern.split("/")):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(segment, _Node())
        if route.method in node.routes:
            raise ValueError(f"{route.method} {route.pattern} is declared twice")
        node.routes[route.method] = route
        node.names[route.method] = tuple(names)
