import asyncio
import logging
import os
import sys
import threading

import pytest

from thingstead.hashing import argon2
from thingstead.hashing.argon2 import (
    LARGE,
    SMALL,
    Argon2Hasher,
    parameters_for,
    parameters_for_this_machine,
)
from thingstead.kernel.errors import OverloadedError

GIB = 1024**3
CHEAP = {"memory_kib": 64, "passes": 1}


@pytest.fixture
async def hasher():
    hasher = Argon2Hasher(**CHEAP, threads=1)
    yield hasher
    await hasher.close()


async def test_a_password_is_right_against_its_own_hash(hasher):
    encoded = await hasher.hash("correct horse")

    assert await hasher.verify(encoded, "correct horse") is True


async def test_another_password_is_wrong(hasher):
    encoded = await hasher.hash("correct horse")

    assert await hasher.verify(encoded, "correct hors") is False


async def test_the_hash_is_argon2id_with_the_parameters_asked_for(hasher):
    encoded = await hasher.hash("correct horse")

    assert encoded.startswith("$argon2id$v=19$m=64,t=1,p=1$")


async def test_two_hashes_of_one_password_differ(hasher):
    assert await hasher.hash("correct horse") != await hasher.hash("correct horse")


async def test_no_password_is_right_for_an_account_that_does_not_exist(hasher):
    assert await hasher.verify(None, "correct horse") is False


async def test_an_account_that_does_not_exist_costs_what_any_hash_costs(hasher):
    real = await hasher.hash("correct horse")

    nobodys = hasher._nobodys

    assert [len(part) for part in nobodys.split("$")] == [len(part) for part in real.split("$")]
    assert nobodys.split("$")[:4] == real.split("$")[:4]
    assert not hasher.needs_rehash(nobodys)


async def test_the_check_for_nobody_is_a_whole_one(hasher, caplog):
    # A hash that the library cannot read is refused at once, and is logged.
    with caplog.at_level(logging.WARNING):
        await hasher.verify(None, "correct horse")

    assert caplog.records == []


@pytest.mark.parametrize("password", ["", "pässwörd", "\ud800", "x" * 1024, "nul\x00inside"])
async def test_any_text_can_be_a_password(hasher, password):
    encoded = await hasher.hash(password)

    assert await hasher.verify(encoded, password) is True
    assert await hasher.verify(encoded, password + "x") is False


@pytest.mark.parametrize("damaged", ["", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_damaged_hash_lets_nobody_in_and_is_logged(hasher, damaged, caplog):
    with caplog.at_level(logging.WARNING):
        assert await hasher.verify(damaged, "correct horse") is False

    assert "damaged" in caplog.text


async def test_a_machine_without_memory_for_a_hash_is_overloaded():
    hasher = Argon2Hasher(memory_kib=2**31, passes=1, threads=1)

    with pytest.raises(OverloadedError) as caught:
        await hasher.hash("correct horse")
    with pytest.raises(OverloadedError):
        await hasher.verify(None, "correct horse")
    await hasher.close()

    assert caught.value.retry_after_s == 1


async def test_todays_parameters_need_no_rehash_and_others_do(hasher):
    dearer = Argon2Hasher(memory_kib=128, passes=1, threads=1)
    encoded = await hasher.hash("correct horse")
    await dearer.close()

    assert hasher.needs_rehash(encoded) is False
    assert dearer.needs_rehash(encoded) is True
    assert hasher.needs_rehash("not a hash") is True


async def test_as_many_calls_wait_as_are_allowed_and_the_next_is_refused_at_once():
    hasher = Argon2Hasher(**CHEAP, threads=2, waiting=3)
    gate = hold(hasher, 2)

    calls = [asyncio.create_task(hasher.hash("x")) for _ in range(2 + 3)]
    await everybody_waits()
    with pytest.raises(OverloadedError) as caught:
        await hasher.hash("x")
    gate.set()

    assert len(await asyncio.gather(*calls)) == 5
    assert caught.value.retry_after_s == 1
    await hasher.close()


async def test_a_call_is_taken_again_when_the_crowd_is_gone():
    hasher = Argon2Hasher(**CHEAP, threads=1, waiting=0)
    assert await hasher.hash("x")

    gate = hold(hasher, 1)
    call = asyncio.create_task(hasher.hash("x"))
    await everybody_waits()
    with pytest.raises(OverloadedError):
        await hasher.verify(None, "x")
    gate.set()
    await call

    assert await hasher.verify(None, "x") is False
    await hasher.close()


async def test_one_payer_with_many_calls_keeps_nobody_else_out():
    hasher = Argon2Hasher(**CHEAP, threads=1, waiting=2)
    gate = hold(hasher, 1)
    calls = [asyncio.create_task(hasher.hash("x", payer="a")) for _ in range(3)]
    await everybody_waits()

    other = asyncio.create_task(hasher.verify(None, "x", payer="b"))
    await everybody_waits()
    gate.set()

    assert await other is False
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, OverloadedError) for answer in answers] == [False, False, True]
    await hasher.close()


