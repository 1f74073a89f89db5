"""`firmware publish` and its neighbours beside a running server, which follows at once."""

import hashlib
import json
import subprocess

import pytest

from support import process
from support.commands import beside, comes, command, run
from support.process import PATIENCE_SECONDS, PROGRAM, environment, server_process
from support.terminal import run_at_terminal
from support.wire import ask

IMAGE = bytes(range(256)) * 1_000
UNKNOWN = "0" * 30
WHAT = ("--product", "10001", "--mcu", "a", "--version", "1")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "folder"
    with server_process(folder, env={"THINGSTEAD_LIMITS_FIRMWARE_BYTES": "300000"}) as running:
        yield running
        assert running.stop() == 0, running.logged()
        assert "Traceback" not in running.logged()


@pytest.fixture
def product(server):
    return str(beside(server, "product", "create", "Station")["id"])


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "station.bin"
    file.write_bytes(IMAGE)
    return file


@pytest.fixture
def publish(server, product, file):
    """Publishes `file` as the product's image for esp32, version 1.2.3 unless told otherwise."""

    def publish(*words, version="1.2.3"):
        what = ("--product", product, "--mcu", "esp32", "--version", version)
        return beside(server, "firmware", "publish", str(file), *what, *words)

    return publish


@pytest.fixture
def thing(server, product):
    return beside(server, "thing", "create", "--product", product)


def told(server, *words):
    """What a command beside the server told: its exit code, and both its outputs."""
    done = run(*words[:2], "--data", str(server.folder), *words[2:], env=server.settings)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


async def latest(server, thing, query=""):
    path = f"/v2/things/{thing['token']}/firmwares/latest{query}"
    return (await ask(server.address, "GET", path)).json


async def is_offered(server, thing, *wanted):
    async def offered():
        return [firmware["_id"] for firmware in (await latest(server, thing))["firmwares"]]

    return await comes(offered, [*wanted])


def test_publishing_tells_id_digest_and_size_and_nothing_else(server, product, file):
    what = ("--product", product, "--mcu", "esp32", "--version", "1.2.3")

    answer = server.command("firmware", "publish", str(file), *what)

    assert answer == {
        "id": answer["id"],
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
        "size": len(IMAGE),
    }


def test_publishing_again_is_answered_with_the_same_id(publish):
    assert publish() == publish()


def test_what_is_published_can_be_shown_with_all_that_was_said(server, product, publish):
    said = {
        "--notes": "Sleeps longer.",
        "--min-version": "1.0",
        "--not-before": "2026-01-31T12:00:00Z",
        "--expires": "20360131120000",
        "--sequence": "77",
    }
    answer = publish("--mandatory", *[word for pair in said.items() for word in pair])

    shown = beside(server, "firmware", "show", answer["id"])

    assert shown == {
        "id": answer["id"],
        "number": shown["number"],
        "product": int(product),
        "mcu": "esp32",
        "version": "1.2.3",
        "sequence": 77,
        "state": "published",
        "size": len(IMAGE),
        "sha256": answer["sha256"],
        "md5": hashlib.md5(IMAGE).hexdigest(),
        "filename": "station.bin",
        "image": {"kind": "raw", "version": None, "project": None, "chip": None},
        "createdAt": shown["createdAt"],
        "publishedAt": shown["createdAt"],
        "notes": "Sleeps longer.",
        "minVersion": "1.0",
        "mandatory": True,
        "revert": False,
        "notBefore": "2026-01-31T12:00:00.000Z",
        "expires": "2036-01-31T12:00:00.000Z",
        "signedBy": None,
    }


