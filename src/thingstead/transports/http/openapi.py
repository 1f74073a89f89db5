"""The OpenAPI 3.1 document of a route table.

Made from the same `Route` objects that serve the requests, so it cannot name a call that is
not there or leave one out. `docs/openapi.json` is written from it by `scripts/docs`.
"""

from collections.abc import Sequence
from http import HTTPStatus

from thingstead import __version__
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.wire.values_out import encode

_ERROR = {
    "type": "object",
    "required": ["status", "code", "message"],
    "properties": {
        "status": {"const": "error"},
        "code": {"type": "integer", "description": "The HTTP status."},
        "message": {"type": "string", "description": "What is wrong, and where."},
    },
}
_SESSION = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "The session token of POST /v2/login, bare or after `Bearer`.",
}
_TARGET_TOKEN = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "The thing's token after `TargetToken`.",
}
_SECURITY = {Access.SESSION: "session", Access.TARGET_TOKEN: "targetToken"}


def openapi_document(routes: Sequence[Route]) -> dict[str, object]:
    """Return the document; paths in the order of the table."""
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "thingstead",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"session": _SESSION, "targetToken": _TARGET_TOKEN},
        },
    }


def openapi_route(routes: Sequence[Route]) -> Route:
    """Return the route that serves the document of the others and of itself."""

    async def document(_request: Request) -> Answer:
        return Answer(200, encode(openapi_document([*routes, route])))

    route = Route(
        "GET",
        "/openapi.json",
        "This document",
        document,
        access=Access.PUBLIC,
    )
    return route


def _operation(route: Route) -> dict[str, object]:
    names = [part.strip("{}") for part in route.pattern.split("/") if part.startswith("{")]
    operation: dict[str, object] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "responses": {str(status): _response(route, status) for status in route.statuses},
    }
    parameters: list[dict[str, object]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    parameters += [
        {
            "name": parameter.name,
            "in": "query",
            "schema": parameter.schema,
            "description": parameter.description,
        }
        for parameter in route.parameters
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.access in _SECURITY:
        operation["security"] = [{_SECURITY[route.access]: []}]
    if route.body_schema is not None or route.body_example is not None:
        media: dict[str, object] = {}
        if route.body_schema is not None:
            media["schema"] = route.body_schema
        if route.body_example is not None:
            media["example"] = route.body_example
        operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    if route.stream is not None:
        operation["x-stream"] = "always" if route.handler is None else "subscribe=true"
    return operation


def _operation_id(route: Route) -> str:
    parts = [part.strip("{}").replace(".", "_") for part in route.pattern.split("/") if part]
    return "_".join([route.method.lower(), *parts])


def _response(route: Route, status: int) -> dict[str, object]:
    described: dict[str, object] = {"description": HTTPStatus(status).phrase}
    if status >= 400:
        schema = {"schema": {"$ref": "#/components/schemas/Error"}}
        described["content"] = {"application/json": schema}
    elif route.answer_example is not None and status != HTTPStatus.NOT_MODIFIED:
        described["content"] = {route.media_type: {"example": route.answer_example}}
    return described
