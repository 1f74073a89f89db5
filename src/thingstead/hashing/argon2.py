"""Password hashes with Argon2id (RFC 9106): the `PasswordHasher` of `features/users/passwords.py`.

Each hash fills tens of megabytes of memory and takes a good part of a core, so the threads
are few, may be counted, and stand behind everything else that the machine has to do. Knows
no user, no store and no setting.
"""

import asyncio
import base64
import logging
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from thingstead.hashing.turns import FairTurns
from thingstead.kernel.errors import OverloadedError

if TYPE_CHECKING:
    import argon2

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_MIB_IN_KIB = 1_024
_GIB = 1_024**3
_MOST_THREADS = 2
_SALT_BYTES = 16
_HASH_BYTES = 32
_ARGON2_VERSION = 19
_NO_MEMORY = -22  # ARGON2_MEMORY_ALLOCATION_ERROR of argon2.h
# On one core, p99 of writes beside 50 log-ins was 2.2 times that without them at 10, and 1.8
# times at 19 (benchmarks/README.md, log-ins); a log-in takes as long either way.
_NICENESS = 19
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Argon2Parameters:
    """What one hash costs: memory, passes over it, and lanes that share the work."""

    memory_kib: int
    passes: int
    lanes: int = 1


# The choices of `security.md` 6, measured on the development machine: 42 ms for the small one.
SMALL = Argon2Parameters(memory_kib=46 * _MIB_IN_KIB, passes=1)
LARGE = Argon2Parameters(memory_kib=64 * _MIB_IN_KIB, passes=3)


def parameters_for(memory_bytes: int, cores: int) -> Argon2Parameters:
    """Return what a machine of that size can spend on one hash.

    The large parameters take three times as long. That is well spent where memory and cores
    are plenty. On a small machine the same time is taken from the devices' writes, and a
    handful of log-ins at once would hold all of its cores.
    """
    return LARGE if memory_bytes >= 4 * _GIB and cores >= 4 else SMALL


def parameters_for_this_machine() -> Argon2Parameters:
    """Return the parameters for the memory and the cores that this process may use."""
    return parameters_for(_memory_bytes(), _cores())


