"""`campaign create` and its neighbours beside a running server, which follows at once."""

import json

import pytest

from support.commands import beside, comes, run
from support.terminal import run_at_terminal
from support.wire import ask

OLD, NEW = b"old" * 1_000, b"new" * 1_000
UNKNOWN = "0" * 30
AT_ONCE = ("--rings", "100", "--soak", "0s", "--proof", "contact")


@pytest.fixture
def product(server):
    return str(beside(server, "product", "create", "Station")["id"])


@pytest.fixture
def publish(server, product, tmp_path):
    def publish(version, content, *words):
        file = tmp_path / f"{version}.bin"
        file.write_bytes(content)
        what = ("--product", product, "--mcu", "esp32", "--version", version)
        return beside(server, "firmware", "publish", str(file), *what, *words)["id"]

    return publish


@pytest.fixture
async def things(server, product):
    """Four things of the product: their ids and tokens."""
    made = []
    for code in beside(server, "codes", "create", "--product", product, "--count", "4"):
        body = json.dumps({"activationCode": code}).encode()
        answer = (await ask(server.address, "POST", "/v2/things", body)).json
        made.append({"id": answer["thingId"], "token": answer["thingToken"]})
    return made


@pytest.fixture
def draft(publish):
    return publish("2.0", NEW, "--draft")


@pytest.fixture
def create(server, things, draft):
    """Creates a campaign for the four things with the draft as its image."""

    def create(*words):
        what = ("--firmware", draft, "--name", "2.0 for all")
        return beside(server, "campaign", "create", *what, *words)

    return create


def told(server, *words):
    """What a command beside the server told: its exit code, and both its outputs."""
    done = run(*words[:2], "--data", str(server.folder), *words[2:], env=server.settings)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


async def latest(server, thing, query=""):
    path = f"/v2/things/{thing['token']}/firmwares/latest{query}"
    return (await ask(server.address, "GET", path)).json


async def is_offered(server, thing, *wanted, query=""):
    async def offered():
        return [each["_id"] for each in (await latest(server, thing, query))["firmwares"]]

    return await comes(offered, [*wanted])


async def is_refused(server, thing, reason):
    async def told():
        return (await latest(server, thing)).get("reason")

    return await comes(told, reason)


async def update(server, thing, firmware, version):
    """Have the thing do all that an update takes."""
    assert await is_offered(server, thing, firmware)
    path = f"/v2/things/{thing['token']}/firmwares/download/{firmware}"
    assert (await ask(server.address, "GET", path)).status == 200
    for _ in range(2):  # It reports the version, and proves that it works by another contact.
        await latest(server, thing, f"?version={version}")


async def fail(server, thing, firmware):
    assert await is_offered(server, thing, firmware)
    said = {"id": firmware, "state": "failure", "error": "flash \u001b[31mworn out"}
    path = f"/v2/things/{thing['token']}/firmwares/status"
    assert (await ask(server.address, "POST", path, json.dumps(said).encode())).status == 200


async def test_a_campaign_publishes_its_draft_and_lists_its_things(server, things, draft):
    what = ("--firmware", draft, "--name", "2.0 for all")

    campaign = server.command("campaign", "create", *what, *AT_ONCE)

    assert (campaign["state"], campaign["firmware"]) == ("running", draft)
    assert beside(server, "firmware", "show", draft)["state"] == "published"
    listed = beside(server, "campaign", "things", campaign["id"])
    assert sorted(one["thing"] for one in listed) == sorted(one["id"] for one in things)
    assert {(one["state"], one["reason"]) for one in listed} == {
        ("waiting", "its ring is open, and it has not asked since")
    }
    assert await is_offered(server, things[0], draft)


def test_everything_that_was_planned_is_kept(server, product, create):
    campaign = create(
        *("--rings", "5,25,100", "--success", "80", "--soak", "90m", "--proof", "contact"),
        *("--stop-failures", "3", "--stop-percent", "off", "--stop-after", "5"),
        *("--attempts", "2", "--patience", "2d", "--tag", "roof", "--tag", "attic"),
        *("--from-version", "1.0", "--from-version", "1.1"),
    )

    assert campaign["plan"] == {
        "tags": ["roof", "attic"],
        "fromVersions": ["1.0", "1.1"],
        "rings": [5, 25, 100],
        "successPercent": 80,
        "soakSeconds": 5_400,
        "proof": "contact",
        "stopFailures": 3,
        "stopPercent": None,
        "stopAfter": 5,
        "attempts": 2,
        "patienceSeconds": 172_800,
    }
    shown = beside(server, "campaign", "show", campaign["id"])
    assert {name: shown[name] for name in ("id", "name", "plan")} == {
        "id": campaign["id"],
        "name": "2.0 for all",
        "plan": campaign["plan"],
    }
    [listed] = beside(server, "campaign", "list", "--product", product)
    assert (listed["id"], listed["product"], listed["mcu"]) == (
        campaign["id"],
        int(product),
        "esp32",
    )


