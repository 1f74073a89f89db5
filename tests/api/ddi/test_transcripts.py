"""rauc-hawkbit-updater and Zephyr's agent, byte by byte, with what they look at in the answers.

Written after their sources: `src/hawkbit-client.c` of rauc/rauc-hawkbit-updater, and
`subsys/mgmt/hawkbit/hawkbit.c` of Zephyr.
"""

import hashlib
import json
from urllib.parse import urlsplit

import pytest

from support.hawkbit import publish
from support.wire import connect

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = b"an image of no bootloader" * 100
BOARD = "nrf9160dk_nrf9160_ns"
ROOM_OF_ZEPHYR = 1_099


class Updater:
    """rauc-hawkbit-updater, which opens a connection for every request."""

    def __init__(self, agent):
        self.agent = agent
        self.root = f"http://{agent.host}/DEFAULT/controller/v1/{agent.id}"

    async def request(self, method, url, body=None, accept="application/json;charset=UTF-8"):
        parts = urlsplit(url)
        assert parts.netloc == self.agent.host
        head = (
            f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "User-Agent: rauc-hawkbit-c-agent/1.0\r\n"
            f"Accept: {accept}\r\n"
            f"Authorization: TargetToken {self.agent.new.token}\r\n"
        )
        if body is not None:
            head += (
                "Content-Type: application/json;charset=UTF-8\r\n"
                f"Content-Length: {len(body.encode())}\r\n"
            )
        async with connect(self.agent.served.address) as wire:
            await wire.send(f"{head}\r\n{body or ''}".encode())
            got = await wire.read()
        # Anything else is an error to it, 201 and 204 as well.
        assert got.status == 200, got.body
        return got

    async def say(self, action, detail, finished, execution):
        body = (
            f'{{"id":"{action}","time":"20260131T120000","status":{{"result":'
            f'{{"finished":"{finished}"}},"execution":"{execution}","details":["{detail}"]}}}}'
        )
        await self.request("POST", f"{self.root}/deploymentBase/{action}/feedback", body)


async def test_rauc_hawkbit_updater_installs_a_bundle(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0", filename="update.raucb")
    updater = Updater(agent)

    polled = (await updater.request("GET", updater.root)).json
    hours, minutes, seconds = polled["config"]["polling"]["sleep"].split(":")
    await updater.request(
        "PUT",
        f"{updater.root}/configData",
        '{"time":"20260131T120000","status":{"result":{"finished":"success"},'
        '"execution":"closed"},"data":{"product":"Station","sw_version":"1.2.0"}}',
    )
    deployment = (await updater.request("GET", polled["_links"]["deploymentBase"]["href"])).json
    action = deployment["id"]
    chunk = deployment["deployment"]["chunks"][0]
    artifact = chunk["artifacts"][0]
    url = artifact["_links"].get("download", artifact["_links"]["download-http"])["href"]
    bundle = (await updater.request("GET", url, accept="application/octet-stream")).body
    await updater.say(action, "Download complete. 1.23 MB/s", "none", "proceeding")
    await updater.say(action, "File checksum OK.", "none", "proceeding")
    await updater.say(action, "Copying image to slot", "none", "proceeding")
    installing = await agent.state()
    await updater.say(action, "Software bundle installed successfully.", "success", "closed")
    after = (await updater.request("GET", updater.root)).json["_links"]

    assert int(hours) * 3_600 + int(minutes) * 60 + int(seconds) > 0
    assert isinstance(action, str)
    assert (chunk["name"], chunk["version"]) == ("main", "1.3.0")
    assert artifact["size"] == len(bundle)
    assert artifact["hashes"]["sha1"] == hashlib.sha1(bundle, usedforsecurity=False).hexdigest()
    assert installing == "installing"
    assert await agent.state() in {"reported", "succeeded"}
    assert "deploymentBase" not in after


class Zephyr:
    """Zephyr's agent: one connection for each probe, and hardly any room."""

    def __init__(self, agent, wire):
        self.agent, self.wire = agent, wire
        self.root = f"/default/controller/v1/{BOARD}-{agent.id[:32]}"

    async def request(self, method, path, body=None):
        assert len(path) < 200
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.agent.host}\r\n"
            f"Authorization: TargetToken {self.agent.new.token}\r\n"
        )
        if body is not None:
            head += (
                f"Content-Type: application/json;charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
            )
        await self.wire.send(f"{head}\r\n{body or ''}".encode())
        got = await self.wire.read()
        assert got.status == 200, got.body
        assert int(got.get("Content-Length")) == len(got.body)
        return got

    async def json(self, path):
        got = await self.request("GET", path)
        assert len(got.body) <= ROOM_OF_ZEPHYR
        # It takes texts as they are written, escapes included.
        assert b"\\" not in got.body
        return json.loads(got.body)

    async def probe(self):
        return (await self.json(self.root))["_links"]


def path_of(href):
    """What `hawkbit_get_url` makes of a link."""
    _, _, rest = href.partition("//")
    return "/" + rest.partition("/")[2]


async def test_zephyrs_agent_installs_an_image(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0", filename="app_update.bin")
    async with connect(agent.served.address) as wire:
        zephyr = Zephyr(agent, wire)
        links = await zephyr.probe()
        told = f'{{"mode":"merge","data":{{"VIN":"{agent.id[:32]}"}}}}'
        await zephyr.request("PUT", path_of(links["configData"]["href"]), told)
        links = await zephyr.probe()
        assert "configData" not in links
        deployment = await zephyr.json(path_of(links["deploymentBase"]["href"]))
        (chunk,) = deployment["deployment"]["chunks"]
        (artifact,) = chunk["artifacts"]
        href = artifact["_links"]["download-http"]["href"]
        image = (await zephyr.request("GET", path_of(href))).body
    # It restarts into the image, and reports the action that it has kept.
    async with connect(agent.served.address) as wire:
        zephyr = Zephyr(agent, wire)
        again = await zephyr.json(path_of((await zephyr.probe())["deploymentBase"]["href"]))
        said = '{"status":{"result":{"finished":"success"},"execution":"closed"}}'
        action = int(again["id"])
        await zephyr.request("POST", f"{zephyr.root}/deploymentBase/{action}/feedback", said)
        after = await zephyr.probe()

    # Older ones look for the tenant in capital letters, although they ask for it in small ones.
    assert "/DEFAULT/controller/v1" in href
    assert chunk["part"] == "bApp"
    assert bytes.fromhex(artifact["hashes"]["sha256"]) == hashlib.sha256(image).digest()
    assert again["id"] == deployment["id"]
    assert await agent.state() in {"reported", "succeeded"}
    assert "deploymentBase" not in after


@pytest.mark.parametrize("skipped", ["cancelAction/", "cancelAction/\0"], ids=["older", "newer"])
async def test_zephyrs_agent_stops(agent, skipped):
    await agent.configure(VIN="x")
    await publish(agent.served, agent.product, IMAGE, "1.3.0")
    await agent.download()
    update = await agent.update()
    await agent.served.platform.administration.publishing.revoke(update.firmware_id)
    async with connect(agent.served.address) as wire:
        zephyr = Zephyr(agent, wire)
        href = (await zephyr.probe())["cancelAction"]["href"]
        action = int(href[href.index("cancelAction/") + len(skipped) :])
        said = '{"status":{"result":{"finished":"success"},"execution":"closed"}}'
        await zephyr.request("POST", f"{path_of(href)}/feedback", said)
        after = await zephyr.probe()

    assert action == update.action
    assert after == {}
