"""Activation on a running server: once per code, and bounded for those who guess."""

import asyncio

import pytest

from support.process import server_process
from support.wire import ask, connect, request, values

ATTEMPTS = 200


@pytest.fixture(scope="module")
def generous(tmp_path_factory):
    """A server that lets one address be wrong very often."""
    env = {"THINGSTEAD_LIMITS_BAD_CODES_PER_MINUTE": "1000000"}
    with server_process(tmp_path_factory.mktemp("generous") / "folder", env=env) as running:
        yield running


@pytest.fixture
def strict(tmp_path):
    """A server that lets one address be wrong five times."""
    env = {
        "THINGSTEAD_LIMITS_BAD_CODES_PER_MINUTE": "5",
        "THINGSTEAD_LIMITS_BAD_TOKENS_PER_MINUTE": "5",
    }
    with server_process(tmp_path / "folder", env=env) as running:
        yield running


def product_of(server):
    return server.command("product", "list")[0]["id"]


def new_codes(server, count=1):
    return server.command(
        "codes", "create", "--product", str(product_of(server)), "--count", str(count)
    )


async def activate(server, code, **members):
    return await ask(server.address, "POST", "/v2/things", {"activationCode": code, **members})


async def all_at_once(server, requests):
    """Open every connection first, then send all requests together."""
    ready = asyncio.Barrier(len(requests))

    async def send(raw):
        async with connect(server.address) as wire:
            await ready.wait()
            await wire.send(raw)
            return await wire.read()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send(raw)) for raw in requests]
    return [task.result() for task in tasks]


async def test_of_200_concurrent_attempts_exactly_one_gets_the_thing(generous):
    [code] = new_codes(generous)

    answers = await all_at_once(
        generous, [request("POST", "/v2/things", {"activationCode": code})] * ATTEMPTS
    )

    statuses = sorted(got.status for got in answers)
    assert statuses == [201] + [400] * (ATTEMPTS - 1)
    assert {got.body for got in answers if got.status == 400} == {
        b'{"status":"error","code":400,"message":"Invalid activation code"}'
    }


async def test_200_concurrent_codes_make_200_things(generous):
    codes = new_codes(generous, ATTEMPTS)

    answers = await all_at_once(
        generous, [request("POST", "/v2/things", {"activationCode": code}) for code in codes]
    )

    assert {got.status for got in answers} == {201}
    assert len({got.json["thingToken"] for got in answers}) == ATTEMPTS
    assert len({got.json["thingId"] for got in answers}) == ATTEMPTS


async def test_a_code_of_another_product_is_refused_and_stays_usable(generous):
    other = generous.command("product", "create", "Other")["id"]
    [code] = new_codes(generous)

    wrong = await activate(generous, code, productId=other)
    right = await activate(generous, code, productId=product_of(generous))

    assert (wrong.status, right.status) == (400, 201)


async def test_the_first_starts_code_works_once(tmp_path):
    with server_process(tmp_path / "folder") as server:
        first = await activate(server, server.code)
        second = await activate(server, server.code)

    assert (first.status, second.status) == (201, 400)


async def test_so_many_wrong_codes_are_answered_and_the_next_is_not(strict):
    answers = [await activate(strict, f"WRONG-{number}") for number in range(6)]

    assert [got.status for got in answers] == [400] * 5 + [429]
    assert answers[-1].message.startswith("Too Many Requests: at most 5 wrong activation codes")
    assert 1 <= int(answers[-1].get("Retry-After")) <= 60


async def test_right_codes_cost_nothing(strict):
    codes = new_codes(strict, 12)

    answers = [await activate(strict, code) for code in codes]

    assert {got.status for got in answers} == {201}


async def test_wrong_codes_sent_together_are_not_more_than_are_allowed(strict):
    # Used codes are well formed, so that each has to be looked up.
    [code] = new_codes(strict)
    assert (await activate(strict, code)).status == 201

    answers = await all_at_once(
        strict, [request("POST", "/v2/things", {"activationCode": code})] * 50
    )

    assert [got.status for got in answers].count(400) <= 5


async def test_unknown_tokens_sent_together_are_not_more_than_are_allowed(strict):
    asked = [request("GET", f"/v2/things/{number:043d}/resources") for number in range(50)]

    answers = await all_at_once(strict, asked)

    assert [got.status for got in answers].count(404) <= 5


async def test_who_used_up_the_budget_of_tokens_still_serves_known_things(strict):
    thing = f"/v2/things/{strict.token}"
    await ask(strict.address, "POST", thing, values(("a", 1)))
    wrong = [await ask(strict.address, "GET", f"/v2/things/{n:043d}/tags") for n in range(6)]

    right = await ask(strict.address, "POST", thing, values(("a", 2)))

    assert [got.status for got in wrong] == [404] * 5 + [429]
    assert right.status == 201


async def test_what_the_command_line_makes_is_in_force_at_once(generous):
    product = str(product_of(generous))
    [code] = new_codes(generous)
    made = generous.command("thing", "create", "--product", product, "--name", "By hand")
    thing = f"/v2/things/{made['token']}"

    assert (await activate(generous, code)).status == 201
    assert (await ask(generous.address, "POST", thing, values(("a", 1)))).status == 201
    named = await ask(generous.address, "GET", f"{thing}/resources/$settings.name")
    assert named.json == [{"key": "$settings.name", "value": "By hand"}]


async def test_a_thing_that_the_command_line_deletes_is_gone_at_once(generous):
    made = generous.command("thing", "create", "--product", str(product_of(generous)))
    thing = f"/v2/things/{made['token']}"
    async with connect(generous.address) as wire:
        before = await wire.ask("POST", thing, values(("a", 1)))
        generous.command("thing", "delete", "--", made["id"])
        after = [
            await wire.ask("POST", thing, values(("a", 2))),
            await wire.ask("GET", f"{thing}/resources/a"),
        ]

    assert before.status == 201
    assert [got.status for got in after] == [404, 404]


async def test_a_token_that_the_command_line_rotates_works_as_long_as_it_says(generous):
    made = generous.command("thing", "create", "--product", str(product_of(generous)))
    old = f"/v2/things/{made['token']}"
    async with connect(generous.address) as wire:
        await wire.ask("POST", old, values(("a", 1)))
        second = generous.command("thing", "rotate-token", "--", made["id"])["token"]
        overlapping = await wire.ask("POST", old, values(("a", 2)))
        third = generous.command("thing", "rotate-token", "--overlap-hours", "0", "--", made["id"])
        statuses = [
            (await wire.ask("GET", f"/v2/things/{token}/resources/a?limit=9")).status
            for token in (made["token"], second, third["token"])
        ]

    assert overlapping.status == 201
    assert statuses == [404, 404, 200]
