"""The README's quick start, run as it is printed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
EXAMPLE = re.compile(r"<!-- run -->\n```sh\n(?P<command>.+?)\n```\n```json\n(?P<answer>.+?)\n```")
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    command = [sys.executable, "-m", "thingstead", "serve", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--json", "--data", str(tmp_path_factory.mktemp("readme"))],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=15)


def masked(answer):
    """Return the answer with what differs from run to run made equal."""
    answer = re.sub(r'"datetime":"[^"]+"', '"datetime":"…"', answer)
    answer = re.sub(r'"(thingToken|thingId)":"[^"]+"', r'"\1":"…"', answer)
    return answer.strip()


@pytest.mark.needs_tool("curl")
def test_quick_start_answers_as_printed(server):
    examples = list(EXAMPLE.finditer(README))

    for example in examples:
        command = (
            example["command"]
            .replace("http://localhost:8000", server["url"])
            .replace("THING_TOKEN", server["token"])
            .replace("ACTIVATION_CODE", server["activationCode"])
        )
        answer = subprocess.run(
            ["sh", "-c", command.replace("curl ", f"{shutil.which('curl')} -sS --max-time 10 ", 1)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert masked(answer) == masked(example["answer"])

    assert len(examples) == 3
