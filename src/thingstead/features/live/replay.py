"""Giving a subscriber what it missed, and then going over to live without gap or double.

The subscription exists, and is held, before the first look at what was missed. Whatever is
committed meanwhile is found by the next look; the subscription goes live at a moment when
nothing was announced that no look could see. Nor may its right have been checked again since
the last look, which did not look for what may be heard only now. A look may see a write that is
announced only later; by its sequence it is known then.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable

from thingstead.features.live.ports import Missed
from thingstead.features.live.subscription import Subscription

Look = Callable[[int], Awaitable[Missed]]
"""Looks at a page of what came after a sequence."""


async def replayed(
    subscription: Subscription, look: Look, after: int
) -> AsyncGenerator[Missed, None]:
    """Yield pages of what came after `after`; when exhausted, the subscription is live.

    What is queued from then on came after everything yielded. Whoever stops before the end
    must close the subscription, which is still held. A page may hold no events.
    """
    subscription.hold()
    seen = -1
    while True:
        announced, rechecks = subscription.held_to, subscription.rechecks
        page = await look(after)
        yield page
        after = page.scanned_to
        if page.events:
            seen = page.events[-1].sequence
        # What was announced before the look began is no news, even if it left no trace: values
        # that were deleted, or written to what may no longer be seen.
        is_all = page.is_complete and subscription.held_to <= max(after, announced)
        if is_all and subscription.rechecks == rechecks:
            break
    subscription.start_after(seen)
    subscription.release()
