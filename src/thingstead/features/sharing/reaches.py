"""What users may do, as lately as 50 ms ago, kept so that no call has to ask the store.

Every call of the app API about a thing passes here first. A reach is forgotten as soon as
something announces that it may have changed (`kernel/changes.py`): a link, a grant, a thing
deleted. Nothing here decides; `model.Reach` says what may be done.
"""

import asyncio
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
        # Look-ups under way, which whoever asks meanwhile waits for; one that was overtaken by
        # a change is not among them any more.
        self._loads: dict[UserId, asyncio.Future[Reach | None]] = {}
        # A change that nobody can name comes as None to the listeners of every kind.
        changes.listen(Kind.USER, self._forget)

    def __len__(self) -> int:
        return len(self._known)

    async def of(self, caller: Caller) -> Reach:
        """Return all that the caller may do; the app's own limits are not in it."""
        self._changes.look()
        user_id = caller.user.id
        while True:
            known = self._known.get(user_id)
            if known is not None:
                return known
            load = self._loads.get(user_id)
            if load is None:
                return await self._load(user_id)
            reach = await asyncio.shield(load)
            if reach is not None:
                return reach
            # Who was looking it up is gone; somebody who waited does it now.

    async def _load(self, user_id: UserId) -> Reach:
        """Look the reach up for everybody who asks for it until it is there."""
        load = self._loads[user_id] = asyncio.get_running_loop().create_future()
        try:
            reach = self._as_shown(await self._store.reach(user_id))
        except Exception as error:
            load.set_exception(error)
            load.exception()  # Perhaps nobody waits for it.
            raise
        else:
            # What was looked up before a change must not be remembered after it.
            if self._loads.get(user_id) is load:
                self._remember(user_id, reach)
            load.set_result(reach)
            return reach
        finally:
            if self._loads.get(user_id) is load:
                del self._loads[user_id]
            if not load.done():
                load.set_result(None)

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
        if user_id is None:
            self._loads.clear()
            self._known.clear()
            self._kept = 0
        else:
            self._loads.pop(UserId(user_id), None)
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
