"""From what was sent to what is stored: every rule, at its edge and one beyond."""

import pytest

from thingstead.features.magic.errors import (
    InvalidPositionError,
    InvalidSettingsError,
    UnknownMagicKeyError,
)
from thingstead.features.things.model import Thing
from thingstead.features.values import checks
from thingstead.features.values.checks import WriteChecker, WriteLimits
from thingstead.features.values.errors import InvalidKeyError, InvalidValuesError
from thingstead.features.values.model import (
    ABSENT,
    DocumentChange,
    IncomingValue,
    IncomingWrite,
    MagicEcho,
    NewValue,
    Position,
)
from thingstead.kernel.errors import InvalidDateError
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.kernel.instants import format_instant

THING = Thing(ThingId("one"), ProductId(1), 0)
NOW = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000
DAY = 24 * HOUR


def checked(*values, is_broadcast=True, **limits):
    return WriteChecker(WriteLimits(**limits)).checked(
        THING, IncomingWrite(list(values)), NOW, is_broadcast=is_broadcast
    )


def sent(value=1, key="t", **more):
    return IncomingValue(key, value, **more)


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_a_plain_number_gets_the_server_s_time():
    write = checked(sent(21.5))

    assert write.thing_id == THING.id
    assert write.values == (NewValue("t", 21.5, NOW),)
    assert write.changes == ()
    assert write.echo is None


def test_a_write_carries_the_epochs_of_its_thing():
    thing = Thing(THING.id, ProductId(1), 0, (0, 3))

    write = WriteChecker(WriteLimits()).checked(
        thing, IncomingWrite([sent(1)]), NOW, is_broadcast=True
    )

    assert write.epochs == (0, 3)


@pytest.mark.parametrize("is_broadcast", [True, False])
def test_the_wish_to_be_announced_is_kept(is_broadcast):
    assert checked(sent(), is_broadcast=is_broadcast).is_broadcast is is_broadcast


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, 1, 2**63 - 1, -(2**63), 0.0, 1.0, "", "100", "1.0", [], {}, [1, "1"]],
    ids=repr,
)
def test_a_value_keeps_its_json_type(value):
    (kept,) = checked(sent(value)).values

    assert repr(kept.value) == repr(value)


# How many, and how large.


def test_no_values_at_all_are_refused():
    with pytest.raises(InvalidValuesError, match="values: empty"):
        checked()


def test_1000_values_pass_and_1001_are_refused():
    assert len(checked(*[sent()] * 1_000).values) == 1_000

    with pytest.raises(InvalidValuesError, match="values: more than 1000 in one request"):
        checked(*[sent()] * 1_001)


def test_one_bad_value_in_a_thousand_is_named_by_its_place():
    with pytest.raises(InvalidValuesError, match=r"values\[999\]\.value: missing"):
        checked(*[sent()] * 999, sent(ABSENT))


@pytest.mark.parametrize(
    ("fits", "too_large"),
    [
        ("x" * 8_190, "x" * 8_191),
        ("\u00fc" * 4_095, "\u00fc" * 4_095 + "x"),
        ('"' * 4_095, '"' * 4_096),
        ("\x01" * 1_365, "\x01" * 1_366),
        (["x" * 8_188], ["x" * 8_189]),
        ({"a": "x" * 8_184}, {"a": "x" * 8_185}),
    ],
    ids=["letters", "umlauts", "quotes", "control characters", "list", "object"],
)
def test_a_value_may_take_8_kib_of_json_and_no_more(fits, too_large):
    checked(sent(fits))

    with pytest.raises(InvalidValuesError, match=r"values\[0\]\.value: larger than 8192 bytes"):
        checked(sent(too_large))


def test_a_value_may_be_29_levels_deep_below_the_three_around_it():
    checked(sent(nested(29)))

    with pytest.raises(InvalidValuesError, match="nested deeper than 32 levels"):
        checked(sent(nested(30)))


def test_an_object_may_have_1000_members_and_no_more():
    checked(sent({str(number): 1 for number in range(1_000)}), value_bytes=100_000)

    with pytest.raises(InvalidValuesError, match="more than 1000 members"):
        checked(sent({str(number): 1 for number in range(1_001)}), value_bytes=100_000)


