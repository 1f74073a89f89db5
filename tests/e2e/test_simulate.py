"""`thingstead simulate` against a running server, as users start both."""

import json
import signal
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.process import PATIENCE_SECONDS, PROGRAM, ServerProcess, environment, run
from support.process import server_process as running

BRIEF = ("--duration", "0.5")


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("simulate") / "data") as server:
        yield server
        assert server.stop() == 0


def simulated(server: ServerProcess, *words: str) -> dict[str, float]:
    """The summary of a run that ended well."""
    done = run("simulate", "--url", server.url, *words, *BRIEF, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def new_codes(server: ServerProcess, count: int) -> list[str]:
    (product, *_) = server.command("product", "list")
    return server.command("codes", "create", "--product", str(product["id"]), "--count", str(count))


def names(server: ServerProcess) -> int:
    return len(server.command("thing", "list"))


def test_things_made_in_the_data_folder_are_acknowledged_and_used_again(server):
    before = names(server)

    first = simulated(server, "--data", str(server.folder), "--things", "5")
    again = simulated(server, "--data", str(server.folder), "--things", "5", "--speed", "60")

    assert names(server) == before + 5
    assert set(first) == {
        *("things", "requests", "values", "acknowledged", "refused", "failed", "seconds")
    }
    assert first["things"] == 5
    assert first["acknowledged"] == first["values"] > 5
    assert first["refused"] == first["failed"] == 0
    assert again["acknowledged"] > 5


def test_codes_make_things(server, tmp_path):
    before = names(server)
    file = tmp_path / "codes.json"
    file.write_text(json.dumps(new_codes(server, 3)), "utf-8")

    assert simulated(server, "--codes-file", str(file), "--things", "2")["things"] == 2
    code = new_codes(server, 1)[0]
    assert simulated(server, "--code", code)["things"] == 1

    assert names(server) == before + 3


def test_tokens_are_read_from_lines_and_from_what_thing_list_prints(server, tmp_path):
    lines, listing = tmp_path / "tokens.txt", tmp_path / "things.json"
    lines.write_text(f"{server.token}\n\n", "utf-8")
    listing.write_text(json.dumps([{"id": "x", "token": server.token}]), "utf-8")

    for words in (
        ("--token", server.token),
        ("--tokens-file", str(lines)),
        ("--tokens-file", str(listing)),
    ):
        assert simulated(server, *words)["things"] == 1


def test_the_summary_is_for_people_without_json(server):
    done = run("simulate", "--url", server.url, "--token", server.token, *BRIEF)

    assert done.returncode == 0
    assert done.stdout.startswith("1 things sent ")
    assert "0 refused, 0 failed." in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_its_summary(server, number):
    words = ("simulate", "--url", server.url, "--token", server.token, "--json")

    # Once a live subscriber has seen a value, the run is in its midst.
    with (
        urlopen(f"{server.url}/v2/things/{server.token}", timeout=PATIENCE_SECONDS) as stream,
        subprocess.Popen(
            [*PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process,
    ):
        seen = b""
        while b"power-on" not in seen:
            piece = stream.read1()
            assert piece, "the stream ended"
            seen += piece
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, err
    assert json.loads(out)["acknowledged"] > 0


def test_a_server_that_is_not_there_is_told_in_one_line():
    done = run("simulate", "--url", "http://127.0.0.1:9", "--token", "t")

    assert done.returncode == 1
    assert done.stderr == (
        "thingstead: no server answers at http://127.0.0.1:9: connection refused\n"
    )


def test_a_bad_code_is_told_in_one_line(server):
    done = run("simulate", "--url", server.url, "--code", "wrong")

    assert done.returncode == 1
    assert done.stderr.startswith("thingstead: activation code 1 of 1 was refused: 4")
    assert done.stderr.count("\n") == 1
    assert "wrong" not in done.stderr


def test_a_run_of_which_nothing_was_acknowledged_ends_with_1(server):
    done = run("simulate", "--url", server.url, "--token", "unknown", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["acknowledged"] == 0
    assert done.stderr.startswith("thingstead: nothing was acknowledged; 404 ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "Give one of --code"),
        (("--code", "a", "--token", "b"), "Give one of --code"),
        (("--token", "a", "--things", "2"), "needs as many codes or tokens; 1 given"),
        (("--token", "a", "--url", "localhost"), "expected a URL such as"),
        (("--data", "/nowhere/at/all"), "does not exist"),
        (("--token", "a", "--speed", "0"), "not in the range"),
    ],
)
def test_wrong_usage_is_told(words, complaint):
    done = run("simulate", *words)

    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.parametrize("content", ["[1]", '[{"id":"x"}]', '["a"'])
def test_a_file_that_lists_no_credentials_is_told(tmp_path: Path, content):
    file = tmp_path / "tokens.json"
    file.write_text(content, "utf-8")

    done = run("simulate", "--tokens-file", str(file))

    assert done.returncode == 1
    assert done.stderr.startswith(f"thingstead: {file}: ")
