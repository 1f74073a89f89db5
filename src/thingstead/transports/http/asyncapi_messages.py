"""The messages of the AsyncAPI document: names, summaries and shapes. Read on in `asyncapi.py`."""

from typing import Final

_TEXT = {"type": "string"}
_CURSOR = {
    "type": "string",
    "description": "A place to go on behind; means nothing else.",
    "pattern": "^[vc][0-9a-f]{1,15}$",
}
_ID = {"type": "string", "maxLength": 64, "description": "The client's name of a subscription."}
_TOKEN = {
    "type": "string",
    "description": "A session token, a thing's token or a ticket.",
}
_VALUES: dict[str, object] = {"$ref": "#/components/schemas/Values"}
_USERS_VALUES: dict[str, object] = {"$ref": "#/components/schemas/UsersValues"}
_OBJECT: dict[str, object] = {"$ref": "#/components/schemas/ObjectChange"}


def _value(**more: object) -> dict[str, object]:
    """Return the shape of one value; static resources have no time."""
    return {
        "type": "object",
        "required": [*more, "key", "value"],
        "properties": {
            **more,
            "datetime": {"type": "string", "format": "date-time"},
            "key": _TEXT,
            "value": {"description": "Any JSON value."},
            "geo": {
                "type": "object",
                "required": ["lat", "long"],
                "properties": {"lat": {"type": "number"}, "long": {"type": "number"}},
            },
        },
    }


def _object(required: dict[str, object], **optional: object) -> dict[str, object]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
    }


SCHEMAS: Final[dict[str, object]] = {
    "Values": {"type": "array", "minItems": 1, "items": _value()},
    "UsersValues": {"type": "array", "minItems": 1, "items": _value(thingId=_TEXT)},
    "ObjectChange": _object(
        {
            "action": {"enum": ["create", "update", "delete"]},
            "collection": _TEXT,
            "_id": _TEXT,
            "object": {
                "type": "object",
                "description": "After the change; of a deleted one, as it was before.",
            },
        }
    ),
    "Error": _object({"status": {"const": "error"}, "code": {"type": "integer"}, "message": _TEXT}),
}


def _message(summary: str, payload: dict[str, object], name: str) -> dict[str, object]:
    return {"name": name, "summary": summary, "payload": payload}


def _of_socket(
    kind: str, summary: str, required: dict[str, object] | None = None, **optional: object
) -> dict[str, object]:
    payload = _object({"type": {"const": kind}, **(required or {})}, **optional)
    return _message(summary, payload, kind)


_PLACED: dict[str, object] = {"id": _ID, "cursor": _CURSOR}
_REFUSED: dict[str, object] = {"code": {"type": "integer"}, "message": _TEXT}

MESSAGES: Final[dict[str, object]] = {
    "values": _message("The values of one write, in the order sent.", _VALUES, "values"),
    "usersValues": _message(
        "What one write holds of the resource, with its thing's id.", _USERS_VALUES, "values"
    ),
    "object": _message("A change of an object.", _OBJECT, "object"),
    "subscribed": _message(
        "Comes first: nothing committed after it is missed.",
        _object({"status": {"const": "success"}, "message": {"const": "subscribed"}}),
        "subscribed",
    ),
    "signOfLife": _message(
        "Comes after keepAlive milliseconds of silence; a comment in an event stream.",
        {"type": "object", "maxProperties": 0},
        "signOfLife",
    ),
    "gap": _message(
        "Events are missing here: they are no longer known. Event streams only.",
        _object({"message": _TEXT}),
        "gap",
    ),
    "end": _message(
        "Comes last, with the reason, when the server ends the stream.",
        {"$ref": "#/components/schemas/Error"},
        "end",
    ),
    "write": _message(
        "Values to store, as the body of POST /v2/things/{thing_token}.",
        _object(
            {
                "values": {
                    "type": "array",
                    "items": _object({"key": _TEXT, "value": {}}, datetime=_TEXT, geo={}),
                }
            }
        ),
        "write",
    ),
    "activation": _message(
        "What became of the activation, as the answer of POST /v2/things.",
        _object({"status": _TEXT, "message": _TEXT}, thingToken=_TEXT, thingId=_TEXT),
        "activation",
    ),
    "socketAuthenticate": _of_socket("authenticate", "Says who listens.", {"token": _TOKEN}),
    "socketAuthenticated": _of_socket("authenticated", "The token is good."),
    "socketSubscribe": _of_socket(
        "subscribe",
        "Opens a subscription.",
        {"id": _ID},
        resource={
            "type": "string",
            "description": "/me/resources/RESOURCE or /classes/me/COLLECTION; with a thing's token"
            " /things/THING_TOKEN, which may be left out.",
        },
        since=_CURSOR,
        conflate={"type": "boolean"},
    ),
    "socketSubscribed": _of_socket(
        "subscribed",
        "Nothing committed after it is missed.",
        {"id": _ID, "resource": _TEXT, "cursor": _CURSOR},
    ),
    "socketValues": _of_socket(
        "values",
        "The values of one write.",
        {**_PLACED, "values": {"anyOf": [_VALUES, _USERS_VALUES]}},
    ),
    "socketObject": _of_socket("object", "A change of an object.", {**_PLACED, "object": _OBJECT}),
    "socketGap": _of_socket(
        "gap", "Events are missing here: they are no longer known.", {"id": _ID, "message": _TEXT}
    ),
    "socketEnded": _of_socket(
        "ended", "The server ended the subscription.", {"id": _ID, **_REFUSED}
    ),
    "socketError": _of_socket("error", "A message was refused.", _REFUSED, id=_ID),
    "socketUnsubscribe": _of_socket("unsubscribe", "Closes a subscription.", {"id": _ID}),
    "socketUnsubscribed": _of_socket("unsubscribed", "It is closed.", {"id": _ID}),
    "socketPing": _of_socket("ping", "Asks for a sign of life."),
    "socketPong": _of_socket("pong", "Gives it."),
}