@pytest.mark.parametrize(
    "value",
    [
        ABSENT,
        float("nan"),
        float("inf"),
        float("-inf"),
        2**63,
        -(2**63) - 1,
        "a\x00b",
        "\ud800",
        {"a": [float("nan")]},
        {"\x00": 1},
        b"bytes",
        (1,),
        {1: 2},
    ],
    ids=repr,
)
def test_what_is_no_json_value_is_refused_with_its_place(value):
    with pytest.raises(InvalidValuesError, match=r"values\[1\]\.value"):
        checked(sent(), sent(value))


# Keys.


@pytest.mark.parametrize(
    "key", ["a", "Z9", "a.b-c_d", ".", "-", "_", "x" * 64, "descriptions", "0", "Description"]
)
def test_letters_digits_dots_hyphens_and_underscores_make_a_key(key):
    assert checked(sent(key=key)).values[0].key == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x" * 65,
        "a b",
        "a/b",
        "a$",
        "\u00fc",
        "a\n",
        "\u0661",
        "a\x00",
        "*",
        "a+b",
        "#",
        "\ud800",
    ],
)
def test_other_keys_are_refused(key):
    with pytest.raises(InvalidKeyError, match=r"values\[1\]\.key: a key has 1 to 64"):
        checked(sent(), sent(key=key))


@pytest.mark.parametrize("key", ["description", "publicDescription"])
def test_keys_that_are_addresses_of_their_own_are_refused(key):
    with pytest.raises(InvalidKeyError, match="is reserved"):
        checked(sent(key=key))


def test_a_key_that_was_good_once_is_still_checked_for_every_other_one():
    checker = WriteChecker(WriteLimits())
    good, bad = IncomingWrite([sent(key="good")]), IncomingWrite([sent(key="not good")])
    checker.checked(THING, good, NOW, is_broadcast=True)
    checker.checked(THING, good, NOW, is_broadcast=True)

    with pytest.raises(InvalidKeyError):
        checker.checked(THING, bad, NOW, is_broadcast=True)


def test_a_bounded_number_of_good_keys_is_remembered(monkeypatch):
    monkeypatch.setattr(checks, "_KEYS_KEPT", 3)
    checker = WriteChecker(WriteLimits())

    for number in range(10):
        write = IncomingWrite([sent(key=f"k{number}")])
        assert checker.checked(THING, write, NOW, is_broadcast=True).values[0].key == f"k{number}"

    assert len(checker._good_keys) <= 3


# Times.


@pytest.mark.parametrize(
    "text",
    ["20260131110000", "20260131T110000", "2026-01-31T11:00:00.000Z", "2026-01-31T13:00:00+02:00"],
)
def test_a_time_of_its_own_is_kept(text):
    (kept,) = checked(sent(datetime=text)).values

    assert kept == NewValue("t", 1, NOW - HOUR, None, has_own_time=True)


def test_the_server_s_time_sent_as_text_is_still_a_time_of_its_own():
    (kept,) = checked(sent(datetime=format_instant(NOW))).values

    assert kept == NewValue("t", 1, NOW, None, has_own_time=True)


@pytest.mark.parametrize("datetime", [None, "NOW()"])
def test_no_time_and_now_are_the_server_s_time(datetime):
    (kept,) = checked(sent(datetime=datetime)).values

    assert kept == NewValue("t", 1, NOW, None, has_own_time=False)


@pytest.mark.parametrize("datetime", ["NOW", "now()", "NOW() ", "", "yesterday", "1769860800"])
def test_other_texts_are_refused_with_their_place(datetime):
    with pytest.raises(InvalidDateError, match=r"values\[1\]\.datetime: expected YYYYMMDD"):
        checked(sent(), sent(datetime=datetime))


@pytest.mark.parametrize("datetime", [0, 1_769_860_800_000, 1.5, True, [], {}, ABSENT, b"NOW()"])
def test_a_time_that_is_no_text_is_refused(datetime):
    with pytest.raises(InvalidDateError, match=r"values\[0\]\.datetime: expected a text"):
        checked(sent(datetime=datetime))


def test_a_time_may_be_as_far_ahead_as_the_limit_and_no_more():
    edge = NOW + 24 * HOUR

    assert checked(sent(datetime=format_instant(edge))).values[0].at_ms == edge
    with pytest.raises(InvalidDateError, match=r"values\[0\]\.datetime: more than 24 hours ahead"):
        checked(sent(datetime=format_instant(edge + 1)))


