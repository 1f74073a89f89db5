"""Who may use hawkBit's API for devices: a thing, for itself."""

from dataclasses import replace

import pytest

from support.hawkbit import Agent, new_agent, publish
from support.in_process import GENEROUS, served
from support.wire import ask
from thingstead.transports.http.ddi.auth import InvalidTargetTokenError
from thingstead.transports.http.ddi.handlers import DDIHandlers
from thingstead.transports.http.request import Request

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = b"an image of no bootloader" * 100


def like(answer):
    return answer.status, answer.body, sorted(name.lower() for name, _ in answer.headers)


@pytest.mark.parametrize("scheme", ["TargetToken", "targettoken", "TARGETTOKEN "])
async def test_a_thing_comes_in_with_its_token(agent, scheme):
    got = await agent.ask("GET", Authorization=f"{scheme} {agent.new.token}")

    assert got.status == 200


@pytest.mark.parametrize("tenant", ["DEFAULT", "default", "a.b-c_1", "t" * 64])
async def test_any_tenant_will_do(agent, tenant):
    agent.tenant = tenant

    assert (await agent.ask("GET")).status == 200


@pytest.mark.parametrize("tenant", ["t" * 65, "-a", "a%20b", "%C3%A4"])
async def test_what_can_be_no_tenant_is_not_there(agent, tenant):
    agent.tenant = tenant

    assert (await agent.ask("GET")).status == 404


async def test_zephyrs_form_of_the_id_is_known(agent):
    whole = agent.id
    for written in (f"board-{whole[:32]}", f"board-{whole}"):
        agent.id = written
        assert (await agent.ask("GET")).status == 200
    for written in (f"board-{whole[:31]}", whole[:32], f"board{whole[:32]}", f"-{whole[1:33]}"):
        agent.id = written
        assert (await agent.ask("GET")).status == 401


@pytest.mark.parametrize("before", ["%0D%0A", "a%22b", "a%3Fb", "a%23b", "%C3%A4", "%20"])
async def test_ids_that_would_spoil_links_are_not_known(agent, before):
    agent.id = f"{before}-{agent.id}"

    assert (await agent.ask("GET")).status == 401


@pytest.mark.parametrize(("length", "status"), [(128, 200), (129, 401)])
async def test_ids_are_bounded(agent, length, status):
    agent.id = "b" * (length - 33) + f"-{agent.id[:32]}"

    assert (await agent.ask("GET")).status == status


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "TargetToken",
        "TargetToken ",
        "TargetToken x",
        "TargetToken " + "A" * 43,
        "TargetToken " + "A" * 300,
        "GatewayToken {token}",
        "Bearer {token}",
        "{token}",
        "TargetToken {token}, TargetToken {token}",
    ],
)
async def test_without_the_things_token_there_is_nothing(agent, header):
    agent.headers = (
        {"Authorization": header.format(token=agent.new.token)} if header else {"A": "b"}
    )

    got = await agent.ask("GET")

    assert (got.status, got.message) == (401, "Invalid target token")


async def test_the_token_of_one_thing_opens_no_other(server, agent):
    other = await new_agent(server, agent.product)
    absent = Agent(server, agent.product, other.new, id="A" * 43)
    mixed = Agent(server, agent.product, other.new, id=agent.id)
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "/configData", {"data": {}}),
        ("GET", "/deploymentBase/1", None),
        ("POST", "/deploymentBase/1/feedback", {}),
        ("GET", "/cancelAction/1", None),
        ("POST", "/cancelAction/1/feedback", {}),
        ("GET", "/installedBase/1", None),
        ("GET", "/confirmationBase", None),
        ("GET", "/softwaremodules/1/artifacts", None),
        ("GET", "/softwaremodules/1/artifacts/a", None),
    ):
        got = await mixed.ask(method, path, body)

        assert got.status == 401
        assert like(got) == like(await absent.ask(method, path, body))


async def test_the_token_of_a_deleted_thing_opens_nothing(server, agent):
    await server.platform.things.delete(agent.new.thing.id)

    assert (await agent.ask("GET")).status == 401


async def test_right_to_a_download_is_looked_at_again_while_it_goes_on(server, agent):
    firmware = await publish(server, agent.product, IMAGE, "1.3.0")
    platform = server.platform
    services = platform.administration
    routes = DDIHandlers(
        platform.things,
        platform.firmware.offers,
        services.updates,
        services.catalogues,
        clock=platform.clock,
    ).routes()
    headers = [(b"authorization", agent.headers["Authorization"].encode())]
    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": headers}
    request = Request(scope | {"client": None}, None)
    request.arguments = {
        "tenant": agent.tenant,
        "controller_id": agent.id,
        "module_id": str(firmware.number),
        "name": firmware.filename,
    }
    (download,) = (route for route in routes if route.pattern.endswith("/{name}"))
    answer = await download.handler(request)
    await answer.check()

    await platform.things.delete(agent.new.thing.id)

    with pytest.raises(InvalidTargetTokenError):
        await answer.check()


async def test_the_addresses_of_the_api_stay_its_own(server, agent):
    headers = agent.headers

    below_v2 = await ask(server.address, "GET", f"/v2/controller/v1/{agent.id}", None, headers)
    elsewhere = await ask(server.address, "GET", f"/mqtt/controller/v1/{agent.id}", None, headers)
    deeper = await ask(server.address, "GET", f"{agent.root}/nothing", None, headers)
    other_method = await ask(server.address, "DELETE", agent.root, None, headers)

    assert (below_v2.status, below_v2.message) == (401, "Invalid session token")
    assert elsewhere.status == 404
    assert deeper.status == 404
    assert other_method.status == 405


async def test_guesses_have_the_budget_of_thing_tokens(tmp_path):
    limits = replace(GENEROUS, bad_tokens_per_minute=2)
    async with served(tmp_path / "folder", limits=limits) as running:
        agent = await new_agent(running)
        wrong = Agent(running, agent.product, agent.new, headers={"Authorization": "TargetToken x"})

        statuses = [(await wrong.ask("GET")).status for _ in range(3)]

        assert statuses == [401, 401, 429]
        assert (await agent.ask("GET")).status == 200


async def test_links_begin_with_the_public_url_if_there_is_one(tmp_path):
    async with served(tmp_path / "folder", public_url="https://iot.example.org/sub/") as running:
        agent = await new_agent(running)
        await publish(running, agent.product, IMAGE, "1.3.0")

        got = await agent.ask("GET", Host="elsewhere.example.org")

        url = got.json["_links"]["deploymentBase"]["href"]
        assert url.startswith("https://iot.example.org/sub/DEFAULT/controller/v1/")


async def test_behind_a_trusted_proxy_links_begin_as_the_proxy_tells(tmp_path):
    async with served(tmp_path / "folder", trusted_proxy=("127.0.0.1",)) as running:
        agent = await new_agent(running)

        got = await agent.ask("GET", Host="iot.example.org", **{"X-Forwarded-Proto": "https"})

        url = got.json["_links"]["configData"]["href"]
        assert url.startswith("https://iot.example.org/DEFAULT/controller/v1/")
