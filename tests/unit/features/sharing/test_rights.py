"""Which grants still stand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thingstead.features.sharing.model import Entry, GivenRights, Rights
from thingstead.features.sharing.rights import supported
from thingstead.kernel.ids import ThingId, UserId

GET, POST, PUT, GRANT, ALL = Rights.GET, Rights.POST, Rights.PUT, Rights.GRANT, Rights.ALL
OWNED_BY_ADA = {ThingId("one"): UserId("ada")}


def row(key, giver, receiver, rights, *, thing="one", resource="door"):
    entry = Entry(ThingId(thing), resource, rights)
    return GivenRights(key, UserId(giver), receiver and UserId(receiver), entry)


def left(rows, owner_of=OWNED_BY_ADA):
    return {kept.key: rights for kept, rights in supported(owner_of, rows)}


def test_without_grants_nothing_stands():
    assert supported(OWNED_BY_ADA, []) == []


def test_an_owner_grants_everything():
    assert left([row(1, "ada", "bob", ALL)]) == {1: ALL}


def test_an_owners_waiting_grant_stands():
    assert left([row(1, "ada", None, GET)]) == {1: GET}


def test_nobody_else_grants_anything():
    assert left([row(1, "bob", "eve", ALL)]) == {}


def test_a_thing_without_an_owner_has_no_grants():
    assert left([row(1, "ada", "bob", GET)], {}) == {}


def test_a_right_is_passed_on_with_the_right_to_grant():
    rows = [row(1, "ada", "bob", GET | GRANT), row(2, "bob", "eve", GET)]

    assert left(rows) == {1: GET | GRANT, 2: GET}


def test_a_right_is_not_passed_on_without_the_right_to_grant():
    rows = [row(1, "ada", "bob", GET | POST | PUT), row(2, "bob", "eve", GET)]

    assert left(rows) == {1: GET | POST | PUT}


def test_only_what_the_giver_holds_is_passed_on():
    rows = [row(1, "ada", "bob", GET | GRANT), row(2, "bob", "eve", GET | POST | GRANT)]

    assert left(rows) == {1: GET | GRANT, 2: GET | GRANT}


def test_a_waiting_grant_supports_nothing():
    rows = [row(1, "ada", None, GET | GRANT), row(2, "bob", "eve", GET)]

    assert left(rows) == {1: GET | GRANT}


@pytest.mark.parametrize("order", [1, -1])
def test_what_two_grants_give_together_is_passed_on(order):
    rows = [
        row(1, "ada", "bob", GET),
        row(2, "ada", "bob", GRANT),
        row(3, "bob", "eve", GET | POST),
    ][::order]

    assert left(rows) == {1: GET, 2: GRANT, 3: GET}


@pytest.mark.parametrize("elsewhere", [{"thing": "two"}, {"resource": "lamp"}])
def test_rights_on_one_place_say_nothing_about_another(elsewhere):
    owner_of = OWNED_BY_ADA | {ThingId("two"): UserId("ada")}
    rows = [row(1, "ada", "bob", GET | GRANT, **elsewhere), row(2, "bob", "eve", GET)]

    assert left(rows, owner_of) == {1: GET | GRANT}


def test_a_long_chain_stands_in_any_order():
    chain = [row(0, "ada", "user 0", ALL)]
    chain += [row(n, f"user {n - 1}", f"user {n}", ALL) for n in range(1, 200)]

    assert len(left(chain)) == len(left(chain[::-1])) == 200


def test_a_circle_holds_nothing():
    rows = [row(1, "bob", "eve", ALL), row(2, "eve", "bob", ALL), row(3, "bob", "bob", ALL)]

    assert left(rows) == {}


def test_a_circle_adds_nothing_to_what_stands():
    rows = [
        row(1, "ada", "bob", GET | GRANT),
        row(2, "bob", "eve", ALL),
        row(3, "eve", "bob", ALL),
    ]

    assert left(rows) == {1: GET | GRANT, 2: GET | GRANT, 3: GET | GRANT}


def test_rows_come_in_the_order_given():
    rows = [row(key, "ada", "bob", GET) for key in (3, 1, 2)]

    assert [kept.key for kept, _ in supported(OWNED_BY_ADA, rows)] == [3, 1, 2]


PEOPLE = st.sampled_from(["ada", "bob", "eve", "dan"])
ROWS = st.lists(
    st.builds(
        row,
        st.none(),
        PEOPLE,
        st.none() | PEOPLE,
        st.integers(1, 15).map(Rights),
        resource=st.sampled_from(["door", "lamp"]),
    ),
    max_size=12,
).map(lambda rows: [GivenRights(n, r.giver_id, r.receiver_id, r.entry) for n, r in enumerate(rows)])


def holds_by_a_chain(rows, user, resource, right):
    """Say whether the user holds the right, by growing what is held from nothing."""
    held = {("ada", one) for one in RIGHTS}
    while True:
        more = held | {
            (given.receiver_id, one)
            for given in rows
            for one in RIGHTS
            if given.receiver_id is not None
            and given.entry.resource == resource
            and given.entry.rights & one
            and {(given.giver_id, one), (given.giver_id, GRANT)} <= held
        }
        if more == held:
            return (user, right) in held
        held = more


RIGHTS = (GET, POST, PUT, GRANT)


@settings(deadline=None)
@given(ROWS)
def test_exactly_that_stands_whose_giver_holds_it_by_a_chain_from_the_owner(rows):
    kept = left(rows)

    for given_rights in rows:
        entry, giver = given_rights.entry, given_rights.giver_id
        may_grant = holds_by_a_chain(rows, giver, entry.resource, GRANT)
        for right in RIGHTS:
            stands = bool(
                may_grant
                and entry.rights & right
                and holds_by_a_chain(rows, giver, entry.resource, right)
            )
            assert bool(kept.get(given_rights.key, Rights.NONE) & right) == stands


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)

    assert left(shuffled) == left(rows)


@settings(deadline=None)
@given(ROWS)
def test_what_stands_stands_on_its_own(rows):
    once = supported(OWNED_BY_ADA, rows)
    trimmed = [
        GivenRights(
            kept.key,
            kept.giver_id,
            kept.receiver_id,
            Entry(kept.entry.thing_id, kept.entry.resource, rights),
        )
        for kept, rights in once
    ]

    assert left(trimmed) == {kept.key: rights for kept, rights in once}
