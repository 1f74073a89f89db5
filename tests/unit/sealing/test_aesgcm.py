"""Sealed secrets, and the file that holds their key."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from thingstead.sealing.aesgcm import AESGCMSeal, KeyFileError, SealBrokenError, load_or_create_key

KEY = bytes(range(32))
SECRET = "oJ7Yx-_Zk3q0o8m1Rr4wq9Tt2Uu5Vv6Ww8Xx0Yy1Zz3"


@pytest.fixture
def seal():
    return AESGCMSeal(KEY)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secret.key"


def write_key(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize("secret", [SECRET, "", "grün 🌡"], ids=["token", "empty", "not ascii"])
def test_what_was_closed_opens_again(seal, secret):
    assert seal.open(seal.close(secret)) == secret


def test_two_closings_of_one_secret_differ(seal):
    assert seal.close(SECRET) != seal.close(SECRET)


def test_a_sealed_secret_does_not_show_the_secret(seal):
    assert SECRET.encode() not in seal.close(SECRET)


def test_a_sealed_secret_is_29_bytes_longer(seal):
    assert len(seal.close(SECRET)) == 1 + 12 + len(SECRET) + 16


def test_another_key_does_not_open(seal):
    other = AESGCMSeal(KEY[::-1])

    with pytest.raises(SealBrokenError):
        other.open(seal.close(SECRET))


def test_no_byte_can_be_changed(seal):
    sealed = seal.close(SECRET)

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealBrokenError):
            seal.open(bytes(changed))


def test_no_part_of_a_sealed_secret_opens(seal):
    sealed = seal.close("short")

    for length in range(len(sealed)):
        with pytest.raises(SealBrokenError):
            seal.open(sealed[:length])


def test_a_broken_seal_says_nothing_of_the_secret(seal):
    sealed = seal.close(SECRET)

    with pytest.raises(SealBrokenError) as caught:
        seal.open(sealed[:-1])

    assert SECRET not in str(caught.value)


def test_a_key_of_another_length_is_refused():
    with pytest.raises(KeyFileError):
        AESGCMSeal(KEY[:16])


def test_importing_the_module_does_not_import_cryptography():
    program = "import sys, thingstead.sealing.aesgcm; sys.exit('cryptography' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", program], check=False)

    assert finished.returncode == 0


def test_a_new_key_has_32_bytes_that_only_the_owner_may_read(path):
    key = load_or_create_key(path)

    assert path.read_bytes() == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_key_is_private_under_a_careless_umask(path):
    before = os.umask(0)
    try:
        load_or_create_key(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_but_the_key_is_left_in_the_folder(path):
    load_or_create_key(path)

    assert list(path.parent.iterdir()) == [path]


def test_the_key_is_the_same_the_second_time(path):
    first = load_or_create_key(path)

    assert load_or_create_key(path) == first


def test_two_installations_have_two_keys(tmp_path):
    assert load_or_create_key(tmp_path / "a") != load_or_create_key(tmp_path / "b")


def test_many_that_start_at_once_end_with_one_key(path):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_or_create_key(path), range(64)))

    assert keys == {path.read_bytes()}
    assert list(path.parent.iterdir()) == [path]


def test_whoever_comes_second_takes_the_first_ones_key(path, monkeypatch):
    first = load_or_create_key(path)
    # The other process made the file after this one had looked for it.
    monkeypatch.setattr(type(path), "exists", lambda _self: False)

    assert load_or_create_key(path) == first


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620], ids=oct)
def test_a_key_that_others_may_read_is_refused(path, mode):
    write_key(path, KEY, mode)

    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create_key(path)


@pytest.mark.parametrize("content", [b"", KEY[:31], KEY + b"\n"], ids=["empty", "31", "33"])
def test_a_key_of_another_size_is_refused(path, content):
    write_key(path, content)

    with pytest.raises(KeyFileError, match="exactly 32 bytes"):
        load_or_create_key(path)


def test_a_key_of_equal_bytes_is_refused(path):
    write_key(path, bytes(32))

    with pytest.raises(KeyFileError, match="the same"):
        load_or_create_key(path)


def test_a_refused_key_file_is_left_as_it_is(path):
    write_key(path, b"short")

    with pytest.raises(KeyFileError):
        load_or_create_key(path)

    assert path.read_bytes() == b"short"


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(KeyFileError, match="No such file"):
        load_or_create_key(tmp_path / "nowhere" / "secret.key")


def test_a_folder_in_place_of_the_key_is_refused(path):
    path.mkdir(mode=0o700)

    with pytest.raises(KeyFileError):
        load_or_create_key(path)
