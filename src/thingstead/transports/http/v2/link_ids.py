"""A thing's side of linking by a link id: `POST /v2/things/THING_TOKEN {"linkId":"…"}`.

The original's field is not known (`thethings-v2.md` 6.3); it stands where values would, and is
looked at only when there are none.
"""

from thingstead.features.links.model import ByLinkId, LinkIdResult
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.answers import Answer, success
from thingstead.transports.http.bodies import read_json
from thingstead.transports.http.request import Request

_MEMBER = b"linkId"


async def offered_link_id(request: Request, max_bytes: int) -> str | None:
    """Return the link id of a body that holds one and no values, or None."""
    if _MEMBER not in await request.body(max_bytes):
        return None
    try:
        sent = await read_json(request, max_bytes)
    except ThingsteadError:
        # Then it is no write either, which is refused where writes are read.
        return None
    if not isinstance(sent, dict) or "values" in sent:
        return None
    link_id = sent.get("linkId")
    return link_id if isinstance(link_id, str) else None


def answer_offer(result: LinkIdResult) -> Answer:
    """Return the answer to the thing; whose it is now is not told to it."""
    return success("linked" if result.outcome is ByLinkId.LINKED else "waiting for the app")
