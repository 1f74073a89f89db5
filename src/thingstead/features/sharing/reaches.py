"""What users may do, as lately as 50 ms ago, kept so that no call has to ask the store.

Every call of the app API about a thing passes here first. A reach is forgotten as soon as
something announces that it may have changed (`kernel/changes.py`): a link, a grant, a thing
deleted. Nothing here decides; `model.Reach` says what may be done.
"""

from dataclasses import replace

from thingstead.features.sharing.model import Reach
from thingstead.features.sharing.ports import ReachStore
from thingstead.features.things.model import Thing
from thingstead.features.users.model import Caller
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.ids import UserId

_MOST_THINGS_KEPT = 200_000


class Reaches:
    """Finds and remembers reaches: of at most `kept_things` things together."""

    def __init__(
        self,
        store: ReachStore,
        changes: Changes,
        *,
        shows_all_epochs: bool,
        kept_things: int = _MOST_THINGS_KEPT,
    ) -> None:
        self._store = store
        self._changes = changes
        self._shows_all_epochs = shows_all_epochs
        self._most = kept_things
        self._known: dict[UserId, Reach] = {}
        self._kept = 0
        self._generation = 0
        # A change that nobody can name comes as None to the listeners of every kind.
        changes.listen(Kind.USER, self._forget)

    def __len__(self) -> int:
        return len(self._known)

    async def of(self, caller: Caller) -> Reach:
        """Return all that the caller may do; the app's own limits are not in it."""
        self._changes.look()
        user_id = caller.user.id
        known = self._known.get(user_id)
        if known is not None:
            return known
        generation = self._generation
        reach = self._as_shown(await self._store.reach(user_id))
        # What was looked up before a change must not be remembered after it.
        if generation == self._generation:
            self._remember(user_id, reach)
        return reach

    def _remember(self, user_id: UserId, reach: Reach) -> None:
        self._drop(user_id)
        size = _size(reach)
        if size > self._most:
            return
        while self._kept + size > self._most:
            self._drop(next(iter(self._known)))
        self._known[user_id] = reach
        self._kept += size

    def _drop(self, user_id: UserId) -> None:
        known = self._known.pop(user_id, None)
        if known is not None:
            self._kept -= _size(known)

    def _forget(self, user_id: str | None) -> None:
        self._generation += 1
        if user_id is None:
            self._known.clear()
            self._kept = 0
        else:
            self._drop(UserId(user_id))

    def _as_shown(self, reach: Reach) -> Reach:
        if not self._shows_all_epochs:
            return reach
        return Reach(
            {
                thing_id: replace(linked, thing=_with_all_epochs(linked.thing))
                for thing_id, linked in reach.owned.items()
            },
            {
                thing_id: replace(shared, thing=_with_all_epochs(shared.thing))
                for thing_id, shared in reach.shared.items()
            },
        )


def _size(reach: Reach) -> int:
    """Return how many things it counts as; one of nothing takes room too."""
    return 1 + len(reach.owned) + len(reach.shared)


def _with_all_epochs(thing: Thing) -> Thing:
    return replace(thing, epochs=tuple(range(thing.epochs[-1] + 1)))
