"""What the rows of a folder must say after what devices were told; they only ever go on."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from e2e.firmware.devices import Come, Device

_COME = {
    "offered": Come.OFFERED,
    "downloading": Come.BEGUN,
    "downloaded": Come.DOWNLOADED,
    "reported": Come.REPORTED,
    "succeeded": Come.REPORTED,
}
_LAST_ENTRY = {
    "waiting": "joined",
    "offered": "offered",
    "downloading": "begun",
    "downloaded": "downloaded",
    "reported": "reported",
    "succeeded": "succeeded",
    "failed": "failed",
}


@dataclass(frozen=True)
class Rows:
    """Of a campaign that lists every thing; things by their ids."""

    campaign: tuple[str, int]
    """Its state and how far its rings are open."""
    updates: dict[str, tuple[int, str, int, int]]
    """Action, state, failures and ring."""
    timelines: dict[str, list[tuple[int, str]]]

    @property
    def succeeded(self) -> int:
        return [state for _, state, _, _ in self.updates.values()].count("succeeded")


def read_rows(folder: Path) -> Rows:
    with closing(sqlite3.connect(folder / "core.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [campaign] = database.execute("SELECT state, open_ring FROM campaign").fetchall()
        found = database.execute(
            "SELECT thing_id, action, state, failures, ring FROM firmware_update"
        ).fetchall()
        entries = database.execute(
            "SELECT thing_id, number, kind FROM firmware_event ORDER BY thing_id, number"
        ).fetchall()
    updates = {thing: (action, *rest) for thing, action, *rest in found}
    assert len(updates) == len(found), "a thing has two updates to one image"
    timelines: dict[str, list[tuple[int, str]]] = {thing: [] for thing in updates}
    for thing, number, kind in entries:
        timelines[thing].append((number, kind))
    return Rows(campaign, updates, timelines)


@dataclass
class Watcher:
    """Compares each life's rows with the devices, and with those of the life before."""

    devices: Sequence[Device]
    before: Rows
    seen_states: set[str] = field(default_factory=set)

    def check(self, now: Rows) -> None:
        before, self.before = self.before, now
        assert now.campaign[0] in {"running", "finished"}
        assert now.campaign[1] >= before.campaign[1], "a ring was closed again"
        assert now.succeeded >= before.succeeded
        assert now.updates.keys() == {device.id for device in self.devices}
        for device in self.devices:
            self._check(device, before, now)

    def _check(self, device: Device, before: Rows, now: Rows) -> None:
        action, state, failures, ring = now.updates[device.id]
        timeline = now.timelines[device.id]
        kinds = [kind for _, kind in timeline]
        self.seen_states.add(state)
        assert (action, ring) == (before.updates[device.id][0], before.updates[device.id][3])
        earlier = before.timelines[device.id]
        assert timeline[: len(earlier)] == earlier, "entries of the timeline were lost"
        assert all(one != next_one for one, next_one in pairwise(kinds)), kinds
        assert device.told <= set(kinds), (device.told, kinds)
        assert _COME.get(state, Come.NOWHERE) >= device.come, (state, device.come, kinds)
        assert kinds[-1] == _LAST_ENTRY[state]
        assert failures == kinds.count("failed")
        assert device.failures <= failures <= device.failures + device.doubtful_failures
        assert state == "waiting" or ring <= now.campaign[1], "its ring is not open"
