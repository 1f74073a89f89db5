"""`thingstead serve` as a process: starting, refusing to start, stopping."""

import asyncio
import json
import signal
import socket
import sqlite3
import ssl
import subprocess

import pytest
import trustme

from support.process import (
    PATIENCE_SECONDS,
    PROGRAM,
    environment,
    run,
    server_process,
)
from support.wire import ask, connect, subscribed, values


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "folder"


def serve_and_fail(folder, *flags, env=None):
    """A server that must not start; its exit code and its one line of complaint."""
    flags = flags if "--port" in flags else (*flags, "--port", "0")
    done = run("serve", "--data", str(folder), "--host", "127.0.0.1", "--json", *flags, env=env)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


@pytest.fixture
def used_folder(folder):
    """A data folder with a value in it, of a server that was stopped."""
    with server_process(folder) as server:
        assert server.stop() == 0
    return folder


async def test_the_first_start_tells_where_it_listens_and_what_it_made(folder):
    with server_process(folder) as server:
        assert server.ready.keys() == {"url", "data", "token", "activationCode"}
        assert server.ready["data"] == str(folder.resolve())
        thing = f"/v2/things/{server.token}"
        assert (await ask(server.address, "POST", thing, values(("a", 1)))).status == 201
        named = await ask(server.address, "GET", f"{thing}/resources/$settings.name")
        assert named.json[0]["value"] == "My first thing"