def test_an_image_and_notes_can_come_from_elsewhere(server, product, tmp_path):
    (tmp_path / "notes").write_text("Größer\nund schneller\n", "utf-8")
    what = ["--product", product, "--mcu", "esp32", "--version", "2"]
    what += ["--notes-file", str(tmp_path / "notes")]
    done = subprocess.run(
        [*PROGRAM, "firmware", "publish", "-", "--data", str(server.folder), "--json", *what],
        input=IMAGE,
        env=environment(server.settings),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )

    shown = beside(server, "firmware", "show", json.loads(done.stdout)["id"])

    assert (shown["size"], shown["filename"]) == (len(IMAGE), "esp32-2.bin")
    assert shown["notes"] == "Größer\nund schneller"


def test_the_list_is_newest_first_and_can_be_narrowed(server, product, publish, file):
    first, second = publish()["id"], publish("--draft", version="1.2.4")["id"]
    what = ("--product", product, "--mcu", "radio", "--version", "1")
    third = beside(server, "firmware", "publish", str(file), *what)["id"]

    def listed(*words):
        known = beside(server, "firmware", "list", "--product", product, *words)
        return [firmware["id"] for firmware in known]

    assert listed() == [third, second, first]
    assert listed("--mcu", "esp32") == [second, first]
    assert listed("--state", "draft") == [second]
    assert listed("--mcu", "radio", "--state", "draft") == []
    everything = [firmware["id"] for firmware in beside(server, "firmware", "list")]
    assert everything[:3] == [third, second, first]


async def test_a_running_server_follows_each_state_at_once(server, thing, publish):
    firmware = publish("--draft")["id"]
    assert await is_offered(server, thing)

    assert beside(server, "firmware", "release", firmware)["state"] == "published"
    assert await is_offered(server, thing, firmware)

    assert beside(server, "firmware", "deprecate", firmware)["state"] == "deprecated"
    assert await is_offered(server, thing)

    newer = publish(version="1.2.4")["id"]
    assert await is_offered(server, thing, newer)
    assert beside(server, "firmware", "revoke", newer)["state"] == "revoked"
    assert await is_offered(server, thing)


def test_states_go_forward_only(server, publish):
    firmware = publish()["id"]
    beside(server, "firmware", "revoke", firmware)

    done = process.run("firmware", "release", "--data", str(server.folder), firmware)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Wrong state of the firmware" in done.stderr


def test_signatures_can_be_required_and_keys_exchanged(server, product, publish, tmp_path, file):
    key = command("firmware", "key", "create", str(tmp_path / "key.pem"), "--json")
    what = ("--product", product, "--mcu", "esp32", "--version", "1.2.3")
    command("firmware", "sign", str(file), "--key", key["private"], *what, "--json")
    group = ("key", "add", "--data", str(server.folder), "--json")
    added = command("firmware", *group, key["public"], "--product", product, "--name", "CI")
    assert beside(server, "firmware", "signatures", "--product", product) == {
        "product": int(product),
        "required": False,
    }
    beside(server, "firmware", "signatures", "--product", product, "--required")

    unsigned = told(server, "firmware", "publish", str(file), *what)
    signed = publish("--signature", f"{file}.sig")

    assert added["id"] == key["id"]
    assert (unsigned[0], unsigned[2].count("\n")) == (1, 1)
    assert "The image is not signed" in unsigned[2]
    assert beside(server, "firmware", "show", signed["id"])["signedBy"] == key["id"]

    words = ("--data", str(server.folder), "--json", "--product", product)
    assert command("firmware", "key", "revoke", *words, key["id"]) == {
        "id": key["id"],
        "revoked": True,
    }
    [listed] = command("firmware", "key", "list", *words)
    assert listed == {**added, "revokedAt": listed["revokedAt"]}
    assert listed["revokedAt"] is not None
    code, _, error = told(
        server, "firmware", "publish", str(file), *what[:-1], "1.3", "--signature", f"{file}.sig"
    )
    assert (code, "revoked" in error) == (1, True)


