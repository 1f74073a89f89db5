"""Holds what is stored against what was sent: from the file, and through the API."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from e2e.durability.load import Ledger
from support.wire import Address, connect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OURS = re.compile(r"[^:]+:\d+:\d+:\d+:[a-z]+")


@dataclass(frozen=True)
class Findings:
    """What is wrong; all of it empty, and `integrity` "ok", when nothing is."""

    acknowledged: int
    stored: int
    lost: tuple[str, ...]
    invented: tuple[str, ...]
    duplicates: tuple[str, ...]
    halves: tuple[str, ...]
    misplaced: tuple[str, ...]
    integrity: str

    @property
    def problems(self) -> dict[str, object]:
        found: dict[str, object] = {
            name: getattr(self, name)[:10]
            for name in ("lost", "invented", "duplicates", "halves", "misplaced")
            if getattr(self, name)
        }
        return found if self.integrity == "ok" else found | {"integrity": self.integrity}


def check_file(folder: Path, ledger: Ledger) -> Findings:
    """Compare the ledger with `values.db`, opened for reading only."""
    uri = f"{(folder / 'values.db').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
        rows = database.execute(
            "SELECT s.key, v.value, v.at_ms FROM value v JOIN series s ON s.id = v.series_id"
        ).fetchall()
    return compare(rows, ledger, integrity)


def compare(
    rows: Iterable[tuple[str, object, int]], ledger: Ledger, integrity: str = "ok"
) -> Findings:
    """Compare rows of key, value and time in milliseconds with the ledger."""
    kept = [row for row in rows if isinstance(row[1], str) and _OURS.fullmatch(row[1])]
    found = Counter(str(text) for _, text, _ in kept)
    wanted = {text: (key, at) for sent in ledger.sent for key, text, at in sent.values}
    acknowledged = {text for sent in ledger.acknowledged for text in sent.texts}
    return Findings(
        acknowledged=len(acknowledged),
        stored=len(found),
        lost=tuple(sorted(acknowledged - found.keys())),
        invented=tuple(sorted(found.keys() - wanted.keys())),
        duplicates=tuple(sorted(text for text, count in found.items() if count > 1)),
        halves=tuple(
            sorted(
                min(sent.texts)
                for sent in ledger.sent
                if 0 < len(sent.texts & found.keys()) < len(sent.texts)
            )
        ),
        misplaced=tuple(
            sorted(
                str(text)
                for key, text, at_ms in kept
                if text in wanted and not _fits(wanted[str(text)], key, at_ms)
            )
        ),
        integrity=integrity,
    )


def _fits(wanted: tuple[str, str | None], key: str, at_ms: int) -> bool:
    wanted_key, at = wanted
    return key == wanted_key and (at is None or _ms(at) == at_ms)


def _ms(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


async def read_back(address: Address, tokens: Iterable[str]) -> list[tuple[str, object, int]]:
    """Return every value of the things, read in pages of 100 backwards by endDate."""
    rows: list[tuple[str, object, int]] = []
    async with connect(address) as wire:
        for token in tokens:
            names = await wire.ask("GET", f"/v2/things/{token}/resources")
            for key in names.json["resources"]:
                seen: dict[object, tuple[str, object, int]] = {}
                end = ""
                while True:
                    got = await wire.ask(
                        "GET", f"/v2/things/{token}/resources/{key}?limit=100{end}"
                    )
                    page = [(key, item["value"], _ms(item["datetime"])) for item in got.json]
                    fresh = {row[1]: row for row in page if row[1] not in seen}
                    if not fresh:
                        break
                    seen |= fresh
                    # The end is exclusive; the last millisecond of a page may go on behind it.
                    oldest = _EPOCH + timedelta(milliseconds=page[-1][2] + 1)
                    end = f"&endDate={oldest:%Y-%m-%dT%H:%M:%S.%f}Z"
                rows += seen.values()
    return rows
