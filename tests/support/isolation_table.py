"""What every call answers to every kind of caller: the rows of `test_isolation.py`.

A row says how to fill the path (`{…}` of the pattern, from the world's names) and the body, and
what people with a session are answered. Whoever brings no valid session gets 401 from every
call that needs one, whatever it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

Names = dict[str, str]
PEOPLE = ("owner", "reader", "writer", "other", "stranger")


@dataclass(frozen=True)
class Row:
    """One call; `statuses` has one for each of `PEOPLE`, or one for all whose key is right."""

    statuses: tuple[int, ...]
    body: Callable[[Names], object] | None = None
    changes: bool = False
    names_foreign: bool = False
    """Whether path or body name what belongs to somebody, so that foreign is like absent."""


def _same(status: int, body: object = None, **more: bool) -> Row:
    """A row of a call that concerns the caller's own account, or needs no account."""
    return Row((status,) * len(PEOPLE), None if body is None else lambda _names: body, **more)


def _value(_names: Names) -> object:
    return {"values": [{"value": 1}]}


def _keyed_value(_names: Names) -> object:
    return {"values": [{"key": "temperature", "value": 1}]}


def _credentials(names: Names) -> object:
    return {"email": names["new_email"], "password": names["password"], "app": names["app_id"]}


def _login(names: Names) -> object:
    return {"email": names["owner_email"], "password": names["password"], "app": names["app_id"]}


def _password(names: Names) -> object:
    return {"currentPassword": names["password"], "password": "another long sentence"}


def _grant(names: Names) -> object:
    rights = {"temperature": {names["thing_id"]: {"get": True}}}
    return {"email": names["new_email"], "permissions": rights}


_READABLE = (200, 200, 200, 404, 404)
_WRITABLE = (201, 403, 201, 404, 404)
_OWNED = (200, 404, 404, 404, 404)
_ROOM = "/v2/classes/me/{collection}/{primary_key}"
_MINE = "/v2/me/resources/{resource}/{thing_id}"
_THING = "/v2/things/{thing_token}"
_FIRMWARES = f"{_THING}/firmwares"

PUBLIC: dict[tuple[str, str], Row] = {
    ("POST", "/v2/things"): _same(400, {"activationCode": "0123456789ABCDEFGHJK"}),
    ("POST", "/v2/register"): Row((201,), _credentials, changes=True),
    ("POST", "/v2/apps/{app_id}/register"): Row((201,), _credentials, changes=True),
    ("POST", "/v2/login"): Row((200,), _login),
    ("POST", "/v2/password-reset"): Row((200,), _login),
    ("GET", "/v2/utils/date"): _same(200),
    ("GET", "/health/live"): _same(200),
    ("GET", "/health/ready"): _same(200),
    ("GET", "/openapi.json"): _same(200),
    ("GET", "/asyncapi.json"): _same(200),
    ("GET", "/v2/live"): _same(426),
    ("GET", "/mqtt"): _same(426),
    # Whoever names no version of the protocol is refused before anything else.
    ("GET", "/socket.io/"): _same(400),
    ("POST", "/socket.io/"): _same(400),
    ("OPTIONS", "/socket.io/"): _same(200),
}

OF_THINGS: dict[tuple[str, str], Row] = {
    ("POST", _THING): Row((201,), _keyed_value),
    ("GET", _THING): Row((200,)),
    ("GET", f"{_THING}/resources"): Row((200,)),
    ("GET", f"{_THING}/resources/{{key}}"): Row((200,)),
    ("GET", f"{_THING}/all_resources"): Row((200,)),
    ("GET", f"{_THING}/resources/description"): Row((200,)),
    ("PUT", f"{_THING}/resources/description"): Row((200,), lambda _names: {"name": "Roof"}),
    ("GET", f"{_THING}/tags"): Row((200,)),
    ("POST", f"{_THING}/tags"): Row((201,), lambda _names: {"name": "fair"}),
    ("DELETE", f"{_THING}/tags/{{tag_id}}"): Row((200,), changes=True),
    ("GET", f"{_FIRMWARES}/latest"): Row((200,)),
    ("GET", f"{_FIRMWARES}/update"): Row((304,)),
    # There is no image in the world; `tests/api/firmware` has what is.
    ("GET", f"{_FIRMWARES}/download/{{firmware_id}}"): Row((404,)),
    ("POST", f"{_FIRMWARES}/status"): Row(
        (404,), lambda names: {"id": names["firmware_id"], "state": "installing"}
    ),
}


def _of_thing(names: Names) -> object:
    return {"thingToken": names["thing_token"], "humidity": 40}


def _lora(names: Names) -> object:
    return {"end_device_ids": {"device_id": names["device_id"]}, "received_at": "today"}


def _of_device(names: Names) -> object:
    return {"id": names["device_id"], "lat": 41.4, "lng": 2.2}


def _feedback(_names: Names) -> object:
    return {"status": {"execution": "proceeding", "result": {"finished": "none"}}}


_BODIES = {"/http": _of_thing, "/lora": _lora}
OF_PRODUCTS: dict[tuple[str, str], Row] = {
    (method, f"{prefix}/{{product_id}}/{{product_hash}}"): Row((status,), body)
    for prefix, post, get in (
        ("/http", 201, 400),
        ("/sgfx", 201, 400),
        ("/sgfx/geo", 201, 400),
        ("/lora", 200, 400),
    )
    for method, status, body in (
        # Without a query a GET names no device.
        ("GET", get, None),
        ("POST", post, _BODIES.get(prefix, _of_device)),
    )
}

_CONTROLLER = "/{tenant}/controller/v1/{controller_id}"

