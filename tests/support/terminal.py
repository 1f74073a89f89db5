"""`thingstead` as somebody at a terminal runs it."""

import errno
import os
import pty
import selectors
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from support.process import PATIENCE_SECONDS, PROGRAM, environment

_COLUMNS = {"COLUMNS": "100"}


@dataclass
class Seen:
    """What a command did that was run at a terminal."""

    code: int
    out: str
    """What it wrote to stdout, which is no terminal."""
    screen: str
    """What it wrote to stderr, and what was typed as far as it was shown."""


def run_at_terminal(
    *words: str, answers: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
) -> Seen:
    """A command whose stdin and stderr are a terminal.

    `answers`: what is typed once each text stands on the screen, in order.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *words],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(dict(env or {}) | _COLUMNS),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            screen = _conversation(ours, dict(answers or {}))
            assert process.stdout is not None
            out = process.stdout.read().decode("utf-8")
            return Seen(process.wait(PATIENCE_SECONDS), out, screen)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(ours)


def _conversation(terminal: int, answers: dict[str, str]) -> str:
    """Type each answer when its question stands there; return the screen at the end."""
    screen = ""
    until = time.monotonic() + PATIENCE_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(terminal, selectors.EVENT_READ)
        while True:
            assert selector.select(until - time.monotonic()), f"nothing more came: {screen}"
            try:
                piece = os.read(terminal, 65_536)
            except OSError as exc:
                if exc.errno != errno.EIO:
                    raise
                # Linux says so when the last writer of a terminal has gone.
                return screen
            if not piece:
                return screen
            screen += piece.decode("utf-8", "replace")
            for question in [one for one in answers if one in screen]:
                os.write(terminal, f"{answers.pop(question)}\n".encode())