async def test_the_timeline_tells_why_a_thing_has_not_updated(server, thing, publish):
    firmware = publish()["id"]
    await latest(server, thing, "?version=1.2.2")
    said = {"id": firmware, "state": "failure", "error": "flash worn \u001b[31mout"}
    path = f"/v2/things/{thing['token']}/firmwares/status"
    assert (await ask(server.address, "POST", path, json.dumps(said).encode())).status == 200

    known = beside(server, "firmware", "timeline", "--thing", thing["id"])

    assert known["thing"] == thing["id"]
    assert [(runs["mcu"], runs["version"]) for runs in known["runs"]] == [("esp32", "1.2.2")]
    assert known["offers"] == [
        {"mcu": "esp32", "firmware": firmware, "version": "1.2.3", "reason": None}
    ]
    [update] = known["updates"]
    assert (update["firmware"], update["version"], update["state"]) == (firmware, "1.2.3", "failed")
    assert "flash worn" in update["reason"]
    assert [event["kind"] for event in known["events"]][:2] == ["failed", "offered"]
    assert (
        len(
            beside(server, "firmware", "timeline", "--thing", thing["id"], "--limit", "1")["events"]
        )
        == 1
    )
    code, out, _ = told(server, "firmware", "timeline", "--thing", thing["id"])
    assert (code, "\x1b" in out) == (0, False)
    assert "esp32 runs 1.2.2" in out
    assert f"esp32 is offered 1.2.3 ({firmware})\n" in out
    assert f"esp32 to 1.2.3 ({firmware}): failed: " in out


async def test_a_blocked_thing_is_offered_the_image_again_on_demand(server, thing, publish):
    firmware = publish()["id"]
    path = f"/v2/things/{thing['token']}/firmwares/status"
    said = json.dumps({"id": firmware, "state": "failure"}).encode()
    for _ in range(3):
        assert await is_offered(server, thing, firmware)
        assert (await ask(server.address, "POST", path, said)).status == 200
    assert (await latest(server, thing))["reason"] == "blocked"
    known = beside(server, "firmware", "timeline", "--thing", thing["id"])
    assert [offer["reason"] for offer in known["offers"]] == ["blocked"]

    words = ("--thing", thing["id"], "--firmware", firmware)
    unblocked = beside(server, "firmware", "unblock", *words)

    assert unblocked == {"thing": thing["id"], "firmware": firmware, "state": "waiting"}
    assert await is_offered(server, thing, firmware)
    code, people, _ = told(server, "firmware", "unblock", *words)
    assert (code, people) == (0, "The update is offered: it was not blocked, and stays as it is.\n")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("show", UNKNOWN), "Firmware not found"),
        (("release", UNKNOWN), "Firmware not found"),
        (("revoke", UNKNOWN), "Firmware not found"),
        (("timeline", "--thing", "T" * 43), "Thing not found"),
        (("unblock", "--thing", "T" * 43, "--firmware", UNKNOWN), "Thing not found"),
        (("signatures", "--product", "99999"), "Product not found"),
        (("signatures", "--product", "99999", "--required"), "Product not found"),
    ],
    ids=str,
)
def test_what_is_not_there_is_one_line_and_ends_with_1(server, words, reason):
    code, out, error = told(server, "firmware", *words)

    assert (code, out, error.count("\n")) == (1, "", 1)
    assert reason in error


@pytest.mark.parametrize(
    ("content", "version", "words", "reason"),
    [
        (b"\x7fELF" + IMAGE, "1", (), "ELF"),
        (b"", "1", (), "empty"),
        (bytes(300_001), "1", (), "Image too large"),
        (IMAGE, "a b", (), "version: 1 to 64"),
        (IMAGE, "1", ("--min-version", "2"), "min_version"),
        (IMAGE, "1", ("--product", "99999"), "Product not found"),
        (b"raw", "1", ("--signature", "@"), "Invalid signature: the file is no JSON"),
    ],
    ids=["an ELF file", "nothing", "too much", "version", "minimum", "product", "signature"],
)
def test_what_cannot_be_published_is_one_line_and_leaves_nothing(
    server, product, file, content, version, words, reason
):
    file.write_bytes(content)
    what = ("--product", product, "--mcu", "esp32", "--version", version)
    filled = [str(file) if word == "@" else word for word in words]

    code, out, error = told(server, "firmware", "publish", str(file), *what, *filled)

    assert (code, out, error.count("\n")) == (1, "", 1)
    assert reason in error
    assert beside(server, "firmware", "list", "--product", product) == []


