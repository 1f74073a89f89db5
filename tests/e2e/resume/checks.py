"""Holds what was heard against what was sent, and against the order of commits.

That order is what one listener reads who asks for all of it at the end.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from e2e.resume.listeners import MQTTListener, Record
from e2e.resume.play import Play, Shown, numbers_of

Heard = list[tuple[int, Shown]]
# A server that is killed so soon after a connection was cut may not have noticed that it was.
_UNNOTICED_S = 1.0
_SHOWN = 3


def only(heard: Heard, key: str) -> Heard:
    """What a stream of one resource shows of it."""
    kept = [(place, tuple(one for one in shown if one[0] == key)) for place, shown in heard]
    return [one for one in kept if one[1]]


def together(*streams: Heard) -> Heard:
    """Several things' events in the order of their commits."""
    return sorted((one for stream in streams for one in stream), key=lambda one: one[0])


def check_commits(play: Play, things: Sequence[Heard], objects: Heard) -> None:
    """What was acknowledged was committed once and whole; nothing else was committed."""
    for number, heard in enumerate(things):
        sent = {one.shown: one for one in play.writes if one.thing == number}
        found = Counter(shown for _, shown in heard)
        lost = [s for s, one in sent.items() if one.is_acknowledged and not found[s]]
        _complain(play, f"thing {number}: acknowledged and lost", lost)
        _complain(play, f"thing {number}: stored twice", [s for s, n in found.items() if n > 1])
        _complain(play, f"thing {number}: never sent so", found.keys() - sent.keys())
    counted = Counter(numbers_of(shown)[0] for _, shown in objects)
    lost_objects = [n for n, is_told in play.objects.items() if is_told and not counted[n]]
    _complain(play, "objects: acknowledged and lost", lost_objects)
    _complain(play, "objects: told twice", [n for n, count in counted.items() if count > 1])
    _complain(play, "objects: never sent", counted.keys() - play.objects.keys())


def check_record(play: Play, record: Record, commits: Heard) -> None:
    """All that was committed behind its start was heard once, in that order."""
    due = [one for one in commits if one[0] > record.start]
    if record.heard == due:
        return
    places = Counter(place for place, _ in record.heard)
    missed = [one for one in due if one[0] not in places]
    name = record.name
    _complain(play, f"{name}: missed", missed)
    _complain(play, f"{name}: heard twice", [one for one, n in places.items() if n > 1])
    _complain(play, f"{name}: invented", set(record.heard) - set(due))
    in_order = [place for place, _ in record.heard] == sorted(places)
    if not in_order or not missed:
        play.problems.append(f"{name}: not in the order of commits")


def check_session(play: Play, listener: MQTTListener, commits: Heard) -> None:
    """All that was committed was heard at least once, first in that order."""
    due = [shown for _, shown in commits]
    if listener.heard == due:
        return
    heard = set(listener.heard)
    missed = [shown for shown in due if shown not in heard]
    _complain(play, f"{listener.name}: missed", missed)
    _complain(play, f"{listener.name}: invented", heard - set(due))
    if [shown for shown in due if shown in heard] != listener.heard:
        play.problems.append(f"{listener.name}: first heard in another order than committed")


def check_relays(play: Play, listener: MQTTListener, thing: int) -> None:
    """What was passed on and acknowledged reached the session, in order.

    Not counted is what was on its way to a client that may have been connected when the server
    was killed: it is stored nowhere.
    """
    heard = set(listener.relays)
    sent = [one for one in play.relayed if one.thing == thing]
    lost = [
        one.number
        for one in sent
        if one.acknowledged_at is not None
        and one.number not in heard
        and not _is_excused(play, listener, one.sent_at, one.acknowledged_at)
    ]
    _complain(play, f"{listener.name}: passed on and lost", lost)
    _complain(play, f"{listener.name}: invented", heard - {one.number for one in sent})
    if listener.relays != sorted(heard):
        play.problems.append(f"{listener.name}: messages that were passed on came out of order")


def _is_excused(play: Play, listener: MQTTListener, sent: float, acknowledged: float) -> bool:
    return any(
        began <= kill <= ended + _UNNOTICED_S and acknowledged >= began and sent <= kill
        for kill in play.kills
        for began, ended in listener.times
    )


def _complain(play: Play, what: str, some: Iterable[object]) -> None:
    found = sorted(some, key=str)
    if found:
        play.problems.append(f"{what}: {len(found)}, such as {found[:_SHOWN]}")
