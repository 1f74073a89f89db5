"""The README's quick start, run as it is printed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
EXAMPLE = re.compile(
    r"<!-- run -->\n```sh\n(?P<command>[^`]+?)\n```\n```json\n(?P<answer>[^`]+?)\n```"
)
TAKEN_FROM_ANSWERS = {"token": "SESSION_TOKEN", "thingId": "THING_ID"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("readme"))
    program = [sys.executable, "-m", "thingstead"]
    process = subprocess.Popen(
        [*program, "serve", "--host", "127.0.0.1", "--port", "0", "--json", "--data", folder],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        known = json.loads(process.stdout.readline())
        made = subprocess.run(
            [*program, "app", "create", "My app", "--json", "--data", folder],
            capture_output=True,
            text=True,
            check=True,
        )
        yield known | {"app": json.loads(made.stdout)["id"]}
    finally:
        process.terminate()
        process.communicate(timeout=15)


def masked(answer):
    """Return the answer with what differs from run to run made equal."""
    answer = re.sub(r'"(datetime|thingToken|thingId|token)":"[^"]+"', r'"\1":"…"', answer)
    return answer.strip()


@pytest.mark.needs_tool("curl")
def test_examples_answer_as_printed(server):
    examples = list(EXAMPLE.finditer(README))
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
        answer = subprocess.run(
            ["sh", "-c", command.replace("curl ", f"{shutil.which('curl')} -sS --max-time 10 ", 1)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert masked(answer) == masked(example["answer"])
        if "-H" not in command:
            names |= taken(answer, "token")
        elif "/me/things" in command:
            names |= taken(answer, "thingId")

    assert len(examples) == 7


def taken(answer, member):
    known = json.loads(answer)
    found = known.get(member) if isinstance(known, dict) else None
    return {TAKEN_FROM_ANSWERS[member]: found} if found else {}
