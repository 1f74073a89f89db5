"""The fleet over HTTP: what it sends, repeats, counts, and when it gives up."""

import pytest

from thingstead.simulation.fleet import Fleet
from thingstead.simulation.http_client import HTTPClient, NoAnswerError, Origin
from thingstead.simulation.remote import ActivationRefusedError, RemoteFleet, Tally, activate

ACTIVATED = b'HTTP/1.1 201 Created\r\nContent-Length: 22\r\n\r\n{"thingToken":"token"}'


@pytest.fixture(name="tally")
def _tally() -> Tally:
    return Tally()


@pytest.fixture(name="fleet")
def _fleet(client, pace, tally) -> RemoteFleet:
    return RemoteFleet(client, ["t0"], pace, tally, seed=1)


def keys(body) -> list[str]:
    return [value["key"] for value in body["values"]]


def seed_of_a_thing(*, has_clock: bool) -> int:
    return next(
        seed
        for seed in range(100)
        if Fleet(seed, 1).things[0].next(0).batches[-1].is_dated is has_clock
    )


async def test_a_thing_greets_and_then_writes_what_it_measures(server, pace, tally, fleet):
    pace.left = 3

    await fleet.run(is_introduced=False)

    assert server.paths == ["/v2/things/t0"] * 4
    assert keys(server.bodies[0])[:2] == ["boot", "temperature"]
    assert keys(server.bodies[1])[:2] == ["temperature", "humidity"]
    sent = sum(len(body["values"]) for body in server.bodies)
    assert tally == Tally(things=1, requests=4, values=sent, acknowledged=sent)


async def test_a_new_thing_introduces_itself_first(server, fleet):
    await fleet.run(is_introduced=True)

    assert "$settings.name" in keys(server.bodies[0])
    assert "$geo" in keys(server.bodies[0])


async def test_the_same_seed_sends_the_same(server, client, pace, tally):
    sent = []
    for _ in range(2):
        server.bodies.clear()
        pace.left = 50
        await RemoteFleet(client, ["t0"], pace, tally, seed=9).run(is_introduced=False)
        sent.append(list(server.bodies))

    assert sent[0] == sent[1]


async def test_each_thing_writes_with_its_own_token(server, client, pace, tally):
    await RemoteFleet(client, ["a", "b", "c"], pace, tally, seed=1).run(is_introduced=False)

    assert sorted(server.paths) == ["/v2/things/a", "/v2/things/b", "/v2/things/c"]
    assert tally.things == 3


async def test_a_token_cannot_leave_its_place_in_the_path(server, client, pace, tally):
    await RemoteFleet(client, ["a/b c\r\n"], pace, tally, seed=1).run(is_introduced=False)

    assert server.paths == ["/v2/things/a%2Fb%20c%0D%0A"]


