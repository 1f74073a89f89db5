"""`thingstead simulate`: a fleet that writes over HTTP to a server, here or elsewhere."""

import asyncio
import json
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thingstead.cli.common import administer, fail, json_option, print_json

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.simulation.http_client import HTTPClient
    from thingstead.simulation.remote import Tally

_PRODUCT_NAME = "Simulated fleet"
_DEFAULT_THINGS = 10
_MOST_CONNECTIONS = 64
_READABLE_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to run: codes are turned into tokens first."""

    url: str
    codes: list[str]
    tokens: list[str]
    seed: int
    speed: float
    duration_s: float


@click.command("simulate")
@click.option("--url", default="http://localhost:8000", show_default=True, help="Server.")
@click.option("--code", "codes", multiple=True, help="Activation code; repeatable.")
@click.option("--codes-file", type=_READABLE_FILE, help="Codes: one a line, or a JSON array.")
@click.option("--token", "tokens", multiple=True, help="Thing token; repeatable.")
@click.option("--tokens-file", type=_READABLE_FILE, help="Tokens: one a line, or a JSON array.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False),
    help="Data folder of the server; the things are made there.",
)
@click.option(
    "--things",
    type=click.IntRange(1, 100_000),
    help=f"How many.  [default: all codes or tokens; {_DEFAULT_THINGS} with --data]",
)
@click.option("--seed", type=int, default=1, show_default=True, help="What they measure.")
@click.option(
    "--speed",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    default=1.0,
    show_default=True,
    help="Simulated seconds in a second.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Seconds to run; 0 runs until Ctrl-C.",
)
@json_option
def simulate_command(
    url: str,
    *,
    codes: tuple[str, ...],
    codes_file: Path | None,
    tokens: tuple[str, ...],
    tokens_file: Path | None,
    data: str | None,
    things: int | None,
    seed: int,
    speed: float,
    duration: float,
    as_json: bool,
) -> None:
    """Write to a server as a fleet of simulated things.

    Name the things by activation codes, by tokens, or by the server's data folder. Things that
    have tokens already keep their names; the others are given names and places. An activation
    code works once, so use tokens or the data folder to run as the same things again.
    """
    sources = [bool(codes), bool(codes_file), bool(tokens), bool(tokens_file), bool(data)]
    if sum(sources) != 1:
        raise click.UsageError(
            "Give one of --code, --codes-file, --token, --tokens-file and --data."
        )
    wanted_codes = list(codes) or _credentials(codes_file, "code")
    wanted_tokens = list(tokens) or _credentials(tokens_file, "token")
    if data is not None:
        wanted_tokens = _tokens_in(data, things or _DEFAULT_THINGS)
    given = len(wanted_codes) + len(wanted_tokens)
    if given == 0:
        raise click.UsageError("The file names no things.")
    if things is not None and things > given:
        raise click.UsageError(f"--things {things} needs as many codes or tokens; {given} given.")
    plan = _Plan(url, wanted_codes[:things], wanted_tokens[:things], seed, speed, duration)
    tally, seconds = _carried_out(plan, is_introduced=not (tokens or tokens_file))
    _report(tally, seconds, as_json=as_json)


def _credentials(file: Path | None, member: str) -> list[str]:
    """Return what the file lists: lines, or a JSON array of texts or of objects with `member`."""
    if file is None:
        return []
    try:
        text = file.read_text("utf-8").strip()
        listed = json.loads(text) if text.startswith(("[", "{")) else text.splitlines()
    except (OSError, ValueError) as exc:
        fail(f"{file}: {exc}")
    credentials = []
    for entry in listed if isinstance(listed, list) else [listed]:
        credential = entry.get(member) if isinstance(entry, dict) else entry
        if not isinstance(credential, str):
            fail(f"{file}: expected a JSON array of texts, or of objects with {member!r}")
        credentials.append(credential.strip())
    return [credential for credential in credentials if credential]


def _tokens_in(data: str, count: int) -> list[str]:
    """Return the tokens of things in the data folder, made where they are missing."""

    async def work(administration: "Administration") -> list[str]:
        from thingstead.simulation.enrolment import product_named, things_of

        product = await product_named(administration.products, _PRODUCT_NAME)
        return [new.token for new in await things_of(administration.things, product.id, count)]

    return administer(data, work)


def _carried_out(plan: _Plan, *, is_introduced: bool) -> "tuple[Tally, float]":
    """Run the plan; return its tally and how many seconds the writing took."""
    from thingstead.simulation.http_client import HTTPClient, NoAnswerError, Origin
    from thingstead.simulation.remote import ActivationRefusedError

    try:
        origin = Origin.of(plan.url)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--url") from exc

    async def run() -> "tuple[Tally, float]":
        things = len(plan.codes) + len(plan.tokens)
        client = HTTPClient(origin, connections=min(things, _MOST_CONNECTIONS))
        try:
            return await _run(plan, client, is_introduced=is_introduced)
        finally:
            client.close()

    try:
        return asyncio.run(run())
    except NoAnswerError as exc:
        fail(f"no server answers at {plan.url}: {exc}")
    except ActivationRefusedError as exc:
        fail(f"activation {exc}")


async def _run(plan: _Plan, client: "HTTPClient", *, is_introduced: bool) -> "tuple[Tally, float]":
    from thingstead.kernel.clock import SystemClock
    from thingstead.simulation.pace import RealPace
    from thingstead.simulation.remote import RemoteFleet, Tally, activate

    stop = _stop_on_signals()
    tally = Tally()
    await client.check()
    tokens = plan.tokens
    if plan.codes:
        tokens = await activate(client, plan.codes, RealPace(SystemClock(), stop), tally)
        if len(tokens) < len(plan.codes):
            reason = tally.last_reason or "stopped while activating"
            click.echo(f"thingstead: {reason}; going on with {len(tokens)} things", err=True)
    begun = time.monotonic()
    pace = RealPace(SystemClock(), stop, speed=plan.speed, duration_s=plan.duration_s)
    progress = asyncio.create_task(_show_progress(tally))
    try:
        fleet = RemoteFleet(client, tokens, pace, tally, seed=plan.seed)
        await fleet.run(is_introduced=is_introduced)
    finally:
        progress.cancel()
        with suppress(asyncio.CancelledError):
            await progress
    return tally, time.monotonic() - begun


def _stop_on_signals() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set; a second Ctrl-C does not wait for answers."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stop


async def _show_progress(tally: "Tally") -> None:
    """Rewrite one line a second on a terminal's stderr, and clear it at the end."""
    if not sys.stderr.isatty():
        return
    before = 0
    try:
        while True:
            await asyncio.sleep(1)
            line = (
                f"{tally.things} things  {tally.values} values"
                f"  {tally.acknowledged - before}/s acknowledged"
                f"  {tally.refused} refused  {tally.failed} failed  {tally.last_reason}"
            )
            before = tally.acknowledged
            click.echo(f"\r{line[:118]}\x1b[K", nl=False, err=True)
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _report(tally: "Tally", seconds: float, *, as_json: bool) -> None:
    """Print the summary; end with 1 when nothing was acknowledged."""
    if as_json:
        print_json(
            {
                "things": tally.things,
                "requests": tally.requests,
                "values": tally.values,
                "acknowledged": tally.acknowledged,
                "refused": tally.refused,
                "failed": tally.failed,
                "seconds": round(seconds, 3),
            }
        )
    else:
        click.echo(
            f"{tally.things} things sent {tally.values} values in {seconds:.1f} s: "
            f"{tally.acknowledged} acknowledged, {tally.refused} refused, {tally.failed} failed."
            + (f" Last reason: {tally.last_reason}" if tally.refused or tally.failed else "")
        )
    if tally.acknowledged == 0:
        fail(f"nothing was acknowledged; {tally.last_reason or 'the run ended too early'}")
