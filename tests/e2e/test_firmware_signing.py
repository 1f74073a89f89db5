"""`firmware key create` and `firmware sign`, which work where there is no data folder."""

import base64
import json
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from support import process
from support.commands import command, run
from support.terminal import run_at_terminal

IMAGE = bytes(range(256)) * 300
WHAT = ("--product", "10001", "--mcu", "esp32", "--version", "1.2.3")


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "image.bin"
    file.write_bytes(IMAGE)
    return file


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "key.pem"
    command("firmware", "key", "create", str(file), "--json")
    return file


@pytest.fixture
def locked(tmp_path):
    """An encrypted private key; its password is `open sesame`."""
    (tmp_path / "password").write_text("open sesame\n")
    file = tmp_path / "locked.pem"
    password = ("--password-file", str(tmp_path / "password"))
    command("firmware", "key", "create", str(file), *password, "--json")
    return file


def sign(image, key, *words):
    return run("firmware", "sign", str(image), "--key", str(key), *WHAT, *words)


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256-sha256"])
def test_the_public_key_checks_what_the_private_one_signed(tmp_path, image, algorithm):
    made = command(
        *("firmware", "key", "create", str(tmp_path / "mine.pem")),
        *("--algorithm", algorithm, "--json"),
    )

    signed = sign(image, made["private"], "--sequence", "7")

    assert signed.returncode == 0, signed.stderr
    sig = json.loads((tmp_path / "image.bin.sig").read_text())
    assert (sig["keyId"], sig["algorithm"]) == (made["id"], algorithm)
    public = load_pem_public_key((tmp_path / "mine.pub.pem").read_bytes())
    scheme = () if algorithm == "ed25519" else (ECDSA(SHA256()),)
    public.verify(base64.b64decode(sig["signature"]), sig["manifest"].encode(), *scheme)


def test_signed_is_what_was_said_about_the_image(tmp_path, image, key):
    out = tmp_path / "elsewhere.sig"

    told = command(
        *("firmware", "sign", str(image), "--key", str(key), *WHAT),
        *("--sequence", "7", "--out", str(out), "--json"),
    )

    manifest = json.loads(json.loads(out.read_text())["manifest"])
    assert manifest == {
        "mcu": "esp32",
        "product": 10001,
        "sequence": 7,
        "sha256": told["sha256"],
        "size": len(IMAGE),
        "version": "1.2.3",
    }
    assert told["file"] == str(out)
    assert not (tmp_path / "image.bin.sig").exists()


def test_only_its_owner_can_read_a_private_key(tmp_path, key):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE" not in (tmp_path / "key.pub.pem").read_bytes()


@pytest.mark.parametrize("existing", ["mine.pem", "mine.pub.pem"])
def test_no_key_is_overwritten_and_half_a_pair_is_not_left(tmp_path, existing):
    (tmp_path / existing).write_text("precious")

    done = run("firmware", "key", "create", str(tmp_path / "mine.pem"))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "File exists" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text() == "precious"


def test_neither_makes_a_data_folder(tmp_path, image):
    env = {"THINGSTEAD_DATA": str(tmp_path / "data")}
    key = tmp_path / "key.pem"

    process.run("firmware", "key", "create", str(key), env=env)
    done = process.run("firmware", "sign", str(image), "--key", str(key), *WHAT, env=env)

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "data").exists()


def test_an_encrypted_key_signs_with_its_password(tmp_path, image, locked):
    assert b"ENCRYPTED" in locked.read_bytes()

    done = sign(image, locked, "--password-file", str(tmp_path / "password"))

    assert done.returncode == 0, done.stderr


def test_at_a_terminal_the_password_is_asked_for_and_not_shown(image, locked):
    seen = run_at_terminal(
        *("firmware", "sign", str(image), "--key", str(locked), *WHAT),
        answers={"Password of the key:": "open sesame"},
    )

    assert (seen.code, "Signed" in seen.out) == (0, True)
    assert "sesame" not in seen.screen


def test_a_new_password_is_asked_for_twice(tmp_path, image):
    file = str(tmp_path / "mine.pem")

    seen = run_at_terminal(
        *("firmware", "key", "create", file, "--encrypt"),
        answers={"Password of the key:": "open sesame", "Repeat for confirmation:": "open sesame"},
    )

    assert seen.code == 0
    (tmp_path / "password").write_text("open sesame")
    assert sign(image, file, "--password-file", str(tmp_path / "password")).returncode == 0


def test_without_a_terminal_nobody_is_asked(image, locked):
    done = sign(image, locked)

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--password-file" in done.stderr


@pytest.mark.parametrize(
    ("content", "words", "reason"),
    [
        (b"\x7fELF" + IMAGE, (), "ELF"),
        (b"", (), "empty"),
        (IMAGE, ("--version", "not a version"), "version: 1 to 64"),
        (IMAGE, ("--mcu", "-"), "mcu: 1 to 64"),
    ],
    ids=["an ELF file", "nothing", "version", "mcu"],
)
def test_what_could_not_be_published_is_not_signed(image, key, content, words, reason):
    image.write_bytes(content)

    done = sign(image, key, *words)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert reason in done.stderr
    assert not image.with_name("image.bin.sig").exists()


def test_an_image_that_says_another_version_is_signed_on_demand_only(image, key):
    # The header of an ESP-IDF image with one segment, and its descriptor (version 9.9).
    descriptor = bytes.fromhex("3254cdab") + bytes(12) + b"9.9".ljust(32, b"\0") + bytes(208)
    header = b"\xe9\x01" + bytes(22) + bytes(4) + len(descriptor).to_bytes(4, "little")
    image.write_bytes((header + descriptor).ljust(400, b"\0"))

    refused = sign(image, key)

    assert refused.returncode == 1
    assert "the image says version 9.9, not 1.2.3" in refused.stderr
    assert sign(image, key, "--allow-mismatch").returncode == 0


def test_a_wrong_password_or_a_public_key_signs_nothing(tmp_path, image, key, locked):
    (tmp_path / "password").write_text("guessed")

    wrong = sign(image, locked, "--password-file", str(tmp_path / "password"))
    public = sign(image, tmp_path / "key.pub.pem")

    assert (wrong.returncode, public.returncode) == (1, 1)
    assert "password is wrong" in wrong.stderr
    assert not (tmp_path / "image.bin.sig").exists()


@pytest.mark.parametrize(
    ("sequence", "code"),
    [("0", 2), ("1", 0), (str(2**53 - 1), 0), (str(2**53), 2)],
)
def test_sequences_go_from_1_to_what_every_device_can_read(image, key, sequence, code):
    assert sign(image, key, "--sequence", sequence).returncode == code
