"""`POST /v2/things`: an activation code becomes a thing (`thethings-v2.md` 3.1)."""

from thingstead.features.things.service import Things
from thingstead.transports.http.answers import Answer, json_answer
from thingstead.transports.http.bodies import read_object
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.wire.activation_bodies import Activation


def thing_routes(things: Things, limits: V2Limits) -> list[Route]:
    """Return the route of activation."""

    async def activate(request: Request) -> Answer:
        sent = await read_object(request, Activation, limits.object_bytes)
        new = await things.activate(sent.activationCode, sent.product_id(), address=request.address)
        return json_answer(
            {
                "status": "created",
                "message": "thing activated",
                "thingToken": new.token,
                "thingId": new.thing.id,
            },
            201,
        )

    return [
        Route(
            "POST",
            "/v2/things",
            "Activate a thing with an activation code, which is used up",
            activate,
            statuses=(201, 400, 413, 429, 503, 507),
            body_example={"activationCode": "0123456789ABCDEFGHJK"},
            answer_example={
                "status": "created",
                "message": "thing activated",
                "thingToken": "43 characters",
                "thingId": "43 characters",
            },
            access=Access.PUBLIC,
        )
    ]
