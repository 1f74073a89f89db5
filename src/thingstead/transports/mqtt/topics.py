"""Topics: how filters match them, and what ours address.

It knows no thing and no right: whoever subscribes or publishes is checked by the token that
stands in the topic. Wildcards never span tokens (`thethings-v2.md` 5.1, `security.md` 5).
A topic may begin with one slash, as some clients write it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from thingstead.transports.mqtt.codec.reasons import Reason

MAX_LEVELS: Final = 8
MAX_BYTES: Final = 256
"""How deep and how long topics and filters may be (`security.md` 5)."""


class TopicRefusedError(Exception):
    """A topic or filter that is not for use here.

    `reason`: the MQTT 5 reason code for the PUBACK or SUBACK. The text names the rule and
    never quotes the topic, which holds a token.
    """

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class TopicKind(StrEnum):
    """What a topic or a filter addresses."""

    THING = "thing"
    """`v2/things/TOKEN`: writes, and every written value."""
    RESOURCE = "resource"
    """`v2/things/TOKEN/resources/KEY`: the values of one resource."""
    RELAYED = "relayed"
    """`v2/things/TOKEN/…`: passed on, never stored."""
    SUBTREE = "subtree"
    """`v2/things/TOKEN/…` with wildcards; filters only."""
    ACTIVATION = "activation"
    """`v2/activations/CODE/RANDOM`: the answer to an activation."""
    USER_RESOURCE = "user-resource"
    """`v2/me/resources/RESOURCE`: a resource of all things of an app's user."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a topic addresses.

    `topic`: without a leading slash. `slash`: "/" when it had one, else empty: a client
    that subscribed with it expects it in what it receives.
    `token`: for things, resources and what is relayed. `code`: for activations.
    `name`: the resource's key, the topic below the thing, the activation's random part or
    the user's resource; empty for a thing.
    """

    kind: TopicKind
    topic: str = field(repr=False)
    slash: str = ""
    token: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FilterTarget:
    """What a filter addresses; the fields are those of `Target`.

    `filter`: without a leading slash. `name` holds wildcards when the kind is SUBTREE, and
    nothing else does.
    """

    kind: TopicKind
    filter: str = field(repr=False)
    slash: str = ""
    token: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    name: str = field(default="", repr=False)

    def covers(self, topic: str) -> bool:
        """Return whether it matches a topic that has no leading slash."""
        if self.kind is TopicKind.SUBTREE:
            return matches(self.filter, topic)
        return self.filter == topic


def parse_topic(topic: str, *, max_levels: int = MAX_LEVELS, max_bytes: int = MAX_BYTES) -> Target:
    """Return what the topic of a PUBLISH or a will addresses.

    Raises:
        TopicRefusedError: it addresses nothing here, is too long or too deep, or has an
            empty level: a slash too many would make a write one that nobody stores.
    """
    slash, bare = _without_slash(topic)
    _check_size(bare, Reason.TOPIC_NAME_INVALID, max_levels, max_bytes)
    levels = bare.split("/")
    if "+" in bare or "#" in bare:
        raise TopicRefusedError(Reason.TOPIC_NAME_INVALID, "+ and # are for subscriptions only")
    kind, token, code, name = _addressed(levels, Reason.TOPIC_NAME_INVALID)
    return Target(kind, bare, slash, token, code, name)


def parse_filter(
    text: str, *, max_levels: int = MAX_LEVELS, max_bytes: int = MAX_BYTES
) -> FilterTarget:
    """Return what a filter addresses.

    Raises:
        TopicRefusedError: it is malformed, over a limit, a shared subscription, addresses
            nothing here, or has a wildcard elsewhere than below one thing.
    """
    if text == "$share" or text.startswith("$share/"):
        raise TopicRefusedError(
            Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "there are no shared subscriptions here"
        )
    slash, bare = _without_slash(text)
    check_filter(bare, max_levels=max_levels, max_bytes=max_bytes)
    levels = bare.split("/")
    if "+" not in levels and levels[-1] != "#":
        kind, token, code, name = _addressed(levels, Reason.TOPIC_FILTER_INVALID)
        return FilterTarget(kind, bare, slash, token, code, name)
    is_below_a_thing = levels[:2] == ["v2", "things"] and len(levels) > 3
    if not is_below_a_thing or levels[2] in ("", "+") or "" in levels:
        raise TopicRefusedError(
            Reason.TOPIC_FILTER_INVALID, "wildcards are allowed below v2/things/TOKEN/ only"
        )
    name = "/".join(levels[3:])
    return FilterTarget(TopicKind.SUBTREE, bare, slash, levels[2], "", name)


def check_filter(text: str, *, max_levels: int = MAX_LEVELS, max_bytes: int = MAX_BYTES) -> None:
    """Check a filter's form (MQTT 5, section 4.7) and size.

    Raises:
        TopicRefusedError: it is empty, too long, too deep, or a wildcard does not fill a
            level, or # is not the last one.
    """
    _check_size(text, Reason.TOPIC_FILTER_INVALID, max_levels, max_bytes)
    levels = text.split("/")
    for level in levels:
        if len(level) > 1 and ("+" in level or "#" in level):
            raise TopicRefusedError(Reason.TOPIC_FILTER_INVALID, "a wildcard has to fill its level")
    if "#" in levels[:-1]:
        raise TopicRefusedError(Reason.TOPIC_FILTER_INVALID, "# may be the last level only")


def matches(filter_text: str, topic: str) -> bool:
    """Return whether the filter matches the topic (MQTT 5, section 4.7).

    The filter is well formed. Wildcards in its first level do not match topics that begin
    with $. The time grows with the number of levels, whatever stands in them.
    """
    if topic.startswith("$") and filter_text.startswith(("+", "#")):
        return False
    names = topic.split("/")
    levels = filter_text.split("/")
    for index, level in enumerate(levels):
        if level == "#":
            # It matches its parent too, so there is nothing more to compare.
            return True
        if index == len(names) or (level != "+" and level != names[index]):
            return False
    return len(levels) == len(names)


def _without_slash(text: str) -> tuple[str, str]:
    return ("/", text[1:]) if text.startswith("/") else ("", text)


def _check_size(text: str, reason: int, max_levels: int, max_bytes: int) -> None:
    if not text:
        raise TopicRefusedError(reason, "it is empty")
    if "\0" in text:
        raise TopicRefusedError(reason, "it holds U+0000")
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise TopicRefusedError(reason, f"it may have at most {max_bytes} bytes")
    if text.count("/") >= max_levels:
        raise TopicRefusedError(reason, f"it may have at most {max_levels} levels")


def _addressed(levels: list[str], reason: int) -> tuple[TopicKind, str, str, str]:
    """Return the kind, the token, the code and the name."""
    if "" in levels:
        raise TopicRefusedError(reason, "it has an empty level")
    match levels:
        case ["v2", "things", token]:
            return TopicKind.THING, token, "", ""
        case ["v2", "things", token, "resources", key]:
            return TopicKind.RESOURCE, token, "", key
        case ["v2", "things", token, *below]:
            return TopicKind.RELAYED, token, "", "/".join(below)
        case ["v2", "activations", code, random]:
            return TopicKind.ACTIVATION, "", code, random
        case ["v2", "me", "resources", resource]:
            return TopicKind.USER_RESOURCE, "", "", resource
        case _:
            raise TopicRefusedError(
                reason, "it is no topic below v2/things, v2/activations or v2/me/resources"
            )
