"""The README's quick start, run as it is printed."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from support.in_process import free_port
from support.process import PATIENCE_SECONDS, PROGRAM, server_process

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
EXAMPLE = re.compile(
    r"<!-- run -->\n```sh\n(?P<command>[^`]+?)\n```\n(?:```json\n(?P<answer>[^`]+?)\n```)?"
)
TAKEN_FROM_ANSWERS = {"token": "SESSION_TOKEN", "thingId": "THING_ID"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme") / "data"
    roads = [f"--{road}-port={free_port()}" for road in ("mqtt", "coap")]
    with server_process(folder, *roads) as running:
        app = running.command("app", "create", "My app")
        yield running.ready | {"app": app["id"], "folder": str(folder)}
        assert running.stop() == 0


def masked(answer):
    """Return the answer with what differs from run to run made equal."""
    answer = re.sub(r'"(datetime|thingToken|thingId|token)":"[^"]+"', r'"\1":"…"', answer)
    return answer.strip()


@pytest.mark.needs_tool("curl")
def test_examples_answer_as_printed(server):
    examples = [one for one in examples_of("curl") if "/firmwares/" not in one["command"]]
    names = {
        "http://localhost:8000": server["url"],
        "THING_TOKEN": server["token"],
        "ACTIVATION_CODE": server["activationCode"],
        "APP_ID": server["app"],
    }

    for example in examples:
        command = example["command"]
        for name, value in names.items():
            command = command.replace(name, value)
        answer = printed_by(command.replace("curl", "curl -sS --max-time 10", 1))
        assert masked(answer) == masked(example["answer"])
        if "-H" not in command:
            names |= taken(answer, "token")
        elif "/me/things" in command:
            names |= taken(answer, "thingId")

    assert len(examples) == 7


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(name, marks=pytest.mark.needs_tool(name))
        for name in ("mosquitto_pub", "coap-client-notls")
    ],
)
def test_examples_of_other_roads_write_what_they_say(server, program):
    [example] = examples_of(program)
    mqtt = urlsplit(server["mqtt"])
    command = (
        example["command"]
        .replace("THING_TOKEN", server["token"])
        .replace("coap://localhost", server["coap"])
        .replace("mosquitto_pub", f"mosquitto_pub -h {mqtt.hostname} -p {mqtt.port}")
    )

    answer = printed_by(command)

    assert answer.strip() == (example["answer"] or "")
    [written] = json.loads(re.search("'(.+)'", command)[1])["values"]
    with urlopen(f"{server['url']}/v2/things/{server['token']}/resources/humidity") as read:
        [newest] = json.load(read)
    assert (newest["key"], newest["value"]) == (written["key"], written["value"])


@pytest.mark.needs_tool("curl")
def test_an_image_is_published_offered_and_loaded_as_printed(server, tmp_path):
    [publishing] = examples_of("thingstead")
    asking, loading = [one for one in examples_of("curl") if "/firmwares/" in one["command"]]
    (tmp_path / "station.bin").write_bytes(bytes(1_048_576))
    thingstead = f"THINGSTEAD_DATA={shlex.quote(server['folder'])} {shlex.join(PROGRAM)}"

    told = printed_by(publishing["command"].replace("thingstead", thingstead, 1), tmp_path)
    names = {
        "curl": "curl -sS --max-time 10",
        "http://localhost:8000": server["url"],
        "THING_TOKEN": server["token"],
        "FIRMWARE_ID": json.loads(told)["id"],
    }
    offer = printed_by(replaced(asking["command"], names), tmp_path)
    printed_by(replaced(loading["command"], names), tmp_path)

    assert json.loads(told) == json.loads(replaced(publishing["answer"], names))
    assert steady(offer) == steady(replaced(asking["answer"], names))
    assert (tmp_path / "new.bin").read_bytes() == bytes(1_048_576)


def test_every_example_is_run_by_one_of_the_tests():
    programs = {example["command"].split()[0] for example in EXAMPLE.finditer(README)}

    assert programs == {"curl", "mosquitto_pub", "coap-client-notls", "thingstead"}


def examples_of(program):
    return [one for one in EXAMPLE.finditer(README) if one["command"].startswith(f"{program} ")]


def replaced(text, names):
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def steady(offer):
    """Return the answer of `latest` without what differs from run to run."""
    answer = json.loads(offer)
    for member in ("createdAt", "sequence"):
        del answer["firmwares"][0][member]
    del answer["pollAfter"]
    return answer


def printed_by(command, folder=None):
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    ).stdout


def taken(answer, member):
    known = json.loads(answer)
    found = known.get(member) if isinstance(known, dict) else None
    return {TAKEN_FROM_ANSWERS[member]: found} if found else {}
