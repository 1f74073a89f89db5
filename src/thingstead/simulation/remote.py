"""A simulated fleet that writes over HTTP to any server that speaks the v2 API.

Used by `thingstead simulate`. Each thing waits for its own answer before it goes on, as a
device does; a server that is slow makes the fleet late rather than grow a queue.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from thingstead.features.values.model import IncomingWrite
from thingstead.simulation.fleet import Fleet, SimulatedThing
from thingstead.simulation.http_client import Answer, HTTPClient, NoAnswerError
from thingstead.simulation.pace import Pace
from thingstead.simulation.signals import Chance
from thingstead.simulation.writes import introduction, json_body, write_of

_ATTEMPTS: Final = 6
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_TRY_LATER = frozenset({429, 503})


@dataclass(slots=True)
class Tally:
    """What became of a run so far.

    `requests` counts attempts. The others count values: those of finished writes, and of
    these the acknowledged, the refused (an answer other than success) and the failed (no
    answer, so that nobody knows).
    """

    things: int = 0
    requests: int = 0
    values: int = 0
    acknowledged: int = 0
    refused: int = 0
    failed: int = 0
    last_reason: str = ""


class ActivationRefusedError(Exception):
    """No activation code was accepted; the text has the server's reason."""


async def activate(client: HTTPClient, codes: Sequence[str], pace: Pace, tally: Tally) -> list[str]:
    """Return the tokens of things made with the codes, in order.

    Stops at a refused code, and when the pace ends the run.

    Raises:
        ActivationRefusedError: the very first code was refused.
        NoAnswerError: the server did not answer.
    """
    tokens: list[str] = []
    for code in codes:
        if not await pace.pause(0):
            break
        sender = _Sender(client, pace, tally, Chance(f"activation/{len(tokens)}"))
        answer = await sender.answered("/v2/things", {"activationCode": code}, may_repeat=False)
        token = _member(answer, "thingToken")
        if answer.status not in {200, 201} or not token:
            reason = f"code {len(tokens) + 1} of {len(codes)} was refused: {_reason(answer)}"
            if not tokens:
                raise ActivationRefusedError(reason)
            tally.last_reason = reason
            break
        tokens.append(token)
    return tokens


class RemoteFleet:
    """Things that write with the tokens given, one thing a token."""

    def __init__(
        self, client: HTTPClient, tokens: Sequence[str], pace: Pace, tally: Tally, *, seed: int
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._pace = pace
        self._tally = tally
        self._seed = seed

    async def run(self, *, is_introduced: bool) -> None:
        """Write until the pace ends the run, or until no thing's token is accepted.

        With `is_introduced` each thing sets its name, settings and place first.
        """
        things = Fleet(self._seed, len(self._tokens)).things
        self._tally.things = len(things)
        async with asyncio.TaskGroup() as group:
            for simulated, token in zip(things, self._tokens, strict=True):
                group.create_task(self._live(simulated, token, is_introduced=is_introduced))

    async def _live(self, thing: SimulatedThing, token: str, *, is_introduced: bool) -> None:
        chance = Chance(f"{self._seed}/{thing.number}/retries")
        writer = _Writer(_Sender(self._client, self._pace, self._tally, chance), token)
        if is_introduced:
            await writer.write(introduction(thing), may_repeat=True)
        transmission = thing.greeting(self._pace.start_ms())
        while True:
            for batch in transmission.batches:
                write = write_of(batch, self._pace.real_ms)
                await writer.write(write, may_repeat=batch.is_dated)
            transmission = thing.next(transmission.at_ms)
            if not writer.is_known or not await self._pace.until(transmission.at_ms):
                return


class _Writer:
    """Writes as one thing and keeps the tally of it."""

    def __init__(self, sender: "_Sender", token: str) -> None:
        self._sender = sender
        self._path = f"/v2/things/{quote(token, safe='')}"
        self.is_known = True

    async def write(self, write: IncomingWrite, *, may_repeat: bool) -> None:
        """Send the write; `is_known` turns False when the server has no such thing."""
        tally = self._sender.tally
        count = len(write.values)
        if not self.is_known:
            return
        try:
            answer = await self._sender.answered(
                self._path, json_body(write), may_repeat=may_repeat
            )
        except NoAnswerError as error:
            tally.failed += count
            tally.last_reason = str(error)
        else:
            if answer.status in {200, 201}:
                tally.acknowledged += count
            else:
                tally.refused += count
                tally.last_reason = _reason(answer)
                self.is_known = answer.status not in {401, 403, 404}
        tally.values += count


class _Sender:
    """Sends one request until it is answered, or until it is no use to go on."""

    def __init__(self, client: HTTPClient, pace: Pace, tally: Tally, chance: Chance) -> None:
        self._client = client
        self._pace = pace
        self._chance = chance
        self.tally = tally

    async def answered(self, path: str, body: object, *, may_repeat: bool) -> Answer:
        """Return the answer that settles the request.

        429 and 503 say that nothing was stored, so the request is repeated. When no answer
        came, that is unknown: it is repeated only where a second storing does no harm
        (`may_repeat`), or when the request never left.

        Raises:
            NoAnswerError: there was none, in the last attempt.
        """
        encoded = json.dumps(body, separators=(",", ":")).encode()
        for attempt in range(_ATTEMPTS):
            is_last = attempt == _ATTEMPTS - 1
            self.tally.requests += 1
            try:
                answer = await self._client.post(path, encoded)
            except NoAnswerError as error:
                self.tally.last_reason = str(error)
                if error.was_sent and not may_repeat:
                    raise
                if is_last or not await self._pace.pause(self._wait_s(attempt)):
                    raise
                continue
            if answer.status not in _TRY_LATER or is_last:
                return answer
            self.tally.last_reason = _reason(answer)
            if not await self._pace.pause(self._wait_s(attempt, _retry_after_s(answer))):
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _wait_s(self, attempt: int, least_s: float = 0.0) -> float:
        """Return a wait that grows with the attempts, spread so that things do not march."""
        backoff_s = _FIRST_WAIT_S * (1 << attempt) * self._chance.between(0.5, 1.5, attempt)
        return max(least_s, min(backoff_s, _LONGEST_WAIT_S))


def _retry_after_s(answer: Answer) -> float:
    """Return the seconds that the server asks for; its form with a date is not used here."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), 3_600.0) if text.isascii() and text.isdecimal() else 0.0


def _reason(answer: Answer) -> str:
    message = _member(answer, "message")
    return f"{answer.status} {message}".strip()


def _member(answer: Answer, name: str) -> str:
    """Return a text member of the answer's JSON object, or nothing."""
    try:
        decoded = json.loads(answer.body)
    except ValueError:
        return ""
    member = decoded.get(name) if isinstance(decoded, dict) else None
    return member if isinstance(member, str) else ""