async def test_what_became_of_each_thing_is_told(server, things, draft, create):
    campaign = create(*AT_ONCE, "--stop-percent", "off")["id"]
    await update(server, things[0], draft, "2.0")
    await fail(server, things[1], draft)

    shown = beside(server, "campaign", "show", campaign)

    assert shown["things"] == {
        "all": 4,
        "current": 0,
        "waiting": 2,
        "underWay": 0,
        "succeeded": 1,
        "failed": 1,
        "blocked": 0,
    }
    assert (shown["gate"]["needed"], shown["gate"]["missing"]) == (4, 3)
    assert (shown["stop"]["failed"], shown["stop"]["ended"]) == (1, 2)
    [failed] = beside(server, "campaign", "things", campaign, "--state", "failed")
    assert (failed["thing"], failed["failures"]) == (things[1]["id"], 1)
    some = beside(
        server, "campaign", "things", campaign, "--state", "failed", "--state", "succeeded"
    )
    assert len(some) == 2
    _, people, _ = told(server, "campaign", "show", campaign)
    assert "[#####!!!!!.........." in people
    assert people.splitlines()[-2:] == [
        f"Gate: {shown['gate']['sentence']}",
        f"Stop: {shown['stop']['sentence']}",
    ]
    _, people, _ = told(server, "campaign", "things", campaign, "--state", "failed")
    assert people.startswith(f"{things[1]['id']}  ring 1  failed  ")
    assert "worn out" in people
    assert "\x1b" not in people


async def test_the_timeline_names_ring_and_campaign(server, things, draft, create):
    campaign = create("--rings", "1,100")["id"]
    # Paused, because a ring with none of the four things is passed by itself.
    open_ring = beside(server, "campaign", "pause", campaign)["openRing"]

    [waiting] = beside(server, "firmware", "timeline", "--thing", things[0]["id"])["updates"]

    assert (waiting["state"], waiting["campaign"]) == ("waiting", campaign)
    assert waiting["campaignState"] == "paused"
    assert waiting["ringIsOpen"] is (waiting["ring"] <= open_ring)
    _, people, _ = told(server, "firmware", "timeline", "--thing", things[0]["id"])
    assert f" of campaign {campaign}: paused by an operator" in people
    assert f"  joined      2.0  campaign {campaign}\n" in people


async def test_pause_and_resume_are_followed_at_once(server, things, draft, create):
    campaign = create(*AT_ONCE)["id"]

    paused = beside(server, "campaign", "pause", campaign)
    assert paused["state"] == "paused"
    assert await is_refused(server, things[0], "paused")

    resumed = beside(server, "campaign", "resume", campaign)
    assert resumed["state"] == "running"
    assert await is_offered(server, things[0], draft)


async def test_advancing_opens_the_next_ring(server, things, draft, create):
    # The first ring may have none of four things: then the gate is passed by itself.
    campaign = create("--rings", "99,100")["id"]
    assert beside(server, "campaign", "show", campaign)["openRing"] in {0, 1}

    code, _, error = told(server, "campaign", "advance", campaign)

    assert code == 0 or "every ring is open" in error
    assert beside(server, "campaign", "show", campaign)["openRing"] == 1
    for thing in things:
        assert await is_offered(server, thing, draft)


async def test_what_is_cancelled_is_offered_to_nobody(server, things, draft, create):
    campaign = create(*AT_ONCE)["id"]

    assert beside(server, "campaign", "cancel", campaign)["state"] == "cancelled"

    assert await is_offered(server, things[0])
    code, out, error = told(server, "campaign", "resume", campaign)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert "Wrong state of the campaign" in error


