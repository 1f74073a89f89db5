"""SWUpdate, as Debian has it, updates a device from here: a process that speaks hawkBit's API."""

import asyncio
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

from support.hawkbit import new_agent, publish
from support.in_process import GENEROUS, served
from support.swupdate import Signer, swupdate

pytestmark = pytest.mark.needs_tool("swupdate")

PATIENCE_SECONDS = 60
DOCS = (Path(__file__).parents[2] / "docs" / "hawkbit.md").read_text("utf-8")
OLD, NEW = b"the old application\n", b"the new application\n" * 50_000
# After it told its attributes it sleeps as long as it is told.
SOON = replace(GENEROUS, firmware_poll_seconds=10)
AGAIN_AFTER_A_RESTART = "2"
"""What `-c` takes when the new software has been tested."""


def settings_in_the_docs(agent):
    """The settings that the documentation prints, for this agent."""
    found = re.search(r"```\n(globals : .+?)```", DOCS, re.DOTALL)
    filled = found[1].replace("HOST:8000", agent.host)
    return filled.replace("THING_ID", agent.id).replace("THING_TOKEN", agent.new.token)


@pytest.fixture(name="signer", scope="module")
def one_whose_archives_are_taken():
    return Signer()


def flags(agent, *more):
    return (
        *("-t", agent.tenant, "-u", f"http://{agent.host}"),
        *("-i", agent.id, "-k", agent.new.token, *more),
    )


async def reaches(agent, running, is_there):
    """Wait until the agent's update is where it should be; return the states it went through.

    Fails with what the process said when it ends before, or takes too long.
    """
    queue = asyncio.Queue()
    agent.served.platform.administration.updates.on_change(queue.put_nowait)
    ended = asyncio.create_task(asyncio.to_thread(running.process.wait))
    seen = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                told = asyncio.ensure_future(queue.get())
                await asyncio.wait({told, ended}, return_when=asyncio.FIRST_COMPLETED)
                assert told.done(), running.logged()
                seen.append(told.result().state.value)
                if is_there(told.result()):
                    return seen
    except TimeoutError:
        raise AssertionError(f"{seen}\n{running.logged()}") from None


async def test_swupdate_installs_an_archive_and_reports_its_success(tmp_path, signer):
    target = tmp_path / "application"
    target.write_bytes(OLD)
    async with served(tmp_path / "folder", limits=SOON) as server:
        agent = await new_agent(server)
        archive = signer.archive(NEW, "1.3.0", target)
        await publish(server, agent.product, archive, "1.3.0", filename="station.swu")

        with swupdate(tmp_path / "device", signer, *flags(agent)) as running:
            on_the_way = await reaches(
                agent, running, lambda update: "All Chunks Installed" in update.reason
            )
        installed = target.read_bytes()
        # A device would start again here, into the new software, and find that it works.
        again = flags(agent, "-c", AGAIN_AFTER_A_RESTART)
        with swupdate(tmp_path / "device", signer, *again) as running:
            await reaches(agent, running, lambda update: update.state in {"reported", "succeeded"})
        links = await agent.links()

    assert installed == NEW
    steps = [state for state, _ in itertools.groupby(on_the_way)]
    assert steps == ["offered", "downloading", "downloaded", "installing"]
    assert "deploymentBase" not in links


async def test_swupdate_reports_why_it_did_not_install_an_archive(tmp_path, signer):
    target = tmp_path / "application"
    target.write_bytes(OLD)
    async with served(tmp_path / "folder", limits=SOON) as server:
        agent = await new_agent(server)
        archive = Signer().archive(NEW, "1.3.0", target)
        await publish(server, agent.product, archive, "1.3.0", filename="station.swu")

        with swupdate(tmp_path / "device", signer, *flags(agent)) as running:
            await reaches(agent, running, lambda update: update.failures > 0)
        update = await agent.update()

    assert target.read_bytes() == OLD
    assert update.failures == 1
    assert "says that the update to 1.3.0 failed: " in update.reason


async def test_swupdate_tells_its_version_with_the_settings_in_the_documentation(tmp_path, signer):
    async with served(tmp_path / "folder", limits=SOON) as server:
        agent = await new_agent(server)
        await publish(server, agent.product, b"not newer", "1.2.0", filename="station.swu")

        with swupdate(tmp_path / "device", signer, settings=settings_in_the_docs(agent)) as running:
            await reaches(agent, running, lambda update: update.state == "current")
        update = await agent.update()

    assert "reports 1.2.0" in update.reason
