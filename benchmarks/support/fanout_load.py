"""A process with one writer and many subscribers of one thing, all on one loop.

Reads one JSON object from the file that is named (`Asked`). Everything that is written must
come to every subscriber once: all of them count, and some have a witness who looks at every
number. First the writer writes as fast as it is answered, then by the clock. Prints a line when
each measured phase begins and ends, so that the server's processor time can be read then, and
at last one JSON object. Writer and subscribers share one clock, and a client that falls behind
holds its own writer back.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from support.fanout_writers import HTTPWriter, Ledger, MQTTWriter, Witness, Writer
from support.mqtt_load import cpu_s
from support.subscribers import KINDS, MQTTSubscriber, Subscriber, open_subscriber

_WARM_UP_S = 1.0
_DRAIN_S = 20.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done; `writer` is "mqtt" or "http"."""

    kind: str
    token: str
    port: int
    mqtt_port: int
    subscribers: int
    witnesses: int
    writer: str
    in_flight: int
    seconds: float
    calm_per_s: float


@dataclass(slots=True)
class Rig:
    """Who takes part."""

    ledger: Ledger
    writer: Writer
    subscribers: list[Subscriber]
    witnesses: list[Witness]

    def delivered(self) -> int:
        """Return how many documents came in all."""
        return sum(one.documents for one in self.subscribers)

    def taken(self) -> dict[str, float]:
        """Return percentiles of how long the documents took that witnesses saw; forgets them."""
        ordered = sorted(taken * 1e3 for one in self.witnesses for taken in one.taken_s) or [0.0]
        for one in self.witnesses:
            one.taken_s.clear()
        return {
            "p50_ms": ordered[len(ordered) // 2],
            "p99_ms": ordered[int(len(ordered) * 0.99)],
            "p999_ms": ordered[int(len(ordered) * 0.999)],
            "longest_ms": ordered[-1],
        }


async def load(asked: Asked) -> None:
    """Measure both phases, and print what came of it."""
    rig = await _open(asked)
    gc.collect()
    gc.freeze()
    rig.writer.saturate(asked.in_flight)
    await asyncio.sleep(_WARM_UP_S)
    saturated = await _saturation(rig, asked.seconds)
    await _drain(rig)
    rig.taken()
    calm = await _calm(rig, asked)
    await _drain(rig)
    calm |= rig.taken()
    _tell(
        {
            "saturated": saturated,
            "calm": calm,
            "written": len(rig.ledger.due),
            "acknowledged": rig.ledger.acknowledged,
            "problems": _problems(rig),
        }
    )


async def _open(asked: Asked) -> Rig:
    ledger = Ledger()
    is_mqtt = asked.kind == MQTTSubscriber.name
    subscribers = [
        await open_subscriber(
            asked.kind, asked.token, number, port=asked.mqtt_port if is_mqtt else asked.port
        )
        for number in range(asked.subscribers)
    ]
    # Those that were opened first are served first, so witnesses stand everywhere.
    witnesses = [Witness(ledger) for _ in range(min(asked.witnesses, asked.subscribers))]
    for at, witness in enumerate(witnesses):
        subscribers[at * asked.subscribers // len(witnesses)].witness = witness
    writer: Writer
    if asked.writer == "mqtt":
        writer = MQTTWriter(ledger)
        await writer.open(asked.mqtt_port, asked.token)
    else:
        writer = HTTPWriter(ledger, asked.in_flight)
        await writer.open(asked.port, asked.token)
    return Rig(ledger, writer, subscribers, witnesses)


async def _saturation(rig: Rig, seconds: float) -> dict[str, float]:
    """Count for so long while the writer goes on, then stop it."""
    rig.taken()
    _tell({"begin": "saturated"})
    cpu, delivered, written = cpu_s(), rig.delivered(), rig.ledger.acknowledged
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    taken_s = time.monotonic() - begun
    delivered = rig.delivered() - delivered
    written = rig.ledger.acknowledged - written
    cpu = cpu_s() - cpu
    _tell({"end": "saturated"})
    rig.ledger.is_saturating = False
    return {
        "delivered": delivered,
        "written": written,
        "seconds": taken_s,
        "client_cpu_s": cpu,
        **rig.taken(),
    }


async def _calm(rig: Rig, asked: Asked) -> dict[str, float]:
    """Write by the clock: a write's time counts from when it was due."""
    _tell({"begin": "calm"})
    cpu, delivered = cpu_s(), rig.delivered()
    begun = time.monotonic()
    for number in range(round(asked.seconds * asked.calm_per_s)):
        due = begun + number / asked.calm_per_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        rig.writer.write(due)
    taken_s = time.monotonic() - begun
    cpu = cpu_s() - cpu
    _tell({"end": "calm"})
    return {
        "delivered": rig.delivered() - delivered,
        "seconds": taken_s,
        "client_cpu_s": cpu,
    }


async def _drain(rig: Rig) -> None:
    """Wait until everything written has come to everybody, or it never will."""
    wanted = len(rig.subscribers)
    end = time.monotonic() + _DRAIN_S
    while time.monotonic() < end:
        written = len(rig.ledger.due)
        is_answered = rig.ledger.acknowledged >= written
        if is_answered and rig.delivered() >= wanted * written:
            return
        await asyncio.sleep(_LOOK_S)


def _problems(rig: Rig) -> list[str]:
    """Return what makes the figures worthless."""
    written = len(rig.ledger.due)
    problems = []
    lost = sum(one.lost.done() for one in rig.subscribers)
    if lost:
        problems.append(f"{lost} subscribers were sent away")
    if rig.ledger.acknowledged != written:
        problems.append(f"{written} writes sent, {rig.ledger.acknowledged} acknowledged")
    wrong = [one.documents for one in rig.subscribers if one.documents != written]
    if wrong:
        problems.append(
            f"{written} writes, but {len(wrong)} subscribers counted between {min(wrong)} and"
            f" {max(wrong)}"
        )
    seen = [one.problem(is_ordered=rig.writer.is_ordered) for one in rig.witnesses]
    return problems + sorted({problem for problem in seen if problem is not None})


def _tell(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    asked = Asked(**json.loads(Path(sys.argv[1]).read_text()))
    if asked.kind not in KINDS:
        sys.exit(f"{asked.kind!r} is none of {', '.join(KINDS)}")
    uvloop.run(load(asked))


if __name__ == "__main__":
    main()
