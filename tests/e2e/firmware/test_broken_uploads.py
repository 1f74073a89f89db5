"""`firmware publish` that is killed, interrupted, or meets a full disk in mid-upload."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from e2e.firmware.station import Station
from support import process
from support.commands import beside, command, run
from support.firmware import content_of
from support.process import PATIENCE_SECONDS, PROGRAM, environment, server_process

CONTENT = content_of(1_000_000)
DISK = "24m"
BALLAST = bytes(12_000_000)
SMALL, LARGE = content_of(200_000, seed=2), content_of(20_000_000, seed=3)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "folder"


@pytest.fixture
def product(folder):
    return str(command("product", "create", "Station", "--data", str(folder), "--json")["id"])


def what(product):
    return ("--product", product, "--mcu", "main", "--version", "1.0")


@contextmanager
def publishing(folder, product):
    """A process that publishes what comes through a pipe, of which it has taken most."""
    words = ("firmware", "publish", "-", "--data", str(folder), *what(product))
    with subprocess.Popen(
        [*PROGRAM, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    ) as running:
        try:
            running.stdin.write(CONTENT)
            running.stdin.flush()
            until = time.monotonic() + PATIENCE_SECONDS
            while not any(part.stat().st_size for part in parts(folder)):
                assert time.monotonic() < until
            yield running
        finally:
            running.kill()


def parts(folder):
    return list((folder / "blobs" / "incoming").glob("*"))


def images(folder):
    return [each for each in (folder / "blobs").glob("??/*") if each.is_file()]


def listed(folder):
    return command("firmware", "list", "--data", str(folder), "--json")


def publish(folder, product):
    file = folder.with_name("station.bin")
    file.write_bytes(CONTENT)
    words = ("firmware", "publish", str(file), "--data", str(folder), "--json")
    return command(*words, *what(product))


def test_a_killed_upload_is_never_seen_and_is_swept_by_the_next_server(folder, product):
    with publishing(folder, product) as running:
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE_SECONDS)
    left = parts(folder)
    seen = listed(folder)

    with server_process(folder) as server:
        until = time.monotonic() + PATIENCE_SECONDS
        while parts(folder):
            assert time.monotonic() < until, "nobody swept what the upload left"
        published = publish(folder, product)
        server.stop()

    assert (len(left), seen, len(images(folder))) == (1, [], 1)
    assert [each["id"] for each in listed(folder)] == [published["id"]]


def test_a_living_upload_is_not_swept_with_the_dead_ones(folder, product):
    with publishing(folder, product) as running:
        [living] = parts(folder)
        dead = living.with_name(f"dead{living.suffix}")
        dead.write_bytes(CONTENT)
        with server_process(folder) as server:
            until = time.monotonic() + PATIENCE_SECONDS
            while dead.exists():
                assert time.monotonic() < until
            server.stop()
        left = parts(folder)
        out, errors = running.communicate(timeout=PATIENCE_SECONDS)

    assert (left, running.returncode) == ([living], 0), errors
    assert b"Firmware: " in out
    assert (len(listed(folder)), len(images(folder)), parts(folder)) == (1, 1, [])


@pytest.mark.parametrize("source", ["/dev/null", "/dev/zero"])
def test_devices_can_be_read_like_files(folder, product, source):
    done = run(*("firmware", "publish", source, "--data", str(folder)), *what(product))

    # Of zeros there are always too many.
    reason = {"/dev/null": "empty", "/dev/zero": "Image too large"}[source]
    assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    assert (parts(folder), images(folder)) == ([], [])


def test_an_interrupted_upload_ends_with_130_and_leaves_nothing(folder, product):
    with publishing(folder, product) as running:
        running.send_signal(signal.SIGINT)
        # Nothing more comes through the pipe, and its end does not either.
        code = running.wait(PATIENCE_SECONDS)
        told = running.stdout.read() + running.stderr.read()

    assert (code, parts(folder), images(folder), listed(folder)) == (130, [], [], [])
    assert b"Traceback" not in told


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for a server and not much else."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user may mount nothing")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_a_full_disk_is_told_and_the_server_goes_on(small_disk, tmp_path):
    folder = small_disk / "folder"
    ballast = small_disk / "ballast"
    with server_process(folder) as server:
        product = str(beside(server, "product", "create", "Station")["id"])
        station = Station(server, product, tmp_path)
        thing = station.thing()
        first = station.publish(SMALL, "1.0")
        assert await thing.is_offered(first)
        ballast.write_bytes(BALLAST)
        (tmp_path / "large.bin").write_bytes(LARGE)
        words = ("--data", str(folder), "--product", product, "--mcu", "main", "--version", "2.0")

        refused = run("firmware", "publish", str(tmp_path / "large.bin"), *words)

        assert (refused.returncode, refused.stdout) == (3, "")
        assert (refused.stderr.count("\n"), "full" in refused.stderr.lower()) == (1, True)
        assert (parts(folder), len(images(folder))) == ([], 1)
        assert [each["id"] for each in beside(server, "firmware", "list")] == [first]
        assert await thing.is_offered(first)
        assert (await thing.download(first)).body == SMALL
        ballast.unlink()
        second = station.publish(LARGE[:8_000_000], "2.0")
        assert await thing.is_offered(second)
        assert server.stop() == 0
        assert "Traceback" not in server.logged()


def test_the_disk_may_be_full_before_the_first_byte(small_disk, tmp_path):
    folder = small_disk / "folder"
    made = command("product", "create", "Station", "--data", str(folder), "--json")
    file = tmp_path / "station.bin"
    file.write_bytes(SMALL)
    room = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize))

    words = ("firmware", "publish", str(file), "--data", str(folder), *what(str(made["id"])))
    refused = process.run(*words)

    assert refused.returncode == 3, refused.stderr
    assert refused.stderr.count("\n") == 1
    assert images(folder) == []
