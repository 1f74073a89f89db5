"""Bars that show on a terminal how far something has come; nothing is shown anywhere else."""

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress_bar(
    label: str, *, length: int | None = None, is_silent: bool = False
) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how much more is done; without a length it counts.

    It writes to stderr, so that the answer on stdout stays what it is.
    """
    hidden = is_silent or not sys.stderr.isatty()
    if length is None:
        with click.progressbar(
            itertools.count(), label=label, file=sys.stderr, hidden=hidden, show_pos=True
        ) as counter:
            yield counter.update
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update
