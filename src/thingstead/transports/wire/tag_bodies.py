"""The body that adds tags, in the forms that clients may send (`thethings-v2.md` 3.8)."""

from thingstead.features.tags.errors import InvalidTagError


def tag_names(body: object) -> list[str]:
    """Return the names from `{"name":…}`, `{"tag":…}`, `{"_id":…}` or `{"tags":[…]}`.

    Raises:
        InvalidTagError: it is none of them.
    """
    if not isinstance(body, dict):
        raise InvalidTagError('expected {"name":"roof"}')
    for member in ("name", "tag", "_id"):
        if member in body:
            return [_text(body[member], member)]
    several = body.get("tags")
    if not isinstance(several, list):
        raise InvalidTagError("name: missing")
    return [
        _text(item.get("name", item.get("_id")) if isinstance(item, dict) else item, f"tags[{i}]")
        for i, item in enumerate(several)
    ]


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidTagError(f"{where}: expected a text")
    return value