async def test_reverting_brings_the_earlier_bytes_back(server, things, publish):
    old = publish("1.0", OLD)
    new = publish("2.0", NEW, "--draft")
    what = ("--firmware", new, "--name", "2.0 for all")
    campaign = beside(server, "campaign", "create", *what, *AT_ONCE)["id"]
    await update(server, things[0], new, "2.0")

    reverted = beside(server, "campaign", "revert", campaign)

    assert reverted["state"] == "reverted"
    back = beside(server, "firmware", "show", reverted["revertedTo"])
    assert (back["version"], back["revert"], back["state"]) == ("1.0", True, "published")
    assert back["id"] != old
    assert back["sequence"] > beside(server, "firmware", "show", new)["sequence"]
    assert beside(server, "firmware", "show", new)["state"] == "revoked"
    assert await is_offered(server, things[0], back["id"], query="?version=2.0")


def test_where_signatures_are_required_reverting_needs_one(server, product, publish, tmp_path):
    key = tmp_path / "key.pem"
    assert run("firmware", "key", "create", str(key)).returncode == 0
    add = ("--data", str(server.folder), "--product", product, "--name", "CI")
    assert run("firmware", "key", "add", str(tmp_path / "key.pub.pem"), *add).returncode == 0
    publish("1.0", OLD)
    new = publish("2.0", NEW)
    beside(server, "firmware", "signatures", "--product", product, "--required")
    campaign = beside(server, "campaign", "create", "--firmware", new, "--name", "2.0")["id"]
    old_file = tmp_path / "1.0.bin"
    what = ("--product", product, "--mcu", "esp32", "--version", "1.0", "--sequence", str(2**40))

    refused = told(server, "campaign", "revert", campaign)
    assert run("firmware", "sign", str(old_file), "--key", str(key), *what).returncode == 0
    reverted = beside(server, "campaign", "revert", campaign, "--signature", f"{old_file}.sig")

    assert (refused[0], refused[2].count("\n")) == (1, 1)
    assert "The image is not signed" in refused[2]
    assert beside(server, "firmware", "show", reverted["revertedTo"])["sequence"] == 2**40


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("show", UNKNOWN), "Campaign not found"),
        (("things", UNKNOWN), "Campaign not found"),
        (("resume", UNKNOWN), "Campaign not found"),
        (("revert", UNKNOWN), "Campaign not found"),
        (("create", "--firmware", UNKNOWN, "--name", "a"), "Firmware not found"),
        (("create", "--firmware", UNKNOWN, "--name", "a", "--rings", "50"), "the last one must"),
        (("create", "--firmware", UNKNOWN, "--name", "a", "--patience", "59s"), "patience"),
    ],
    ids=str,
)
def test_what_is_refused_is_one_line_and_ends_with_1(server, words, reason):
    code, out, error = told(server, "campaign", *words)

    assert (code, out, error.count("\n")) == (1, "", 1)
    assert reason in error


@pytest.mark.parametrize(
    "words",
    [
        ("create", "--firmware", UNKNOWN),
        ("create", "--firmware", UNKNOWN, "--name", "a", "--rings", "all"),
        ("create", "--firmware", UNKNOWN, "--name", "a", "--soak", "1"),
        ("create", "--firmware", UNKNOWN, "--name", "a", "--stop-percent", "0"),
        ("things", UNKNOWN, "--state", "lost"),
    ],
    ids=str,
)
def test_options_that_cannot_be_end_with_2(server, words):
    code, out, error = told(server, "campaign", *words)

    assert (code, out) == (2, "")
    assert "Error" in error


def at_terminal(server, *words, **answers):
    folder = ("--data", str(server.folder))
    return run_at_terminal(*words[:2], *folder, *words[2:], env=server.settings, **answers)


def test_at_a_terminal_a_bar_shows_how_many_things_are_listed(server, things, draft):
    seen = at_terminal(server, "campaign", "create", "--firmware", draft, "--name", "2.0")

    assert seen.code == 0
    assert "Listing things" in seen.screen
    assert " 4" in seen.screen
    assert "  running  ring 1 of 4 (1 %)  2.0\n" in seen.out


@pytest.mark.parametrize("command", ["cancel", "revert"])
def test_at_a_terminal_what_cannot_be_undone_is_asked_about(server, publish, create, command):
    campaign = create(*AT_ONCE)["id"]

    no = at_terminal(server, "campaign", command, campaign, answers={"[y/N]": "n"})

    assert no.code == 1
    assert beside(server, "campaign", "show", campaign)["state"] == "running"


def test_who_is_sure_is_not_asked(server, create):
    campaign = create(*AT_ONCE)["id"]

    seen = at_terminal(server, "campaign", "cancel", campaign, "--yes")

    assert (seen.code, seen.screen) == (0, "")