async def test_a_caller_that_is_cancelled_while_waiting_gives_its_place_to_another():
    hasher = Argon2Hasher(**CHEAP, threads=1, waiting=1)
    gate = hold(hasher, 1)
    first = asyncio.create_task(hasher.hash("x"))
    waiting = asyncio.create_task(hasher.hash("x"))
    await everybody_waits()

    waiting.cancel()
    await everybody_waits()
    next_one = asyncio.create_task(hasher.hash("x"))
    await everybody_waits()
    assert not next_one.done()
    gate.set()

    assert await first
    assert await next_one
    await hasher.close()


async def test_what_a_thread_has_begun_keeps_the_thread_when_its_caller_is_cancelled():
    hasher = Argon2Hasher(**CHEAP, threads=1, waiting=0)
    gate = hold(hasher, 1)
    begun = asyncio.create_task(hasher.hash("x"))
    await everybody_waits()

    begun.cancel()
    await everybody_waits()
    with pytest.raises(OverloadedError):
        await hasher.hash("x")
    gate.set()
    await hasher.close()

    assert begun.cancelled()


async def test_a_failure_that_nobody_waits_for_any_more_is_silent(caplog):
    hasher = Argon2Hasher(memory_kib=2**31, passes=1, threads=1)
    gate = hold(hasher, 1)
    begun = asyncio.create_task(hasher.hash("x"))
    await everybody_waits()

    begun.cancel()
    gate.set()
    await hasher.close()
    await everybody_waits()

    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_who_waits_at_the_end_is_refused():
    hasher = Argon2Hasher(**CHEAP, threads=1)
    gate = hold(hasher, 1)
    begun = asyncio.create_task(hasher.hash("x"))
    waiting = asyncio.create_task(hasher.hash("x"))
    await everybody_waits()

    closing = asyncio.create_task(hasher.close())
    await everybody_waits()
    gate.set()
    await closing

    assert await begun
    with pytest.raises(OverloadedError):
        await waiting


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
async def test_the_threads_stand_back_behind_the_rest_of_the_process():
    hasher = Argon2Hasher(**CHEAP, threads=1)

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    ours = niceness()
    theirs = await asyncio.wrap_future(hasher._pool.submit(niceness))
    await hasher.close()

    assert theirs == max(ours, 19)
    assert niceness() == ours


async def test_threads_whose_priority_cannot_be_lowered_work_all_the_same(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    hasher = Argon2Hasher(**CHEAP, threads=1)

    assert await hasher.hash("x")
    await hasher.close()


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 2), (64, 2)])
async def test_one_core_stays_free_and_more_than_two_threads_are_never_used(
    cores, threads, monkeypatch
):
    monkeypatch.setattr(argon2, "_cores", lambda: cores)

    hasher = Argon2Hasher(**CHEAP)

    assert hasher._pool._max_workers == threads
    await hasher.close()


@pytest.mark.parametrize(
    ("memory_bytes", "cores", "expected"),
    [
        (4 * GIB, 4, LARGE),
        (4 * GIB - 1, 4, SMALL),
        (4 * GIB, 3, SMALL),
        (1024 * GIB, 1, SMALL),
    ],
)
def test_the_dear_parameters_need_memory_and_cores(memory_bytes, cores, expected):
    assert parameters_for(memory_bytes, cores) is expected


def test_a_container_counts_with_the_memory_that_it_may_use(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text("536870912\n")
    monkeypatch.setattr(argon2, "_CGROUP_LIMIT", limit)
    monkeypatch.setattr(argon2, "_cores", lambda: 64)

    assert argon2._memory_bytes() == 512 * 1024**2
    assert parameters_for_this_machine() is SMALL


@pytest.mark.parametrize("text", ["max\n", None, "9" * 30])
def test_without_a_limit_the_machines_memory_counts(text, tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    if text is not None:
        limit.write_text(text)
    monkeypatch.setattr(argon2, "_CGROUP_LIMIT", limit)

    assert argon2._memory_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


async def test_the_hasher_of_this_machine_has_its_parameters(monkeypatch):
    monkeypatch.setattr(argon2, "parameters_for_this_machine", lambda: SMALL)

    hasher = Argon2Hasher.for_this_machine()

    assert "$m=47104,t=1,p=1$" in await hasher.hash("x")
    await hasher.close()


def hold(hasher: Argon2Hasher, threads: int) -> threading.Event:
    """Keep the hasher's threads busy until the event is set."""
    gate = threading.Event()
    for _ in range(threads):
        hasher._pool.submit(gate.wait, 20)
    return gate


async def everybody_waits() -> None:
    """Let every task run until it waits for a thread."""
    for _ in range(5):
        await asyncio.sleep(0)
