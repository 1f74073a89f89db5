"""A thing's tags (`thethings-v2.md` 3.8): a tag's id is its name."""

from thingstead.features.tags.service import Tags
from thingstead.features.things.service import Things
from thingstead.transports.http.answers import Answer, json_answer, success
from thingstead.transports.http.bodies import read_json
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.wire.tag_bodies import tag_names


def tag_routes(things: Things, tags: Tags, limits: V2Limits) -> list[Route]:
    """Return the routes of tags."""

    async def list_tags(request: Request) -> Answer:
        thing = await things.resolve(request.arguments["thing_token"], address=request.address)
        names = await tags.of(thing.id)
        return json_answer([{"_id": name, "name": name} for name in names])

    async def add_tags(request: Request) -> Answer:
        thing = await things.resolve(request.arguments["thing_token"], address=request.address)
        body = await read_json(request, limits.document_bytes)
        added = await tags.add(thing.id, tag_names(body))
        return json_answer({"status": "created", "message": "tag added", "_id": added[0]}, 201)

    async def delete_tag(request: Request) -> Answer:
        thing = await things.resolve(request.arguments["thing_token"], address=request.address)
        await tags.delete(thing.id, request.arguments["tag_id"])
        return success("tag deleted")

    address = "/v2/things/{thing_token}/tags"
    return [
        Route(
            "GET",
            address,
            "The thing's tags",
            list_tags,
            statuses=(200, 404),
            answer_example=[{"_id": "roof", "name": "roof"}],
            access=Access.THING_TOKEN,
        ),
        Route(
            "POST",
            address,
            "Add a tag; adding it twice is the same as once",
            add_tags,
            statuses=(201, 400, 404, 413, 503, 507),
            body_example={"name": "roof"},
            answer_example={"status": "created", "message": "tag added", "_id": "roof"},
            access=Access.THING_TOKEN,
        ),
        Route(
            "DELETE",
            f"{address}/{{tag_id}}",
            "Delete a tag from the thing",
            delete_tag,
            statuses=(200, 404, 503, 507),
            answer_example={"status": "success", "message": "tag deleted"},
            access=Access.THING_TOKEN,
        ),
    ]
