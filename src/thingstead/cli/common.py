"""What the administrative commands share: options, output, errors, and a place to run.

They work on the data folder directly, next to a running server, which notices their changes
within 50 ms.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration, Platform
    from thingstead.settings import Settings

Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., Any])

PRODUCT_ID = click.IntRange(1, 2**31 - 1)
"""What a product's id may be; the database takes no larger number."""
EXIT_REFUSED = 1
EXIT_UNUSABLE = 3


def data_option(command: Command) -> Command:
    """Add `--data DIR`."""
    return click.option(
        "--data",
        help="Data folder (default ./thingstead-data, or THINGSTEAD_DATA).",
    )(command)


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")(
        command
    )


def fail(message: str, code: int = EXIT_REFUSED) -> NoReturn:
    """Print one line to stderr and end with the code."""
    click.echo(f"thingstead: {message}", err=True)
    sys.exit(code)


def print_json(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def settings_from(**flags: object) -> "Settings":
    """Return the settings, or end with a line that says which one is wrong."""
    from thingstead.settings import SettingsError, load_settings

    try:
        return load_settings(flags, os.environ)
    except SettingsError as exc:
        fail(str(exc), 2)


def administer(data: str | None, work: "Callable[[Administration], Awaitable[Result]]") -> "Result":
    """Open the data folder, do the work, close it; refusals become one line on stderr."""
    from thingstead.bootstrap import open_administration

    settings = settings_from(data=data)

    async def run() -> Result:
        async with open_administration(settings) as administration:
            return await work(administration)

    return _finish(run(), settings)


def operate(data: str | None, work: "Callable[[Platform], Awaitable[Result]]") -> "Result":
    """Like `administer`, with values and documents at hand too."""
    from thingstead.bootstrap import open_platform

    settings = settings_from(data=data)

    async def run() -> Result:
        async with open_platform(settings) as platform:
            return await work(platform)

    return _finish(run(), settings)


def _finish(run: Coroutine[Any, Any, Result], settings: "Settings") -> Result:
    from thingstead.kernel.errors import Category, ThingsteadError
    from thingstead.settings import SettingsError

    try:
        return asyncio.run(run)
    except SettingsError as exc:
        fail(str(exc), 2)
    except ThingsteadError as exc:
        unusable = exc.category in {Category.UNAVAILABLE, Category.STORAGE_FULL}
        fail(f"{exc}. {exc.advice}", EXIT_UNUSABLE if unusable else EXIT_REFUSED)
    except OSError as exc:
        fail(f"{settings.data}: {exc.strerror or exc}", EXIT_UNUSABLE)
    except KeyboardInterrupt:
        sys.exit(130)
