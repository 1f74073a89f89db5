"""The page about firmware says what the program does, and its examples work."""

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.request import Request, urlopen

import click
import pytest

from support.process import PATIENCE_SECONDS, PROGRAM, server_process
from thingstead.cli.main import cli
from thingstead.features.firmware.eligibility import Reason
from thingstead.features.firmware.model import FirmwareState, UpdateState
from thingstead.transports.wire import firmware_out

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "firmware.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
RUN = dict(re.findall(r"<!-- run: (\S+) -->\n```\w+\n(.+?)```", PAGE, re.S))
OLD, NEW = b"old" * 5_000, bytes(range(256)) * 100


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with server_process(tmp_path_factory.mktemp("firmware") / "data") as running:
        yield running
        assert running.stop() == 0, running.logged()


@pytest.fixture
def published(server, tmp_path):
    """What `publish` tells about an image of the product that the server's first thing is of."""
    file = tmp_path / "station.bin"
    [thing] = [one for one in server.command("thing", "list") if one["token"] == server.token]

    def publish(mcu):
        file.write_bytes(NEW)
        words = (str(file), "--product", str(thing["product"]), "--mcu", mcu, "--version", "1.2.4")
        return server.command("firmware", "publish", *words)

    return publish


def in_first_columns(heading):
    """What stands in code in the first column of the table under that heading of a column."""
    table = re.search(rf"^\| {heading} \|.*\n\|[ -|]+\n((?:\|.*\n)+)", PAGE, re.M)[1]
    return [
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]


def states_tables():
    return re.findall(r"^\| state \|.*\n\|[ -|]+\n((?:\|.*\n)+)", PAGE, re.M)


def test_every_reason_is_explained():
    assert sorted(in_first_columns("reason")) == sorted(Reason)


@pytest.mark.parametrize(("table", "states"), [(0, FirmwareState), (1, UpdateState)])
def test_every_state_is_explained(table, states):
    named = re.findall(r"^\| `(\w+)` \|", states_tables()[table], re.M)

    assert sorted(named) == sorted(states)


def test_every_member_of_an_offer_is_explained():
    members = {"_id" if name == "id" else name for name in firmware_out._Firmware.__struct_fields__}

    assert set(in_first_columns("member")) == members


def test_the_example_of_an_offer_has_its_members():
    [example] = [json.loads(text) for text in re.findall(r"```json\n(.+?)```", PAGE, re.S)]

    assert set(example) | {"reason"} == set(firmware_out._Offer.__struct_fields__)
    assert set(example["firmwares"][0]) <= set(in_first_columns("member"))


def commands_in(text):
    """The command lines of a page, with those in one line behind each other joined."""
    blocks = re.findall(r"```sh\n(.+?)```", text, re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("thingstead ")]


@pytest.mark.parametrize("page", [PAGE, README], ids=["firmware.md", "README.md"])
def test_every_command_takes_what_is_shown(page):
    for _, *words in commands_in(page):
        command = cli
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        context = click.Context(command)
        given, _, _ = command.make_parser(context).parse_args(words)
        needed = {parameter.name for parameter in command.params if parameter.required}
        assert needed <= set(given)


def test_every_command_that_is_named_exists():
    named = re.findall(r"`(?:thingstead )?(firmware|campaign) ([a-z]+)", PAGE)

    assert [
        (group, name) for group, name in named if name not in cli.commands[group].commands
    ] == []
    assert len(named) > 10


@pytest.mark.needs_tool("curl")
def test_the_shell_script_installs_once(server, published, tmp_path):
    script = RUN["update.sh"].replace("http://localhost:8000", server.url)
    (tmp_path / "update.sh").write_text(script.replace("THING_TOKEN", server.token))
    (tmp_path / "version").write_text("1.2.3\n")
    install = tmp_path / "install"
    install.write_text('#!/bin/sh\ncp "$1" installed\n')
    install.chmod(0o700)
    image = published("gateway")
    # As if the first attempt had been cut.
    (tmp_path / f"{image['id']}.bin").write_bytes(NEW[:10_000])

    first, second = (shell("./update.sh", tmp_path, "sh update.sh") for _ in range(2))

    assert "OK" in first
    assert (tmp_path / "installed").read_bytes() == NEW
    assert second == "nothing new: up_to_date\n"


def test_the_program_for_micropython_flashes_the_image(server, published, monkeypatch):
    published("esp32")
    chip = chip_of(monkeypatch)
    program = RUN["update.py"].replace("http://localhost:8000", server.url)
    scope = {}
    exec(program.replace("THING_TOKEN", server.token), scope)

    scope["update"]()

    assert bytes(chip["flash"]).rstrip(b"\xff") == NEW.rstrip(b"\xff")
    assert chip["done"] == ["set_boot", "reset"]
    scope["VERSION"] = "1.2.4"
    assert 10 <= scope["update"]() <= 1_200


@pytest.mark.needs_tool("openssl")
def test_what_is_signed_as_shown_is_verified_as_shown(tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "station.bin").write_bytes(NEW)
    shell("sign.sh", tmp_path, RUN["sign.sh"])
    signed = json.loads((tmp_path / "build" / "station.bin.sig").read_text())
    (tmp_path / "manifest").write_text(signed["manifest"])
    (tmp_path / "signature").write_bytes(base64.b64decode(signed["signature"]))

    told = shell("verify.sh", tmp_path, RUN["verify.sh"])

    assert "Verified Successfully" in told
    assert hashlib.sha256(NEW).hexdigest() in signed["manifest"]
    # The last bytes of the public key in DER are the key itself, as the page says for libsodium.
    assert base64.b64decode(
        "".join((tmp_path / "release.pub.pem").read_text().splitlines()[1:-1])
    ).startswith(bytes.fromhex("302a300506032b6570032100"))


def shell(name, folder, command):
    """What a command of the page prints in that folder; `thingstead` is the one under test."""
    binaries = folder / "binaries"
    binaries.mkdir(exist_ok=True)
    program = binaries / "thingstead"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    program.chmod(0o700)
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env=os.environ | {"PATH": f"{binaries}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout


def chip_of(monkeypatch):
    """A chip with the modules of MicroPython that the program imports, as far as it uses them."""
    chip = {"flash": bytearray(), "done": []}

    class Partition:
        RUNNING = 1

        def __init__(self, which):
            assert which == self.RUNNING

        def get_next_update(self):
            return self

        def writeblocks(self, number, block):
            assert (len(block), number) == (4096, len(chip["flash"]) // 4096)
            chip["flash"] += block

        def set_boot(self):
            chip["done"].append("set_boot")

    class Answer:
        def __init__(self, url, headers):
            with urlopen(Request(url, headers=headers)) as answer:
                self.content = answer.read()

        def json(self):
            return json.loads(self.content)

        def close(self):
            pass

    for name, members in {
        "esp32": {"Partition": Partition},
        "machine": {"reset": lambda: chip["done"].append("reset")},
        "requests": {"get": lambda url, headers=None: Answer(url, headers or {})},
    }.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    return chip
