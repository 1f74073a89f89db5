"""Which grants still stand: nobody passes on what they do not hold, however long the chain.

Stores ask after everything that takes a right away, in the same transaction, and drop what no
longer stands. Knows no store.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from thingstead.features.sharing.model import GivenRights, Rights
from thingstead.kernel.ids import ThingId, UserId

_Place = tuple[ThingId, str]
"""One resource of one thing; rights on one say nothing about another."""
_Holder = tuple[_Place, UserId]


def supported(
    owner_of: Mapping[ThingId, UserId], given: Sequence[GivenRights]
) -> list[tuple[GivenRights, Rights]]:
    """Return the rows that stand, in the order given, each with the rights that are left of it.

    A right stands when its giver owns the thing, or holds both it and `grant` by rows that
    give something and stand themselves. What rests only on itself, in a circle, does not
    stand: the rules are applied from the owners outwards.
    """
    rows_of_giver: dict[_Holder, list[int]] = defaultdict(list)
    for index, row in enumerate(given):
        rows_of_giver[_place(row), row.giver_id].append(index)
    held: dict[_Holder, Rights] = {
        (place, giver_id): Rights.ALL
        for place, giver_id in rows_of_giver
        if owner_of.get(place[0]) == giver_id
    }
    left = [Rights.NONE] * len(given)
    # A holder's rows are looked at again when they hold more, so four times at most.
    changed = list(held)
    while changed:
        holder = changed.pop()
        if not held[holder] & Rights.GRANT:
            continue
        for index in rows_of_giver.get(holder, ()):
            row = given[index]
            left[index] = row.entry.rights & held[holder]
            if row.receiver_id is None:
                continue
            receiver = (_place(row), row.receiver_id)
            before = held.get(receiver, Rights.NONE)
            held[receiver] = before | left[index]
            if held[receiver] != before:
                changed.append(receiver)
    return [(row, rights) for row, rights in zip(given, left, strict=True) if rights]


def _place(row: GivenRights) -> _Place:
    return row.entry.thing_id, row.entry.resource
