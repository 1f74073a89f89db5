"""What an agent of hawkBit is told when it polls, and what it then finds."""

import hashlib

import pytest

from support.hawkbit import is_json, new_agent, publish

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = b"an image of no bootloader" * 100


async def test_an_agent_with_nothing_to_do_is_asked_for_its_attributes_only(agent):
    got = await agent.ask("GET")

    assert got.status == 200
    assert is_json(got)
    assert got.json["_links"].keys() == {"configData"}
    hours, minutes, seconds = got.json["config"]["polling"]["sleep"].split(":")
    assert (len(hours), len(minutes), len(seconds)) == (2, 2, 2)


async def test_attributes_are_told_once(agent):
    put = await agent.ask("PUT", (await agent.links())["configData"], {"data": {"VIN": "x"}})

    assert (put.status, put.body) == (200, b"")
    assert await agent.links() == {}


async def test_what_has_not_changed_is_not_sent_again(agent):
    first = await agent.ask("GET")

    again = await agent.ask("GET", **{"If-None-Match": first.get("ETag")})
    await agent.configure(VIN="x")
    changed = await agent.ask("GET", **{"If-None-Match": first.get("ETag")})

    assert (again.status, again.body) == (304, b"")
    assert again.get("ETag") == first.get("ETag")
    assert changed.status == 200
    assert first.get("Cache-Control") == "private, no-cache"


async def test_what_is_published_is_to_be_installed(agent):
    firmware = await publish(agent.served, agent.product, IMAGE, "1.3.0")

    got = await agent.ask("GET", (await agent.links())["deploymentBase"])

    (chunk,) = got.json["deployment"]["chunks"]
    (artifact,) = chunk["artifacts"]
    assert is_json(got)
    assert (chunk["part"], chunk["name"], chunk["version"]) == ("bApp", "main", "1.3.0")
    assert artifact["size"] == len(IMAGE)
    assert artifact["hashes"] == {
        "sha1": hashlib.sha1(IMAGE, usedforsecurity=False).hexdigest(),
        "md5": hashlib.md5(IMAGE, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
    }
    assert str(firmware.number) in artifact["_links"]["download-http"]["href"]
    assert await agent.state() == "offered"


async def test_the_number_of_the_action_stays_the_same(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0")

    assert await agent.deployment() == await agent.deployment()


async def test_an_agent_fetches_the_image_and_its_digest(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0")
    _, artifact = await agent.deployment()
    path = agent.path(artifact["_links"]["download-http"]["href"])

    got = await agent.ask("GET", path)
    part = await agent.ask("GET", path, Range="bytes=5-9")
    head = await agent.ask("HEAD", path)
    md5 = await agent.ask("GET", agent.path(artifact["_links"]["md5sum-http"]["href"]))
    listed = await agent.ask("GET", path.rpartition("/")[0])

    assert (got.status, got.body) == (200, IMAGE)
    assert got.get("Content-Type") == "application/octet-stream"
    assert (part.status, part.body) == (206, IMAGE[5:10])
    assert (head.status, head.get("Content-Length")) == (200, str(len(IMAGE)))
    digest = hashlib.md5(IMAGE, usedforsecurity=False).hexdigest()
    assert md5.body == f"{digest}  main-1.3.0.bin\n".encode()
    assert md5.get("Content-Type") == "text/plain"
    assert listed.json == [artifact]


async def test_an_agent_that_runs_the_version_has_nothing_to_install(agent):
    await agent.configure(version="1.3.0")
    await publish(agent.served, agent.product, IMAGE, "1.3.0")

    assert await agent.links() == {}


async def test_an_agent_that_runs_an_older_version_has_the_newer_one_to_install(agent):
    await agent.configure(version="1.2.9")
    await publish(agent.served, agent.product, IMAGE, "1.3.0")

    assert "deploymentBase" in await agent.links()


async def test_one_image_at_a_time_is_to_be_installed(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0", mcu="main")
    await publish(agent.served, agent.product, IMAGE, "7", mcu="radio")

    first, first_file = await agent.deployment()
    await agent.say(first, "closed", "success")
    second, second_file = await agent.deployment()
    await agent.say(second, "closed", "success")

    assert first != second
    assert first_file["_links"] != second_file["_links"]
    assert "deploymentBase" not in await agent.links()


async def test_what_is_mandatory_is_forced(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0", is_mandatory=True)

    got = await agent.ask("GET", (await agent.links())["deploymentBase"])

    deployment = got.json["deployment"]
    assert (deployment["download"], deployment["update"]) == ("forced", "forced")


@pytest.mark.parametrize("action", ["999999", "0", "x", "-1", "1" * 19, "%E0%A4%A9"])
async def test_an_action_that_the_agent_was_not_told_of_is_not_there(agent, action):
    for method, path in (
        ("GET", f"/deploymentBase/{action}"),
        ("GET", f"/installedBase/{action}"),
        ("GET", f"/cancelAction/{action}"),
    ):
        assert (await agent.ask(method, path)).status == 404
    assert await agent.say(action, "proceeding") == 404
    assert await agent.say(action, "canceled", kind="cancelAction") == 404


@pytest.mark.parametrize("module", ["999999", "x", "1" * 19])
async def test_a_file_that_there_is_not_is_not_there(agent, module):
    modules = f"/softwaremodules/{module}/artifacts"

    assert (await agent.ask("GET", modules)).status == 404
    assert (await agent.ask("GET", f"{modules}/main-1.3.0.bin")).status == 404


async def test_a_file_has_one_name(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0")
    _, artifact = await agent.deployment()
    path = agent.path(artifact["_links"]["download-http"]["href"])

    assert (await agent.ask("GET", f"{path}x")).status == 404
    assert (await agent.ask("GET", f"{path}.SHA1SUM")).status == 404


async def test_an_image_of_another_product_is_not_there(server, agent):
    other = await new_agent(server)
    firmware = await publish(server, other.product, IMAGE, "1.3.0")
    modules = f"/softwaremodules/{firmware.number}/artifacts"

    assert (await other.ask("GET", modules)).status == 200
    assert (await agent.ask("GET", modules)).status == 404
    assert (await agent.ask("GET", f"{modules}/main-1.3.0.bin")).status == 404


async def test_nothing_waits_for_a_confirmation(agent):
    got = await agent.ask("GET", "/confirmationBase")

    assert got.json == {"autoConfirm": {"active": True}, "_links": {}}


async def test_links_have_the_name_that_the_agent_called_itself(server, agent):
    board = f"nrf9160dk_nrf9160_ns-{agent.id[:32]}"
    agent.id, agent.tenant = board, "default"
    await publish(server, agent.product, IMAGE, "1.3.0")

    got = await agent.ask("GET")

    url = got.json["_links"]["deploymentBase"]["href"]
    assert url.startswith(f"http://{agent.host}/DEFAULT/controller/v1/{board}/deploymentBase/")


async def test_a_host_that_cannot_be_one_is_refused(agent):
    got = await agent.ask("GET", Host="a/b")

    assert got.status == 400