class Argon2Hasher:
    """Hashes and verifies in threads of its own; used on one event loop, closed by its owner.

    `waiting` calls may wait for a thread, and those that pay for them take turns (`turns.py`).
    A caller that is cancelled while waiting leaves at once; what a thread has begun keeps the
    thread until it is finished.

    Known limit: the check for an account that does not exist costs what a hash with today's
    parameters costs. On a machine whose parameters have changed, accounts keep their older
    ones until their next log-in, and until then the time of a check tells them apart.
    """

    def __init__(
        self,
        memory_kib: int,
        passes: int,
        *,
        lanes: int = 1,
        threads: int | None = None,
        waiting: int = 32,
    ) -> None:
        self._parameters = Argon2Parameters(memory_kib, passes, lanes)
        threads = max(1, min(_MOST_THREADS, _cores() - 1)) if threads is None else threads
        # Callers wait here and not in the pool's queue, which cancelled calls would fill.
        self._turns = FairTurns(threads, waiting)
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="thingstead-passwords", initializer=_stand_back
        )
        # No password has this hash, and verifying one against it costs what any other costs.
        self._nobodys = _random_encoded(self._parameters)
        self._made_hasher: argon2.PasswordHasher | None = None

    @classmethod
    def for_this_machine(cls) -> "Argon2Hasher":
        """Return a hasher with the parameters that fit this machine."""
        parameters = parameters_for_this_machine()
        return cls(parameters.memory_kib, parameters.passes, lanes=parameters.lanes)

    async def hash(self, password: str, *, payer: str = "") -> str:
        """Return the encoded hash, with its parameters and its salt.

        `payer` is for whom it is done, such as a client's address.

        Raises:
            OverloadedError: too many calls wait, or there is no memory for a hash.
        """
        return await self._run(lambda: self._hash(password), payer)

    async def verify(self, encoded: str | None, password: str, *, payer: str = "") -> bool:
        """Return whether the password is the one that was hashed.

        None, for an account that does not exist, costs as much time and is never right.
        `payer` is for whom it is done, such as a client's address.

        Raises:
            OverloadedError: too many calls wait, or there is no memory for a hash.
        """
        against = self._nobodys if encoded is None else encoded
        return await self._run(lambda: self._verify(against, password), payer)

    def needs_rehash(self, encoded: str) -> bool:
        """Return whether the hash was made with other parameters than today's."""
        from argon2.exceptions import InvalidHashError  # noqa: PLC0415

        try:
            return self._hasher().check_needs_rehash(encoded)
        except InvalidHashError:
            return True

    async def close(self) -> None:
        """Finish what the threads have begun, refuse who waits, and end the threads."""
        self._turns.close()
        await asyncio.to_thread(self._pool.shutdown)

    async def _run(self, work: Callable[[], Result], payer: str) -> Result:
        await self._turns.take(payer)
        if self._turns.is_closed:
            self._turns.give_back()
            raise OverloadedError("the server is stopping", retry_after_s=1)
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        running.add_done_callback(lambda _: self._turns.give_back())
        # A thread cannot be stopped: its place is free when it is done, not when nobody waits.
        return await asyncio.shield(running)

    def _hash(self, password: str) -> str:
        from argon2.exceptions import HashingError  # noqa: PLC0415

        try:
            return self._hasher().hash(_as_bytes(password))
        except HashingError as exc:
            _log.warning("a password could not be hashed: %s", exc)
            raise OverloadedError("no memory for a password's hash", retry_after_s=1) from exc

    def _verify(self, encoded: str, password: str) -> bool:
        from argon2.exceptions import (  # noqa: PLC0415
            InvalidHashError,
            VerificationError,
            VerifyMismatchError,
        )
        from argon2.low_level import error_to_str  # noqa: PLC0415

        try:
            return self._hasher().verify(encoded, _as_bytes(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as exc:
            if str(exc) == error_to_str(_NO_MEMORY):
                _log.warning("a password could not be checked: %s", exc)
                raise OverloadedError("no memory for a password's hash", retry_after_s=1) from exc
            _log.warning("a stored password hash is damaged; nobody can log in with it")
            return False

    def _hasher(self) -> "argon2.PasswordHasher":
        """Return the library's hasher, made at first use: a server without users needs none."""
        if self._made_hasher is None:
            import argon2  # noqa: PLC0415

            self._made_hasher = argon2.PasswordHasher(
                time_cost=self._parameters.passes,
                memory_cost=self._parameters.memory_kib,
                parallelism=self._parameters.lanes,
                hash_len=_HASH_BYTES,
                salt_len=_SALT_BYTES,
                type=argon2.Type.ID,
            )
        return self._made_hasher


def _as_bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _random_encoded(parameters: Argon2Parameters) -> str:
    """Return random bytes in the form of a hash, without the work of one."""
    salt, result = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode("ascii")
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    cost = f"m={parameters.memory_kib},t={parameters.passes},p={parameters.lanes}"
    return f"$argon2id$v={_ARGON2_VERSION}${cost}${salt}${result}"


def _stand_back() -> None:
    """Lower the calling thread's priority, where threads have one of their own.

    Somebody who tries passwords must not hold up the writes of devices: both want the same
    cores, and a log-in that takes longer is noticed by nobody. Elsewhere than on Linux the
    call would change another process or this whole one.
    """
    if sys.platform == "linux":
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        except OSError as error:
            _log.debug("the priority of a password thread stays as it is: %s", error)


def _cores() -> int:
    """Return how many cores this process may use, or there are where that is not told."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _memory_bytes() -> int:
    """Return the memory of the machine, or of the container where that is less."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        allowed = _CGROUP_LIMIT.read_text("ascii").strip()
    except OSError:
        return installed
    return min(installed, int(allowed)) if allowed.isdecimal() else installed
