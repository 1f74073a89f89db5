"""The route table: which handler serves which method and address.

A plain tree over path segments. `{name}` matches any one segment; a literal segment wins over
it. The table is also what the OpenAPI document and the docs are made from, so a route states
its summary where it is declared.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from thingstead.transports.http.answers import Answer, PiecewiseAnswer
from thingstead.transports.http.long_answers import LongAnswer
from thingstead.transports.http.refusals import (
    AddressNotFoundError,
    InvalidSessionTokenError,
    MethodNotAllowedError,
)
from thingstead.transports.http.request import Request, Send

Handler = Callable[[Request], Awaitable[Answer | PiecewiseAnswer | LongAnswer]]
StreamHandler = Callable[[Request, Send], Awaitable[None]]


class Access(StrEnum):
    """What a call must bring; `tests/api/app/test_isolation.py` has a row for each call."""

    PUBLIC = "public"
    THING_TOKEN = "thing-token"  # noqa: S105  # No token.
    """In the path."""
    SESSION = "session"
    """In the header `Authorization`."""
    MAIL_LINK = "mail-link"
    """The secret of a link that a mail carried, in the path."""
    PRODUCT_HASH = "product-hash"
    """The id of a product and its hash, in the path."""
    TARGET_TOKEN = "target-token"  # noqa: S105  # No token.
    """The thing's token in the header `Authorization`, its id in the path."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter, for the docs."""

    name: str
    schema: dict[str, object]
    description: str


@dataclass(frozen=True, slots=True)
class Route:
    """One call. At least one of `handler` and `stream` is set.

    With both, `stream` serves the requests whose query has `subscribe=true`, or that accept
    Server-Sent Events.
    """

    method: str
    pattern: str
    summary: str
    handler: Handler | None = None
    stream: StreamHandler | None = None
    statuses: tuple[int, ...] = (200,)
    parameters: tuple[Parameter, ...] = ()
    body_schema: dict[str, object] | None = None
    body_example: object = None
    answer_example: object = None
    media_type: str = "application/json"
    access: Access = field(kw_only=True)


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
        method = request.method
        values: list[str] = []
        node = self._walk(self._root, request.segments, 0, values, method)
        if node is None:
            self._refuse(request)
        route = node.routes.get(method) or node.routes["GET"]
        request.arguments = dict(zip(node.names[route.method], values, strict=True))
        return route

    def has(self, request: Request) -> bool:
        """Return whether a route serves the request's method and address."""
        return self._walk(self._root, request.segments, 0, [], request.method) is not None

    def _refuse(self, request: Request) -> NoReturn:
        node = self._walk(self._root, request.segments, 0, [], None)
        if node is not None:
            raise MethodNotAllowedError(
                ", ".join([*sorted({*node.routes} - {"OPTIONS"}), "OPTIONS"])
            )
        if request.segments[:1] == ["v2"]:
            raise InvalidSessionTokenError
        raise AddressNotFoundError

    def _walk(
        self,
        node: _Node,
        segments: list[str],
        index: int,
        values: list[str],
        method: str | None,
    ) -> _Node | None:
        """Return the node at the address that serves the method, with None any method.

        Fills `values` with what its variable segments hold. Below a literal segment that does
        not lead to one, the variable beside it is tried: an object may have the name that a
        thing's tags have. Not so for the first segment: what is below `/v2` belongs to the API
        alone, and no tenant of hawkBit's protocol can be called so.
        """
        if index == len(segments):
            is_wanted = bool(node.routes) if method is None else _serves(node, method)
            return node if is_wanted else None
        literal = node.literals.get(segments[index])
        if literal is not None:
            found = self._walk(literal, segments, index + 1, values, method)
            if found is not None or index == 0:
                return found
        if node.variable is None:
            return None
        values.append(segments[index])
        found = self._walk(node.variable, segments, index + 1, values, method)
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


def _serves(node: _Node, method: str) -> bool:
    if method in node.routes:
        return True
    # HEAD is a GET without its body, which an endless stream cannot be.
    return method == "HEAD" and "GET" in node.routes and node.routes["GET"].handler is not None
