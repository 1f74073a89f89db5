"""One run: everybody begins, the server comes and goes, everybody hears the rest, and it is held
against what was sent.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from e2e.people import new_app, register
from e2e.resume.checks import (
    Heard,
    check_commits,
    check_record,
    check_relays,
    check_session,
    only,
    together,
)
from e2e.resume.client import mqtt_client
from e2e.resume.listeners import (
    Listener,
    LiveListener,
    MQTTListener,
    Record,
    SSEListener,
    shown_object,
)
from e2e.resume.play import Play, Relayed, Sent, shown_of
from e2e.resume.writers import COLLECTION, KEYS, HTTPWriter, MQTTWriter, ObjectWriter
from support.event_stream import event_stream
from support.process import ServerProcess
from support.wire import ask, connect, values
from thingstead.transports.mqtt.codec import Puback, Publish

_BEGIN_S = 30
_END_S = 90


@dataclass(frozen=True)
class Report:
    """What a run did and what was wrong with it."""

    problems: list[str]
    figures: dict[str, int]


async def run_roughly(folder: Path, *, seed: int, seconds: float) -> Report:
    """Run, with a server that comes and goes for so many seconds."""
    play = Play(folder, seed)
    chance = play.chance("server")
    with play.serve() as server:
        await _settle_in(play, server)
        cast = _Cast(play)
        tasks = [asyncio.create_task(one.run()) for one in cast.listeners]
        async with asyncio.timeout(_BEGIN_S):
            await _all(tasks, [one.has_begun.wait() for one in cast.listeners])
        writing = [asyncio.create_task(one.run()) for one in cast.writers]
        until = time.monotonic() + seconds
        await play.upset(server, chance)
    while time.monotonic() < until:
        with play.serve() as server:
            await play.upset(server, chance)
    with play.serve() as server:
        play.is_writing = False
        async with asyncio.timeout(_END_S):
            await asyncio.gather(*writing)
            last = await _write_last(play)
            cast.expect(last)
            play.is_calm = True
            await asyncio.gather(*tasks)
            things = [await _commits(play, number, last[number]) for number in range(3)]
            objects = await _changes(play, last[-1])
        cast.check(things, objects)
        if server.stop() != 0 or "Traceback" in server.logged():
            play.problems.append(f"the server logged: {server.logged()[-2_000:]}")
    return Report(play.problems, cast.figures())


async def _all(tasks: Iterable["asyncio.Task[None]"], waits: Iterable[object]) -> None:
    """Wait for all of them, unless one of the tasks fails before."""
    ready = asyncio.gather(*waits)  # type: ignore[call-overload]
    await asyncio.wait([ready, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
    await ready


async def _settle_in(play: Play, server: ServerProcess) -> None:
    [product] = server.command("product", "list")  # type: ignore[misc]
    words = ("thing", "create", "--product", str(product["id"]))
    made = [server.command(*words)["token"] for _ in range(2)]  # type: ignore[index]
    play.tokens = [server.token, *made]
    user = await register(play.address, new_app(server))
    play.session = user.token
    for token in play.tokens[:2]:
        await user.expect(200, "POST", "/v2/me/things", {"thingToken": token})


class _Cast:
    """Everybody who writes and listens; the user has the first two things."""

    def __init__(self, play: Play) -> None:
        self._play = play
        one, two, three = play.tokens
        session = play.session
        self.writers = [
            HTTPWriter(play, "http 0", 0, day=0),
            HTTPWriter(play, "http 1", 1, day=1),
            HTTPWriter(play, "http 2", 2, day=2),
            HTTPWriter(play, "http 0 again", 0, day=3),
            ObjectWriter(play),
            MQTTWriter(play, "writer 0", 0, 4),
            MQTTWriter(play, "writer 1", 1, 5),
            MQTTWriter(play, "writer 2", 2, 4, qos=2),
            MQTTWriter(play, "relay 0", 0, 5, relays=True),
            MQTTWriter(play, "relay 1", 1, 4, relays=True),
        ]
        self.streams = {
            "thing 0": SSEListener(play, "sse thing 0", f"/v2/things/{one}"),
            "thing 2": SSEListener(play, "sse thing 2", f"/v2/things/{three}"),
            "a": SSEListener(play, "sse a", "/v2/me/resources/a", session),
            "log": SSEListener(play, "sse log", COLLECTION, session),
        }
        self.user = LiveListener(
            play, "live user", session, "/me/resources/b", "/classes/me/log", "/me/resources/a"
        )
        self.device = LiveListener(play, "live thing 1", two, f"/things/{two}")
        self.sessions = {
            "thing 0": MQTTListener(play, "mqtt 3 thing 0", one, 4, f"v2/things/{one}/#"),
            "thing 1": MQTTListener(
                play, "mqtt 5 thing 1", two, 5, f"v2/things/{two}", f"v2/things/{two}/cmd"
            ),
            "c": MQTTListener(play, "mqtt 5 c", two, 5, f"v2/things/{two}/resources/c"),
            "a": MQTTListener(play, "mqtt 5 a", session, 5, "v2/me/resources/a"),
        }
        self.listeners: list[Listener] = [
            *self.streams.values(),
            self.user,
            self.device,
            *self.sessions.values(),
        ]

    def expect(self, last: "list[dict[str, int]]") -> None:
        """Have everybody wait for what was written last: by thing, passed on, and as object."""
        zero, one, two, objects = last
        streams, sessions = self.streams, self.sessions
        of_keys = [{each[key] for key in KEYS} for each in (zero, one, two)]
        log, a, b = {objects["log"]}, {zero["a"], one["a"]}, {zero["b"], one["b"]}
        streams["thing 0"].last = lambda: of_keys[0]
        streams["thing 2"].last = lambda: of_keys[2]
        streams["a"].last = lambda: a
        streams["log"].last = lambda: log
        self.user.last = {
            "/me/resources/b": lambda: b,
            "/classes/me/log": lambda: log,
            "/me/resources/a": lambda: a,
        }
        [own] = self.device.records
        self.device.last = {own: lambda: of_keys[1]}
        sessions["thing 0"].last = lambda: set(zero.values())
        sessions["thing 1"].last = lambda: set(one.values())
        sessions["c"].last = lambda: {one["c"]}
        sessions["a"].last = lambda: a

    def check(self, things: list[Heard], objects: Heard) -> None:
        """Note everything that is wrong."""
        play = self._play
        check_commits(play, things, objects)
        users = together(*things[:2])
        due = {
            "thing 0": things[0],
            "thing 2": things[2],
            "a": only(users, "a"),
            "log": objects,
        }
        for name, stream in self.streams.items():
            check_record(play, stream.record, due[name])
        records = self.user.records
        check_record(play, records["/me/resources/a"], only(users, "a"))
        check_record(play, records["/me/resources/b"], only(users, "b"))
        check_record(play, records["/classes/me/log"], objects)
        [own] = self.device.records.values()
        check_record(play, own, things[1])
        check_session(play, self.sessions["thing 0"], things[0])
        check_session(play, self.sessions["thing 1"], things[1])
        check_session(play, self.sessions["c"], only(things[1], "c"))
        check_session(play, self.sessions["a"], only(users, "a"))
        check_relays(play, self.sessions["thing 0"], 0)
        check_relays(play, self.sessions["thing 1"], 1)

    def figures(self) -> dict[str, int]:
        """How much there was of everything."""
        play = self._play
        records = [stream.record for stream in self.streams.values()]
        records += [*self.user.records.values(), *self.device.records.values()]
        sessions = self.sessions.values()
        return {
            "kills": len(play.kills),
            "stops": play.stops,
            "writes": len(play.writes),
            "acknowledged": sum(one.is_acknowledged for one in play.writes),
            "objects": len(play.objects),
            "passed on": len(play.relayed),
            "heard with cursors": sum(len(one.heard) for one in records),
            "heard by sessions": sum(len(one.heard) + len(one.relays) for one in sessions),
            "heard again by sessions": sum(one.repeats for one in sessions),
            "connections of listeners": sum(one.connections for one in self.listeners),
        }


async def _write_last(play: Play) -> list[dict[str, int]]:
    """Write on every road once more; the numbers by thing and key, and of the object."""
    written: list[dict[str, int]] = []
    for thing, token in enumerate(play.tokens):
        numbers = {key: next(play.numbers) for key in KEYS}
        got = await ask(play.address, "POST", f"/v2/things/{token}", values(*numbers.items()))
        assert got.status == 201, got.body
        play.writes.append(Sent(thing, tuple(numbers.items()), is_acknowledged=True))
        written.append(numbers)
    for thing in range(2):
        written[thing]["cmd"] = await _relay_last(play, thing)
    number = next(play.numbers)
    async with connect(play.address) as wire:
        assert await ObjectWriter(play).write(wire, number)
    return [*written, {"log": number}]


async def _relay_last(play: Play, thing: int) -> int:
    number, now = next(play.numbers), time.monotonic()
    token = play.tokens[thing]
    async with mqtt_client(play.mqtt_port, 5, client_id=f"last {thing}", token=token) as client:
        await client.send(Publish(f"v2/things/{token}/cmd", b"%d" % number, 1, packet_id=1))
        assert isinstance(await client.packet(), Puback)
    play.relayed.append(Relayed(thing, number, now, time.monotonic()))
    return number


async def _commits(play: Play, thing: int, last: dict[str, int]) -> Heard:
    """All that was committed of a thing, in order."""
    record = Record(f"all of thing {thing}")
    wanted = {last[key] for key in KEYS}
    target = f"/v2/things/{play.tokens[thing]}"
    async with event_stream(play.address, target, since="v0") as stream:
        while not record.numbers >= wanted:
            event = await stream.next()
            assert event.type == "values", event
            record.add(event.id, shown_of(event.json))
    return record.heard


async def _changes(play: Play, last: dict[str, int]) -> Heard:
    """All changes of the collection, in order."""
    record = Record("all objects")
    session = {"Authorization": play.session}
    async with event_stream(play.address, COLLECTION, session, since="c0") as stream:
        while last["log"] not in record.numbers:
            event = await stream.next()
            assert event.type == "object", event
            record.add(event.id, shown_object(event.json))
    return record.heard
