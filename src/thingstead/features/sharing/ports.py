"""What the rules of sharing need from storage."""

from collections.abc import Sequence
from typing import Protocol

from thingstead.features.mail.model import SealedLetter
from thingstead.features.sharing.model import Entry, Grant, GrantOutcome, Reach
from thingstead.kernel.ids import GrantId, UserId


class ReachStore(Protocol):
    """Knows what users may do."""

    async def reach(self, user_id: UserId) -> Reach:
        """Return all that the user may do now, in at most three statements."""
        ...


class GrantStore(Protocol):
    """Keeps grants. Every change is announced to other processes, to each user concerned.

    Whatever takes a right away takes away what was passed on by virtue of it, in the same
    transaction (`rights.supported`).
    """

    async def add_grant(
        self,
        grant: Grant,
        link_digest: bytes,
        letter: SealedLetter,
        *,
        max_grants: int,
        max_entries: int,
    ) -> GrantOutcome:
        """Add a waiting grant with its mail.

        Adds nothing when the giver has `max_grants` already, or would have more than
        `max_entries` entries in all their grants. Entries that the giver may not pass on at
        this moment are left out; without any there is no grant and no mail.
        """
        ...

    async def given(self, user_id: UserId, *, at_ms: int, email: str | None = None) -> list[Grant]:
        """Return what the user granted and has not expired unaccepted, the newest first.

        With `email` only what they granted to that address.
        """
        ...

    async def received(self, user_id: UserId, *, at_ms: int) -> list[Grant]:
        """Return what was granted to the user's address and has not expired unaccepted.

        The newest first; nothing as long as the address is not confirmed. Of those that wait,
        as many, from the newest on, as have `MOST_ENTRIES_RECEIVED` entries together with the
        accepted ones; the others are listed when these are accepted, declined or expired.
        """
        ...

    async def grant_of_link(self, digest: bytes, *, at_ms: int) -> Grant | None:
        """Return the waiting grant of a mail's link, changing nothing."""
        ...

    async def accept_by_link(self, digest: bytes, *, at_ms: int) -> Grant | None:
        """Accept the link's grant; the link is used up.

        Who has the mail has the address: an account of it is confirmed by this.
        """
        ...

    async def accept(self, user_id: UserId, grant_id: GrantId, *, at_ms: int) -> bool:
        """Accept a grant to the user's confirmed address; False when there is none that waits."""
        ...

    async def revoke(
        self, user_id: UserId, grant_id: GrantId, entries: Sequence[Entry] | None = None
    ) -> bool:
        """End a grant that the user gave or received, or with `entries` those rights of it.

        Returns False when the user has no such grant; one to an address that is not confirmed
        is nobody's but the giver's. A grant without rights is gone.
        """
        ...
