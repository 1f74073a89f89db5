"""Who calls: the thing whose id is in the path and whose token is in `Authorization`.

hawkBit calls a device a controller; its id is the thing's id, and its security token the thing's
token. Each call asks here first, and gets nothing of another thing.
"""

import re
from dataclasses import dataclass

from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.transports.http.refusals import AddressNotFoundError, HTTPRefusalError
from thingstead.transports.http.request import Request

# Zephyr's agent writes the name of its board and a hyphen before the id that it is given, and has
# room for so many characters of it (DEVICE_ID_HEX_MAX_SIZE): 192 random bits, enough to name one
# thing. Neither is a proof of anything; the token is.
_ROOM_OF_ZEPHYR = 32
# It stands in the links that the agent is told, as it is.
_CONTROLLER_ID = re.compile(r"[A-Za-z0-9._:@+~-]{1,128}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCHEME = "targettoken "
_LONGEST_HEADER = 256


class InvalidTargetTokenError(HTTPRefusalError):
    """No target token came with the call, or it is not that of the thing in the path."""

    status = 401
    code = "invalid-target-token"
    message = "Invalid target token"
    advice = (
        "Send `Authorization: TargetToken THING_TOKEN`, and the id of that thing as the"
        " controller id; gateway tokens are not accepted."
    )


@dataclass(frozen=True, slots=True)
class Controller:
    """A thing that called, and the names that it used: links to it are made of them."""

    thing: Thing
    tenant: str
    id: str


class Controllers:
    """Knows which thing calls."""

    def __init__(self, things: Things) -> None:
        self._things = things

    async def controller(self, request: Request) -> Controller:
        """Return who calls.

        Raises:
            AddressNotFoundError: no tenant can have this name.
            InvalidTargetTokenError: the token is missing, unknown, or not that of the thing.
            TooManyRequestsError: too many unknown tokens came from this address.
        """
        arguments = request.arguments
        tenant, controller_id = arguments["tenant"], arguments["controller_id"]
        if not _TENANT.fullmatch(tenant):
            raise AddressNotFoundError
        try:
            thing = await self._things.resolve(_target_token(request), address=request.address)
        except ThingNotFoundError as exc:
            raise InvalidTargetTokenError from exc
        if not _names(controller_id, thing):
            raise InvalidTargetTokenError
        return Controller(thing, tenant, controller_id)


def _names(controller_id: str, thing: Thing) -> bool:
    if not _CONTROLLER_ID.fullmatch(controller_id):
        return False
    if controller_id == thing.id:
        return True
    return controller_id.endswith((f"-{thing.id}", f"-{thing.id[:_ROOM_OF_ZEPHYR]}"))


def _target_token(request: Request) -> str:
    """Return the token, whatever its form.

    Raises:
        InvalidTargetTokenError: there is none, or several.
    """
    values = request.headers(b"authorization")
    if len(values) != 1 or len(values[0]) > _LONGEST_HEADER:
        raise InvalidTargetTokenError
    header = values[0].decode("latin-1").strip()
    if not header.lower().startswith(_SCHEME):
        raise InvalidTargetTokenError
    return header[len(_SCHEME) :].strip()
