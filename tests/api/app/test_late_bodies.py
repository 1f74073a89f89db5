"""A body may arrive long after its head; who sends it is who has the session at its end."""

import pytest

from support.wire import compact

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRANT = {"email": "bob@example.org", "permissions": {"temperature": {"T": {"get": True}}}}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v2/me", {"currentPassword": "a long sentence", "password": "another sentence"}),
        ("DELETE", "/v2/me", {"currentPassword": "a long sentence"}),
        ("PUT", "/v2/me/settings", {"language": "en"}),
        ("POST", "/v2/me/things", {"thingToken": "A" * 43}),
        ("DELETE", "/v2/me/things", {"thingToken": "A" * 43}),
        ("PUT", "/v2/me/grant", GRANT),
        ("POST", "/v2/me/resources/temperature/THING", {"values": [{"value": 1}]}),
        ("PUT", "/v2/me/resources/description/THING", {"name": "Kitchen"}),
        ("POST", "/v2/classes/me/rooms", {"color": "red"}),
        ("PUT", "/v2/classes/me/rooms/kitchen", {"color": "red"}),
        ("PUT", "/v2/things/rooms/kitchen", {"color": "red"}),
    ],
)
async def test_a_call_whose_session_ends_before_its_body_is_refused(ada, method, path, body):
    raw = compact(body)
    head = f"{method} {path} HTTP/1.1\r\nAuthorization: {ada.token}\r\nContent-Length: {len(raw)}"
    async with ada.elsewhere() as slow:
        await slow.wire.send(f"{head}\r\n\r\n".encode() + raw[:5])
        await ada.ask("DELETE", "/v2/me/sessions/current")

        await slow.wire.send(raw[5:])

        assert (await slow.wire.read()).status == 401