async def test_the_second_start_makes_nothing_and_keeps_everything(folder):
    with server_process(folder) as server:
        token = server.token
        await ask(server.address, "POST", f"/v2/things/{token}", values(("a", 1)))
        assert server.stop() == 0

    with server_process(folder) as server:
        assert server.ready.keys() == {"url", "data"}
        got = await ask(server.address, "GET", f"/v2/things/{token}/resources/a")
        assert got.json[0]["value"] == 1
        assert len(server.command("thing", "list")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_cleanly_with_everything_stored(folder, number):
    with server_process(folder) as server:
        thing = f"/v2/things/{server.token}"
        async with connect(server.address) as idle:
            await idle.ask("POST", thing, values(("a", 1)))

            code = server.stop(number)

            assert await idle.rest() == b""

        assert code in ({0} if number == signal.SIGTERM else {0, 130})
        assert "Traceback" not in server.logged()
    with sqlite3.connect(folder / "values.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM value").fetchall() == [(1,)]
    database.close()


async def test_values_never_leave_a_trace_in_the_log(folder):
    with server_process(folder, "--log-level", "debug") as server:
        thing = f"/v2/things/{server.token}"
        await ask(server.address, "POST", thing, values(("a", "canary-value")))
        await ask(server.address, "POST", thing, b'{"canary-body":')
        await ask(server.address, "POST", "/v2/things", {"activationCode": "CANARY-CODE"})
        assert server.stop() == 0

        logged = server.logged()
    assert server.token not in logged
    assert server.code not in logged
    assert "canary" not in logged.lower()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(made / "cert.pem")
    issued.private_key_pem.write_to_path(made / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return made, context


async def test_a_certificate_makes_it_https(folder, certificate):
    made, context = certificate
    flags = ("--tls-cert", str(made / "cert.pem"), "--tls-key", str(made / "key.pem"))
    with server_process(folder, *flags) as server:
        assert server.url.startswith("https://")
        async with connect(server.address, context) as wire:
            new = await wire.ask("POST", "/v2/things", {"activationCode": server.code})
            thing = f"/v2/things/{new.json['thingToken']}"
            written = await wire.ask("POST", thing, values(("a", 1)))
            read = await wire.ask("GET", f"{thing}/resources/a")
        assert (new.status, written.status, read.json[0]["value"]) == (201, 201, 1)
        assert server.stop() == 0


async def test_a_stream_over_tls_is_fed_and_ends_at_a_stop(folder, certificate):
    made, context = certificate
    flags = ("--tls-cert", str(made / "cert.pem"), "--tls-key", str(made / "key.pem"))
    with server_process(folder, *flags) as server:
        thing = f"/v2/things/{server.token}"
        async with (
            connect(server.address, context) as stream,
            connect(server.address, context) as wire,
        ):
            await stream.send(f"GET {thing} HTTP/1.1\nHost: h\n\n".encode())
            await stream.read_head()
            await stream.read_chunk()
            await wire.ask("POST", thing, values(("a", 1)))
            assert (await stream.next_values())[0]["value"] == 1

            # In a thread, because both sides have a part in the end of a TLS connection.
            assert await asyncio.to_thread(server.stop) == 0


async def test_plain_http_to_the_tls_port_gets_no_answer(folder, certificate):
    made, _ = certificate
    flags = ("--tls-cert", str(made / "cert.pem"), "--tls-key", str(made / "key.pem"))
    with server_process(folder, *flags) as server:
        async with connect(server.address) as wire:
            await wire.send(b"GET /v2/utils/date HTTP/1.1\r\nHost: h\r\n\r\n")
            try:
                got = await wire.rest()
            except ConnectionResetError:
                got = b""
        assert not got.startswith(b"HTTP")


@pytest.mark.parametrize("which", ["--tls-cert", "--tls-key"])
def test_a_certificate_that_is_missing_is_named(folder, certificate, which):
    made, _ = certificate
    files = {"--tls-cert": str(made / "cert.pem"), "--tls-key": str(made / "key.pem")}
    files[which] = str(made / "missing.pem")

    code, told = serve_and_fail(folder, *(word for pair in files.items() for word in pair))

    assert code in {1, 2}
    assert "missing.pem" in told


def test_a_certificate_without_its_key_is_a_wrong_setting(folder, certificate):
    made, _ = certificate

    code, told = serve_and_fail(folder, "--tls-cert", str(made / "cert.pem"))

    assert (code, told) == (2, "thingstead: tls_cert and tls_key go together")


async def test_it_listens_on_an_ipv6_address(folder):
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with server_process(folder, "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert (await ask(server.address, "GET", "/health/live")).status == 200


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("path", ["live", "ready"])
async def test_a_running_server_is_live_and_ready(folder, path):
    with server_process(folder) as server:
        assert (await ask(server.address, "GET", f"/health/{path}")).status == 200


def test_a_port_that_is_taken_is_told_in_one_line(used_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, told = serve_and_fail(used_folder, "--port", str(port))

    assert code == 1
    assert told == f"thingstead: 127.0.0.1 port {port}: Address already in use"


def test_a_start_that_could_not_listen_has_not_used_up_the_first_start(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        serve_and_fail(folder, "--port", str(taken.getsockname()[1]))

    with server_process(folder) as server:
        assert "token" in server.ready


@pytest.mark.parametrize("name", ["core.db", "values.db"])
def test_a_damaged_database_is_refused_in_clear_text(used_folder, name):
    damaged = used_folder / name
    damaged.write_bytes(b"This is no database. " * 400)
    for journal in ("-wal", "-shm"):
        (used_folder / (name + journal)).unlink(missing_ok=True)

    code, told = serve_and_fail(used_folder)

    assert code == 3
    assert told.startswith("thingstead: The database file cannot be used")
    assert told.count("\n") == 0


@pytest.mark.parametrize("name", ["core.db", "values.db"])
def test_a_database_cut_short_is_refused_in_clear_text(used_folder, name):
    cut = used_folder / name
    cut.write_bytes(cut.read_bytes()[:5_000])
    for journal in ("-wal", "-shm"):
        (used_folder / (name + journal)).unlink(missing_ok=True)

    code, told = serve_and_fail(used_folder)

    assert code == 3
    assert told.startswith("thingstead: The database file cannot be used")


@pytest.mark.parametrize("schema", ["core", "values"])
def test_a_newer_schema_is_refused_and_left_alone(used_folder, schema):
    path = used_folder / f"{schema}.db"
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE alembic_version_{schema} SET version_num = '9999'")
    database.close()

    code, told = serve_and_fail(used_folder)

    assert code == 3
    assert told.startswith("thingstead: The database was written by a newer version")
    assert "9999" in told


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(used_folder, mode):
    (used_folder / "secret.key").chmod(mode)

    code, told = serve_and_fail(used_folder)

    assert code == 3
    assert told.startswith("thingstead: The key file cannot be used: secret.key")
    assert "chmod 600" in told


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 32, b"x" * 33])
def test_a_key_that_is_no_key_is_refused(used_folder, content):
    (used_folder / "secret.key").write_bytes(content)

    code, told = serve_and_fail(used_folder)

    assert code == 3
    assert "secret.key" in told


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")

    code, told = serve_and_fail(tmp_path / "file" / "folder")

    assert code in {1, 2, 3}
    assert told.count("\n") == 0
    assert str(tmp_path / "file") in told


@pytest.mark.parametrize(
    ("flags", "env", "named"),
    [
        (("--port", "70000"), {}, "port"),
        (("--port", "x"), {}, "port"),
        (("--log-level", "loud"), {}, "log_level"),
        (("--retention-days", "-1"), {}, "retention_days"),
        (("--unknown",), {}, "--unknown"),
        ((), {"THINGSTEAD_PORTT": "1"}, "portt"),
        ((), {"THINGSTEAD_LIMITS_STREAMS": "0"}, "limits.streams"),
        ((), {"THINGSTEAD_LIMITS_NOTHING": "1"}, "limits.nothing"),
        (("--mqtt-port", "65536"), {}, "--mqtt-port"),
    ],
)
def test_a_wrong_setting_is_named_and_ends_with_2(folder, flags, env, named):
    code, told = serve_and_fail(folder, *flags, env=env)

    assert code == 2
    assert named in told
    assert not folder.exists()


def test_a_wrong_settings_file_is_named(folder):
    folder.mkdir()
    (folder / "thingstead.toml").write_text("port = [")

    code, told = serve_and_fail(folder)

    assert code == 2
    assert "thingstead.toml" in told


async def test_the_folder_is_for_its_owner_only(folder):
    with server_process(folder) as server:
        await ask(server.address, "POST", f"/v2/things/{server.token}", values(("a", 1)))
        modes = {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()}

    assert folder.stat().st_mode & 0o077 == 0
    assert set(modes.values()) == {0}, modes


async def test_a_second_server_on_the_same_folder_is_refused_and_the_first_serves_on(folder):
    with server_process(folder) as server:
        code, told = serve_and_fail(folder)

        assert code == 3
        assert told.startswith("thingstead: Another server uses the data folder")
        assert told.count("\n") == 0
        got = await ask(server.address, "POST", f"/v2/things/{server.token}", values(("a", 1)))
        assert got.status == 201


async def test_a_server_starts_again_after_it_was_killed(folder):
    with server_process(folder) as server:
        server.kill()

    with server_process(folder) as again:
        assert (await ask(again.address, "GET", "/health/ready")).status == 200


@pytest.mark.parametrize("words", [("delete", "--yes"), ("rotate-token",)], ids=lambda w: w[0])
def test_an_id_that_begins_with_a_hyphen_is_no_option(used_folder, words):
    # One id in 64 does.
    missing = "-m" + "x" * 41

    done = run("thing", *words, "--data", str(used_folder), missing)

    assert (done.returncode, "Thing not found" in done.stderr) == (1, True), done.stderr


async def begin_to_stop(server):
    """Signal the server and wait until it has begun to stop: its streams are told first."""
    async with subscribed(server.address, server.token) as stream:
        server.process.send_signal(signal.SIGTERM)
        while await stream.read_chunk():
            pass


async def test_a_write_in_progress_is_answered_before_the_server_ends(folder):
    with server_process(folder) as server:
        body = json.dumps(values(("a", 1))).encode()
        head = f"POST /v2/things/{server.token} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        async with connect(server.address) as wire:
            await wire.send(head.encode() + body[:10])
            await begin_to_stop(server)
            await wire.send(body[10:])
            got = await wire.read()

        assert got.status == 201
        assert got.get("Connection") == "close"
        assert await asyncio.to_thread(server.process.wait, PATIENCE_SECONDS) == 0


async def test_a_second_signal_ends_the_server_without_waiting(folder):
    with server_process(folder, env={"THINGSTEAD_LIMITS_DRAIN_SECONDS": "3600"}) as server:
        async with connect(server.address) as waiting:
            await waiting.send(b"POST /v2/things HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
            await begin_to_stop(server)

            server.process.send_signal(signal.SIGTERM)

            assert await asyncio.to_thread(server.process.wait, PATIENCE_SECONDS) in {0, 1}


async def test_a_request_that_never_ends_does_not_keep_the_server_from_stopping(folder):
    with server_process(folder, env={"THINGSTEAD_LIMITS_DRAIN_SECONDS": "1"}) as server:
        async with connect(server.address) as waiting:
            await waiting.send(b"POST /v2/things HTTP/1.1\r\nContent-Length: 10\r\n\r\n")

            assert await asyncio.to_thread(server.stop) == 0


def test_without_json_the_line_that_writes_a_value_is_printed(folder):
    words = [*PROGRAM, "serve", "--data", str(folder), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        told = ""
        while "activationCode" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0

    assert "curl http://127.0.0.1:" in told
    assert '"values":[{"key":"temperature","value":21.5}]' in told
