"""What a plan may hold: each limit at its last good and first bad number."""

import pytest

from doubles.campaign_plans import plan
from thingstead.features.campaigns.errors import InvalidCampaignError
from thingstead.features.campaigns.model import Gate, Stop, Target
from thingstead.features.campaigns.planning import check_plan

_DAY_S = 86_400
_TEN = (1, 2, 3, 4, 5, 6, 7, 8, 9, 100)
_ELEVEN = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100)


def _tags(count):
    return Target(tags=tuple(f"tag {number}" for number in range(count)))


def _versions(count):
    return Target(versions=tuple(f"1.{number}" for number in range(count)))


GOOD = [
    {"name": "n" * 100},
    {"rings": (100,)},
    {"rings": _TEN},
    {"gate": Gate(success_percent=1)},
    {"gate": Gate(success_percent=100)},
    {"gate": Gate(soak_s=0)},
    {"gate": Gate(soak_s=30 * _DAY_S), "patience_s": 90 * _DAY_S},
    {"stop": Stop(failures=1, percent=None)},
    {"stop": Stop(failures=None, percent=None)},
    {"stop": Stop(percent=1)},
    {"stop": Stop(percent=100)},
    {"stop": Stop(at_least=1)},
    {"patience_s": 60, "gate": Gate(soak_s=59)},
    {"patience_s": 90 * _DAY_S},
    {"attempts": 1},
    {"attempts": 100},
    {"target": _tags(20)},
    {"target": _versions(20)},
    {"target": Target(tags=("t" * 64,))},
    {"target": Target(versions=("v" * 64,))},
]
BAD = [
    ({"name": " "}, "name: must not be empty"),
    ({"name": "n" * 101}, "name: must not be longer than 100"),
    ({"name": "a\nb"}, "name: must not contain control"),
    ({"rings": ()}, "rings: expected 1 to 10, got 0"),
    ({"rings": _ELEVEN}, "rings: expected 1 to 10, got 11"),
    ({"rings": (0, 100)}, "rings, per cent: expected 1 to 100, got 0"),
    ({"rings": (50, 101)}, "rings, per cent: expected 1 to 100, got 101"),
    ({"rings": (10, 10, 100)}, "each must reach more"),
    ({"rings": (50, 10, 100)}, "each must reach more"),
    ({"rings": (1, 99)}, "the last one must be 100, not 99"),
    ({"gate": Gate(success_percent=0)}, "gate, per cent"),
    ({"gate": Gate(success_percent=101)}, "gate, per cent"),
    ({"gate": Gate(soak_s=-1)}, "soak time"),
    ({"gate": Gate(soak_s=30 * _DAY_S + 1), "patience_s": 90 * _DAY_S}, "soak time"),
    ({"stop": Stop(failures=0)}, "stop, failures"),
    ({"stop": Stop(percent=0)}, "stop, per cent"),
    ({"stop": Stop(percent=101)}, "stop, per cent"),
    ({"stop": Stop(at_least=0)}, "stop, at least"),
    ({"patience_s": 59, "gate": Gate(soak_s=0)}, "patience in seconds"),
    ({"patience_s": 90 * _DAY_S + 1}, "patience in seconds: expected 60 to 7,776,000"),
    ({"patience_s": 60, "gate": Gate(soak_s=60)}, "must be longer than the soak time, 60 s"),
    ({"attempts": 0}, "attempts"),
    ({"attempts": 101}, "attempts: expected 1 to 100, got 101"),
    ({"target": _tags(21)}, "tags: expected at most 20, got 21"),
    ({"target": _versions(21)}, "versions: expected at most 20, got 21"),
    ({"target": Target(tags=("t" * 65,))}, "tag: must not be longer"),
    ({"target": Target(tags=("",))}, "tag: must not be empty"),
    ({"target": Target(versions=("v" * 65,))}, "version: must not be longer"),
    ({"target": Target(versions=("1\x00",))}, "version: must not contain control"),
]


@pytest.mark.parametrize("said", GOOD, ids=str)
def test_a_plan_within_the_limits_is_taken(said):
    assert check_plan(plan(**said)) == plan(**said)


@pytest.mark.parametrize(("said", "why"), BAD, ids=str)
def test_a_plan_beyond_a_limit_is_refused_with_its_name(said, why):
    with pytest.raises(InvalidCampaignError, match=why):
        check_plan(plan(**said))


def test_names_are_kept_composed_and_without_blanks_and_doubles():
    wanted = plan(
        name=" U\u0308bung ",
        target=Target(tags=("u\u0308ber", " \u00fcber "), versions=("1", "1 ")),
    )

    kept = check_plan(wanted)

    assert kept.name == "\u00dcbung"
    assert kept.target == Target(tags=("\u00fcber",), versions=("1",))