def test_an_image_of_just_the_largest_size_is_published(publish, file):
    file.write_bytes(bytes(300_000))

    assert publish()["size"] == 300_000


@pytest.mark.parametrize(
    "words",
    [
        ("publish", "-"),
        ("publish", "-", *WHAT, "--notes", "a", "--notes-file", "-"),
        ("publish", "no-such-file", *WHAT),
        ("publish", "-", "--product", "x", "--mcu", "a", "--version", "1"),
        ("publish", "-", *WHAT, "--expires", "soon"),
        ("list", "--state", "lost"),
        ("timeline", "--thing", "T", "--limit", "201"),
    ],
    ids=str,
)
def test_options_that_cannot_be_end_with_2(server, words):
    code, out, error = told(server, "firmware", *words)

    assert (code, out) == (2, "")
    assert "Error" in error


def test_a_sequence_beside_a_signature_for_another_is_refused(server, product, file, tmp_path):
    key = command("firmware", "key", "create", str(tmp_path / "key.pem"), "--json")
    what = ("--product", product, "--mcu", "esp32", "--version", "1.2.3")
    words = ("--key", key["private"], "--sequence", "5", "--json")
    command("firmware", "sign", str(file), *words, *what)

    code, _, error = told(
        server,
        *("firmware", "publish", str(file), *what),
        *("--signature", f"{file}.sig", "--sequence", "6"),
    )

    assert (code, error.count("\n")) == (2, 1)
    assert "the signature was made for 5" in error


def at_terminal(server, *words, **answers):
    folder = ("--data", str(server.folder))
    return run_at_terminal(*words[:2], *folder, *words[2:], env=server.settings, **answers)


def test_at_a_terminal_a_bar_shows_the_progress_and_stdout_stays_clean(server, product, file):
    what = ("--product", product, "--mcu", "esp32", "--version", "1.2.3")

    seen = at_terminal(server, "firmware", "publish", str(file), *what)

    assert seen.code == 0
    assert "Publishing" in seen.screen
    assert "100%" in seen.screen
    assert seen.out.startswith("Firmware: ")
    silent = at_terminal(server, "firmware", "publish", str(file), *what, "--json")
    assert (silent.code, silent.screen) == (0, "")


def test_without_a_terminal_no_bar_is_drawn(server, product, file):
    what = ("--product", product, "--mcu", "esp32", "--version", "1.2.3")

    code, out, error = told(server, "firmware", "publish", str(file), *what)

    assert (code, error) == (0, "")
    assert f"SHA-256: {hashlib.sha256(IMAGE).hexdigest()}" in out.splitlines()


@pytest.mark.parametrize(("answer", "code", "state"), [("y", 0, "revoked"), ("n", 1, "published")])
def test_at_a_terminal_revoking_is_asked_about(server, publish, answer, code, state):
    firmware = publish()["id"]

    seen = at_terminal(server, "firmware", "revoke", firmware, answers={"for good?": answer})

    assert seen.code == code
    assert beside(server, "firmware", "show", firmware)["state"] == state


@pytest.mark.parametrize("sure", ["--yes", "--json"])
def test_who_is_sure_is_not_asked(server, publish, sure):
    firmware = publish()["id"]

    seen = at_terminal(server, "firmware", "revoke", firmware, sure)

    assert (seen.code, seen.screen) == (0, "")


def test_of_a_product_that_is_not_there_no_keys_are_listed(server):
    data = ("--data", str(server.folder))

    done = run("firmware", "key", "list", "--product", "99999", *data, env=server.settings)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("thingstead: Product not found: id 99999. ")