# Whether there is an action or an image is nobody's business without the token, and nothing of
# either kind is in the world; `tests/api/ddi` has what is.
OF_CONTROLLERS: dict[tuple[str, str], Row] = {
    ("GET", _CONTROLLER): Row((200,)),
    ("PUT", f"{_CONTROLLER}/configData"): Row((200,), lambda _names: {"data": {}}),
    ("GET", f"{_CONTROLLER}/deploymentBase/{{action_id}}"): Row((404,)),
    ("POST", f"{_CONTROLLER}/deploymentBase/{{action_id}}/feedback"): Row((404,), _feedback),
    ("GET", f"{_CONTROLLER}/installedBase/{{action_id}}"): Row((404,)),
    ("GET", f"{_CONTROLLER}/cancelAction/{{action_id}}"): Row((404,)),
    ("POST", f"{_CONTROLLER}/cancelAction/{{action_id}}/feedback"): Row((404,), _feedback),
    ("GET", f"{_CONTROLLER}/confirmationBase"): Row((200,)),
    ("GET", f"{_CONTROLLER}/softwaremodules/{{module_id}}/artifacts"): Row((404,)),
    ("GET", f"{_CONTROLLER}/softwaremodules/{{module_id}}/artifacts/{{name}}"): Row((404,)),
}

OF_MAILS: dict[tuple[str, str], Row] = {
    (method, f"/confirm/{kind}/{{secret}}"): Row(
        (200,), form if method == "POST" else None, changes=method == "POST"
    )
    for kind, form in (
        ("email", None),
        ("grant", None),
        ("password", lambda _names: b"password=a+new+sentence&again=a+new+sentence"),
    )
    for method in ("GET", "POST")
}

OF_USERS: dict[tuple[str, str], Row] = {
    ("GET", "/v2/me"): _same(200),
    ("PUT", "/v2/me"): Row((200,) * 5, _password, changes=True),
    ("DELETE", "/v2/me"): Row((200,) * 5, _password, changes=True),
    ("GET", "/v2/me/settings"): _same(200),
    ("PUT", "/v2/me/settings"): _same(200, {"language": "en"}),
    ("POST", "/v2/me/confirmation"): _same(200),
    ("GET", "/v2/me/sessions"): _same(200),
    ("DELETE", "/v2/me/sessions"): _same(200, changes=True),
    ("DELETE", "/v2/me/sessions/{session_id}"): Row(_OWNED, changes=True, names_foreign=True),
    ("GET", "/v2/me/export"): _same(200),
    ("POST", "/v2/me/tickets"): _same(201),
    ("POST", "/v2/me/things"): Row(
        _OWNED, lambda names: {"thingToken": names["thing_token"]}, names_foreign=True
    ),
    ("GET", "/v2/me/things"): _same(200),
    ("DELETE", "/v2/me/things"): Row(
        _OWNED, lambda names: {"thingId": names["thing_id"]}, changes=True, names_foreign=True
    ),
    ("DELETE", "/v2/me/things/{thing_id}"): Row(_OWNED, changes=True, names_foreign=True),
    ("DELETE", "/v2/me/things/{thing_id}/everything"): Row(
        _OWNED, changes=True, names_foreign=True
    ),
    ("GET", "/v2/me/resources"): _same(200),
    ("GET", "/v2/me/resources/{resource}"): Row(_READABLE),
    ("GET", "/v2/me/resources/{resource}?subscribe=true"): _same(200),
    ("GET", _MINE): Row(_READABLE, names_foreign=True),
    ("POST", _MINE): Row(_WRITABLE, _value, names_foreign=True),
    ("DELETE", _MINE): Row((200, 403, 403, 404, 404), changes=True, names_foreign=True),
    ("GET", "/v2/me/resources/description"): _same(200),
    ("GET", "/v2/me/resources/description/{thing_id}"): Row(
        (200, 404, 200, 404, 404), names_foreign=True
    ),
    ("PUT", "/v2/me/resources/description/{thing_id}"): Row(
        (200, 404, 200, 404, 404), lambda _names: {"name": "Roof"}, names_foreign=True
    ),
    ("GET", "/v2/me/resources/publicDescription"): _same(200),
    ("GET", "/v2/me/resources/publicDescription/{thing_id}"): Row(_READABLE, names_foreign=True),
    ("PUT", "/v2/me/grant"): Row(
        (200, 403, 403, 404, 404), _grant, changes=True, names_foreign=True
    ),
    ("GET", "/v2/me/grants"): _same(200),
    # It is a grant to `other`; only confirmed addresses may accept at all.
    ("POST", "/v2/me/grants/{grant_id}/accept"): Row(
        (403, 404, 404, 200, 403), changes=True, names_foreign=True
    ),
    ("DELETE", "/v2/me/grants/{grant_id}"): Row(
        (200, 404, 404, 200, 404), changes=True, names_foreign=True
    ),
    ("GET", "/v2/classes/me"): _same(200),
    ("GET", "/v2/classes/me/{collection}"): _same(200),
    ("GET", "/v2/classes/me/{collection}?subscribe=true"): _same(200),
    ("POST", "/v2/classes/me/{collection}"): _same(201, {"color": "red"}, changes=True),
    ("GET", _ROOM): Row(_OWNED, names_foreign=True),
    ("PUT", _ROOM): Row(_OWNED, lambda _names: {"color": "blue"}, names_foreign=True),
    ("PUT", "/v2/things/{collection}/{primary_key}"): Row(
        _OWNED, lambda _names: {"color": "blue"}, names_foreign=True
    ),
    ("DELETE", _ROOM): Row(_OWNED, changes=True, names_foreign=True),
}
