"""Topics: the form of filters, what matches, and what ours address."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thingstead.transports.mqtt.codec import Reason
from thingstead.transports.mqtt.topics import (
    FilterTarget,
    Target,
    TopicKind,
    TopicRefusedError,
    check_filter,
    matches,
    parse_filter,
    parse_topic,
)

TOKEN = "t" * 43
THING = f"v2/things/{TOKEN}"


@pytest.mark.parametrize("text", ["a", "/", "+", "#", "a/+/b", "+/+/#", "/#", "$SYS/#", "a//b"])
def test_well_formed_filters_pass(text):
    check_filter(text)


@pytest.mark.parametrize("text", ["", "a+", "+a/b", "a/b#", "#/a", "a/#/b", "##", "++", "a\0"])
def test_malformed_filters_are_refused(text):
    with pytest.raises(TopicRefusedError) as raised:
        check_filter(text)

    assert raised.value.reason == Reason.TOPIC_FILTER_INVALID


def test_a_filter_may_have_eight_levels():
    check_filter("a/b/c/d/e/f/g/#")

    with pytest.raises(TopicRefusedError, match="at most 8 levels"):
        check_filter("a/b/c/d/e/f/g/h/#")


@pytest.mark.parametrize("character", ["a", "\u00fc", "\U0001f600"])
def test_a_filter_may_have_256_bytes(character):
    size = len(character.encode())
    check_filter(character * (256 // size))

    with pytest.raises(TopicRefusedError, match="at most 256 bytes"):
        check_filter(character * (256 // size) + "a")


def test_the_limits_of_filters_can_be_set():
    check_filter("a/b", max_levels=2, max_bytes=3)

    with pytest.raises(TopicRefusedError, match="at most 1 levels"):
        check_filter("a/b", max_levels=1)
    with pytest.raises(TopicRefusedError, match="at most 2 bytes"):
        check_filter("a/b", max_bytes=2)


# From the examples of MQTT 5, sections 4.7.1.2, 4.7.1.3 and 4.7.2.
@pytest.mark.parametrize(
    ("text", "topic", "expected"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/tennis/player1/#", "sport/tennis/player10", False),
        ("sport/#", "sport", True),
        ("#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("+/#", "sport", True),
        ("#", "$SYS/monitor", False),
        ("+/monitor", "$SYS/monitor", False),
        ("$SYS/#", "$SYS/monitor", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("sport/+/x", "sport/$a/x", True),
        ("a", "A", False),
        ("a/b", "a", False),
        ("a", "a/b", False),
    ],
)
def test_filters_match_as_the_standard_says(text, topic, expected):
    assert matches(text, topic) is expected


def naive(levels, names):
    """Match by the words of the standard, one level at a time."""
    if levels == ["#"]:
        return True
    if not levels or not names:
        return not levels and not names
    return levels[0] in ("+", names[0]) and naive(levels[1:], names[1:])


names = st.lists(st.sampled_from(["", "a", "b", "$s"]), min_size=1, max_size=5)
filter_levels = st.lists(st.sampled_from(["", "a", "b", "$s", "+"]), min_size=1, max_size=5)


@given(filter_levels, st.booleans(), names)
@example(["a"], True, ["a"])
def test_matching_agrees_with_a_naive_reading(levels, is_open, topic):
    levels = [*levels, "#"] if is_open else levels
    text = "/".join(levels)
    check_filter(text or "a")
    expected = naive(levels, topic) and not (topic[0][:1] == "$" and levels[0] in ("+", "#"))

    assert matches(text, "/".join(topic)) is expected


TARGETS = [
    (THING, Target(TopicKind.THING, THING, token=TOKEN)),
    (
        f"{THING}/resources/led",
        Target(TopicKind.RESOURCE, f"{THING}/resources/led", token=TOKEN, name="led"),
    ),
    (f"{THING}/cmd", Target(TopicKind.RELAYED, f"{THING}/cmd", token=TOKEN, name="cmd")),
    (
        f"{THING}/resources",
        Target(TopicKind.RELAYED, f"{THING}/resources", token=TOKEN, name="resources"),
    ),
    (
        f"{THING}/resources/a/b",
        Target(TopicKind.RELAYED, f"{THING}/resources/a/b", token=TOKEN, name="resources/a/b"),
    ),
    (
        "v2/activations/CODE/r1",
        Target(TopicKind.ACTIVATION, "v2/activations/CODE/r1", code="CODE", name="r1"),
    ),
    (
        "v2/me/resources/led",
        Target(TopicKind.USER_RESOURCE, "v2/me/resources/led", name="led"),
    ),
]


@pytest.mark.parametrize(("topic", "expected"), TARGETS)
def test_a_topic_addresses_its_target(topic, expected):
    assert parse_topic(topic) == expected


@pytest.mark.parametrize(("topic", "expected"), TARGETS)
def test_a_filter_without_wildcards_addresses_the_same(topic, expected):
    found = parse_filter(topic)

    assert found == FilterTarget(
        expected.kind, expected.topic, "", expected.token, expected.code, expected.name
    )
    assert found.covers(topic)
    assert not found.covers(topic + "/x")


@pytest.mark.parametrize("parse", [parse_topic, parse_filter])
def test_one_leading_slash_is_tolerated_and_told(parse):
    found = parse("/" + THING)

    assert (found.kind, found.token, found.slash) == (TopicKind.THING, TOKEN, "/")
    with pytest.raises(TopicRefusedError):
        parse("//" + THING)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "/",
        "v2",
        "v2/things",
        "v2/things/",
        f"{THING}/",
        f"{THING}/resources/",
        f"{THING}//resources/a",
        "v1/things/T",
        "V2/things/T",
        "v2/thing/T",
        "v2/activations",
        "v2/activations/CODE",
        "v2/activations/CODE/",
        "v2/activations/CODE/a/b",
        "v2/me/resources",
        "v2/me/resources/a/b",
        "v2/me/other/a",
        "$SYS/broker",
        "hello",
    ],
)
def test_what_addresses_nothing_is_refused(topic):
    with pytest.raises(TopicRefusedError) as published:
        parse_topic(topic)
    with pytest.raises(TopicRefusedError) as subscribed:
        parse_filter(topic)

    assert published.value.reason == Reason.TOPIC_NAME_INVALID
    assert subscribed.value.reason == Reason.TOPIC_FILTER_INVALID


@pytest.mark.parametrize("topic", [f"{THING}/+", f"{THING}/#", f"{THING}/a+b", "v2/things/+"])
def test_a_topic_to_publish_to_has_no_wildcards(topic):
    with pytest.raises(TopicRefusedError, match="for subscriptions only"):
        parse_topic(topic)


def test_topics_have_the_limits_of_filters():
    deep = f"{THING}/a/b/c/d/e"
    long = f"{THING}/".ljust(256, "x")

    assert parse_topic(deep).name == "a/b/c/d/e"
    assert parse_topic("/" + long).topic == long
    with pytest.raises(TopicRefusedError, match="at most 8 levels"):
        parse_topic(deep + "/f")
    with pytest.raises(TopicRefusedError, match="at most 256 bytes"):
        parse_topic(long + "x")


@pytest.mark.parametrize(
    ("below", "covered", "not_covered"),
    [
        ("#", ["", "/cmd", "/resources/a", "/a/b/c"], []),
        ("+", ["/cmd", "/resources"], ["", "/resources/a"]),
        ("resources/+", ["/resources/a"], ["", "/cmd", "/resources", "/resources/a/b"]),
        ("resources/#", ["/resources", "/resources/a"], ["", "/cmd"]),
        ("+/state", ["/a/state"], ["", "/state", "/a/b/state"]),
    ],
)
def test_wildcards_cover_what_is_below_one_thing(below, covered, not_covered):
    found = parse_filter(f"{THING}/{below}")

    assert (found.kind, found.token, found.name) == (TopicKind.SUBTREE, TOKEN, below)
    assert all(found.covers(THING + rest) for rest in covered)
    assert not any(found.covers(THING + rest) for rest in not_covered)


@pytest.mark.parametrize(
    "text",
    [
        "#",
        "+",
        "+/#",
        "+/things/T",
        "v2/#",
        "v2/+/T",
        "v2/things/#",
        "v2/things/+",
        "v2/things/+/#",
        "v2/things/+/resources/a",
        "v2/things//#",
        f"{THING}//#",
        "+/things/T/#",
        "v2/+/T/#",
        "v2/activations/#",
        "v2/activations/CODE/+",
        "v2/activations/+/r",
        "v2/me/resources/+",
        "v2/me/#",
        "$SYS/#",
        "/#",
        f"v2/things/{TOKEN}+",
        f"v2/things/{TOKEN}#",
    ],
)
def test_wildcards_elsewhere_are_refused(text):
    with pytest.raises(TopicRefusedError) as raised:
        parse_filter(text)

    assert raised.value.reason == Reason.TOPIC_FILTER_INVALID


@pytest.mark.parametrize("text", ["$share/group/v2/things/T", f"$share/g/{THING}/#", "$share"])
def test_shared_subscriptions_are_refused_as_such(text):
    with pytest.raises(TopicRefusedError) as raised:
        parse_filter(text)

    assert raised.value.reason == Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED


steps = st.sampled_from(["", "v2", "things", "me", "resources", "activations", "T", "U", "+", "#"])


@given(st.lists(steps, max_size=6), st.lists(steps, max_size=6))
def test_no_filter_reaches_beyond_its_token(levels, topic):
    try:
        found = parse_filter("/".join(levels))
    except TopicRefusedError:
        return

    reached = "/".join(topic)

    if found.token and found.covers(reached):
        assert topic[:3] == ["v2", "things", found.token]
    assert (found.kind is TopicKind.SUBTREE) == ("+" in found.name or "#" in found.name)


def test_tokens_and_codes_stand_in_no_repr():
    found = [
        parse_topic(f"{THING}/x"),
        parse_filter(f"{THING}/#"),
        parse_topic("v2/activations/CODE/r"),
    ]

    assert TOKEN not in repr(found)
    assert "CODE" not in repr(found)
