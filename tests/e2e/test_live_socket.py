"""The live WebSocket of a server process, on the event loop and with the TLS that it really has."""

import asyncio
import ssl

import pytest
import trustme

from support.live_socket import authenticated
from support.process import server_process
from support.wire import connect, values


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The flags for a server's certificate, and a context that trusts it."""
    made = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(made / "cert.pem")
    issued.private_key_pem.write_to_path(made / "key.pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    return ("--tls-cert", str(made / "cert.pem"), "--tls-key", str(made / "key.pem")), trusted


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_thing_hears_itself_until_the_server_stops(tmp_path, certificate, is_encrypted):
    flags, trusted = certificate if is_encrypted else ((), None)
    with server_process(tmp_path / "folder", *flags) as server:
        large = "x" * 8_000
        async with (
            connect(server.address, trusted) as wire,
            authenticated(server.address, server.token, tls=trusted) as client,
        ):
            await client.subscribe()
            for _ in range(20):
                await wire.ask("POST", f"/v2/things/{server.token}", values(("a", large)))
            heard = [await client.hear() for _ in range(20)]
            stopped = asyncio.create_task(asyncio.to_thread(server.stop))
            ended = await client.end()
            code = await stopped

    assert [one["values"][0]["value"] for one in heard] == [large] * 20
    assert ended == (1001, "the server is stopping")
    assert code == 0
    assert "Traceback" not in server.logged()
