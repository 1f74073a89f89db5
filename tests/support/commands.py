"""Commands of `thingstead` run in this process, which takes a fiftieth of the time.

They open the data folder next to the server's process as any other process would. What only
`python -m thingstead` shows (signals, terminals, standard input) is tested with `process.py`,
whose names these have.
"""

import gc
import json
import os
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from subprocess import CompletedProcess

from click.testing import CliRunner, Result

from support.process import OFF, PATIENCE_SECONDS, ServerProcess
from thingstead.cli.main import cli

_USAGE = 2


def run(*words: str, env: Mapping[str, str] | None = None) -> CompletedProcess[str]:
    """A command that ended by itself; an exception that it did not expect is raised here."""
    ours = {name: None for name in os.environ if name.startswith("THINGSTEAD_")}
    results: list[Result] = []

    def invoke() -> None:
        results.append(CliRunner().invoke(cli, words, env={**ours, **OFF, **(env or {})}))

    # The test may have a loop of its own in this thread.
    thread = threading.Thread(target=invoke)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    (result,) = results
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    done = CompletedProcess(list(words), result.exit_code, result.stdout, result.stderr)
    if result.exit_code == _USAGE:
        results.clear()
        del result
        _forget_open_files()
    return done


def _forget_open_files() -> None:
    """Close what click opened before it met a wrong option: it leaves that to the process's end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def command(*words: str, env: Mapping[str, str] | None = None) -> object:
    """What a command prints as JSON; it must succeed."""
    done = run(*words, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def beside(server: ServerProcess, *words: str) -> object:
    """What a command beside the running server prints as JSON; see `ServerProcess.command`."""
    options = ("--data", str(server.folder), "--json")
    return command(*words[:2], *options, *words[2:], env=server.settings)


async def comes(look: Callable[[], Awaitable[object]], wanted: object) -> bool:
    """Whether a running server comes to show what is wanted: it looks every 50 ms at most.

    A process that has to end first takes longer than that; these commands do not.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while (seen := await look()) != wanted:
        assert time.monotonic() < until, f"{seen} instead of {wanted}"
    return True