def test_a_time_may_be_as_old_as_the_limit_and_no_older():
    edge = NOW - 3_653 * DAY

    assert checked(sent(datetime=format_instant(edge))).values[0].at_ms == edge
    with pytest.raises(InvalidDateError, match=r"values\[0\]\.datetime: more than 3653 days ago"):
        checked(sent(datetime=format_instant(edge - 1)))


@pytest.mark.parametrize("text", ["00010101000000", "99991231235959", "9999-12-31T23:59:59-23:59"])
def test_absurd_dates_are_refused(text):
    with pytest.raises(InvalidDateError):
        checked(sent(datetime=text))


# Positions.


@pytest.mark.parametrize(
    ("geo", "expected"),
    [
        ({"lat": 41.4, "long": 2.2}, Position(41.4, 2.2)),
        ({"lat": "41.4", "long": "2.2"}, Position(41.4, 2.2)),
        ({"lat": -90, "long": 180}, Position(-90, 180)),
        ({"lat": 0, "long": 0, "alt": 5}, Position(0, 0)),
    ],
)
def test_a_position_is_kept(geo, expected):
    (kept,) = checked(sent(geo=geo)).values

    assert kept == NewValue("t", 1, NOW, expected, has_own_time=False)


def test_a_position_and_a_time_are_kept_together():
    (kept,) = checked(sent(geo={"lat": 1, "long": 2}, datetime="20260131110000")).values

    assert kept == NewValue("t", 1, NOW - HOUR, Position(1, 2), has_own_time=True)


@pytest.mark.parametrize(
    "geo", ["", "1,2", [2, 1], 5, False, {}, {"lat": 1}, {"lat": 91, "long": 0}]
)
def test_what_is_no_position_is_refused_with_its_place(geo):
    with pytest.raises(InvalidPositionError, match=r"values\[1\]\.geo"):
        checked(sent(), sent(geo=geo))


def test_a_null_position_is_none():
    assert checked(sent(geo=None)).values[0].position is None


# Magic keys.


def test_a_magic_value_becomes_a_change_and_an_echo():
    write = checked(sent({"a": 1}, "$settings"))

    assert write.values == ()
    assert write.changes == (DocumentChange("$settings", (), {"a": 1}, 16_384),)
    assert write.echo == (MagicEcho("$settings", {"a": 1}),)


def test_the_echo_keeps_the_order_of_values_and_magic():
    write = checked(sent(1), sent(5, "$settings.a"), sent(2, "u"), sent([2, 1], "$geo"))

    point = {"type": "Point", "coordinates": [2, 1]}
    assert [value.key for value in write.values] == ["t", "u"]
    assert [change.name for change in write.changes] == ["$settings", "$geo"]
    assert write.echo == (0, MagicEcho("$settings.a", 5), 1, MagicEcho("$geo", point))


def test_the_limit_of_documents_goes_with_the_change():
    assert checked(sent({}, "$settings"), document_bytes=99).changes[0].max_bytes == 99


@pytest.mark.parametrize(
    "key", ["$", "$unknown", "$geo.a", "$settings.", "$settings..a", "$Settings"]
)
def test_unknown_magic_keys_are_refused_with_their_place(key):
    with pytest.raises(UnknownMagicKeyError, match=r"values\[1\]\.key"):
        checked(sent(), sent(1, key))


@pytest.mark.parametrize("key", ["$settings.a\x00", "$settings.\ud800"])
def test_characters_that_no_text_may_have_are_refused_in_magic_keys_too(key):
    with pytest.raises(InvalidValuesError, match=r"values\[0\]\.key"):
        checked(sent(1, key))


@pytest.mark.parametrize("value", [float("nan"), 2**63, "\x00", {"a": nested(29)}], ids=repr)
def test_what_is_no_json_value_is_refused_in_magic_too(value):
    with pytest.raises(InvalidValuesError, match=r"values\[0\]\.value"):
        checked(sent(value, "$settings.a"))


def test_a_magic_value_must_be_there():
    with pytest.raises(InvalidSettingsError, match=r"values\[0\]\.value: missing"):
        checked(sent(ABSENT, "$settings"))