async def test_a_date_as_retry_after_counts_as_no_advice(server, pace, fleet, refused):
    server.script = [refused(503, "Busy", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT")]

    await fleet.run(is_introduced=False)

    assert pace.pauses[0] < 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_gets_the_same_request_again_when_it_asked_for_it(
    server, pace, tally, fleet, refused, status
):
    server.script = [refused(status, "Busy", "Retry-After: 7")]

    await fleet.run(is_introduced=False)

    assert server.bodies[0] == server.bodies[1]
    assert pace.pauses == [7.0]
    assert (tally.requests, tally.refused) == (2, 0)
    assert tally.acknowledged == tally.values > 0


async def test_without_an_advice_the_waits_grow(server, pace, tally, fleet, refused):
    server.script = [refused(503, "Busy")] * 6

    await fleet.run(is_introduced=False)

    assert len(pace.pauses) == 5
    assert all(0.25 * 2**n <= wait <= 0.75 * 2**n for n, wait in enumerate(pace.pauses))
    assert tally.refused == tally.values
    assert tally.last_reason == "503 Busy"


async def test_a_wait_that_the_end_of_the_run_cuts_short_counts_as_refused(
    server, pace, tally, fleet, refused
):
    server.script = [refused(429, "Slow down", "Retry-After: 60")]
    pace.may_pause = False

    await fleet.run(is_introduced=False)

    assert tally.requests == 1
    assert tally.refused == tally.values > 0


async def test_other_refusals_are_counted_and_not_repeated(server, pace, tally, fleet, refused):
    server.script = [refused(400, "Invalid values")]
    pace.left = 1

    await fleet.run(is_introduced=False)

    assert tally.requests == 2
    assert (tally.refused, tally.acknowledged) == (6, tally.values - 6)
    assert tally.last_reason == "400 Invalid values"


async def test_a_thing_whose_token_is_unknown_falls_silent(server, pace, tally, fleet, refused):
    server.script = [refused(404, "Thing not found")]
    pace.left = 100

    await fleet.run(is_introduced=True)

    assert tally.requests == 1
    assert tally.acknowledged == 0


async def test_a_write_that_may_have_been_stored_is_not_repeated(server, client, pace, tally):
    seed = seed_of_a_thing(has_clock=False)
    server.script = [None]

    await RemoteFleet(client, ["t0"], pace, tally, seed=seed).run(is_introduced=False)

    assert tally.requests == 1
    assert tally.failed == tally.values == 6
    assert tally.last_reason == "the connection was closed"


async def test_a_write_that_carries_its_times_is_repeated(server, client, pace, tally):
    seed = seed_of_a_thing(has_clock=True)
    server.script = [None]

    await RemoteFleet(client, ["t0"], pace, tally, seed=seed).run(is_introduced=False)

    assert server.bodies[0] == server.bodies[1]
    assert tally.failed == 0


async def test_a_server_that_went_away_is_tried_some_times(server, pace, tally):
    url = server.url
    await server.stop()
    client = HTTPClient(Origin.of(url))

    await RemoteFleet(client, ["t0"], pace, tally, seed=1).run(is_introduced=False)

    assert tally.requests == 6
    assert tally.failed == tally.values > 0
    assert tally.last_reason == "connection refused"


async def test_codes_become_tokens(server, client, pace, tally):
    server.script = [ACTIVATED, ACTIVATED]

    assert await activate(client, ["c1", "c2"], pace, tally) == ["token", "token"]
    assert server.paths == ["/v2/things", "/v2/things"]
    assert server.bodies == [{"activationCode": "c1"}, {"activationCode": "c2"}]
    assert tally.values == 0


async def test_a_first_code_that_is_refused_is_an_error_without_the_code(
    server, client, pace, tally, refused
):
    server.script = [refused(400, "Invalid activation code")]

    with pytest.raises(ActivationRefusedError, match=r"code 1 of 2 .* 400 Invalid") as caught:
        await activate(client, ["SECRET", "c2"], pace, tally)

    assert "SECRET" not in str(caught.value)
    assert len(server.paths) == 1


async def test_things_made_before_a_refused_code_are_kept(server, client, pace, tally, refused):
    server.script = [ACTIVATED, refused(400, "Invalid activation code")]

    assert await activate(client, ["c1", "c2", "c3"], pace, tally) == ["token"]
    assert tally.last_reason == "code 2 of 3 was refused: 400 Invalid activation code"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n<p/>",
    ],
)
async def test_an_answer_without_a_token_is_a_refusal(server, client, pace, tally, answer):
    server.script = [answer]

    with pytest.raises(ActivationRefusedError):
        await activate(client, ["c1"], pace, tally)


async def test_an_activation_without_an_answer_is_not_repeated(server, client, pace, tally):
    server.script = [None]

    with pytest.raises(NoAnswerError):
        await activate(client, ["c1"], pace, tally)

    assert len(server.paths) == 1


async def test_the_end_of_the_run_ends_the_activation(server, client, pace, tally):
    pace.may_pause = False

    assert await activate(client, ["c1"], pace, tally) == []
    assert server.paths == []
