"""What agents of hawkBit say of their actions, and of themselves."""

import pytest
import pytest_asyncio

from support.hawkbit import feedback, new_agent, publish
from support.wire import compact
from thingstead.transports.http.ddi.handlers import MAX_ATTRIBUTES_BYTES, MAX_FEEDBACK_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = b"an image of no bootloader" * 100


@pytest_asyncio.fixture(loop_scope="module", name="offered")
async def an_agent_that_was_offered_an_image(agent):
    await publish(agent.served, agent.product, IMAGE, "1.3.0")
    return agent


def of_size(size, document, fill):
    """The document as a body of that size, `fill` being the member that takes the room."""
    room = size - len(compact(document | {fill: ""}))
    return compact(document | {fill: "x" * room})


async def test_an_update_goes_from_the_offer_to_its_success(offered):
    action, image = await offered.download()
    states = [await offered.state()]

    assert image == IMAGE
    for said in (("proceeding", "none", "installing"), ("closed", "success", "done")):
        assert await offered.say(action, *said) == 200
        states.append(await offered.state())

    assert states[0] == "downloaded"
    assert states[2] in {"reported", "succeeded"}
    assert (await offered.links()).keys() & {"deploymentBase", "installedBase"} == {"installedBase"}


async def test_what_was_installed_can_be_looked_at(offered):
    action, _ = await offered.download()
    before = await offered.ask("GET", f"/installedBase/{action}")
    await offered.say(action, "closed", "success")

    got = await offered.ask("GET", (await offered.links())["installedBase"])

    assert before.status == 404
    assert got.json["id"] == str(action)
    assert got.json["deployment"]["chunks"][0]["version"] == "1.3.0"
    assert (await offered.ask("GET", f"/deploymentBase/{action}")).status == 404


async def test_a_failure_is_told_with_its_reason_and_the_image_is_offered_again(offered):
    action, _ = await offered.download()

    await offered.say(action, "closed", "failure", "no room", "for it")

    update = await offered.update()
    assert update.state == "failed"
    assert "no room; for it" in update.reason
    assert (await offered.deployment())[0] == action


async def test_an_agent_that_fails_too_often_is_told_nothing_more(offered):
    for _ in range(3):
        action, _ = await offered.download()
        await offered.say(action, "closed", "failure")

    assert await offered.state() == "blocked"
    assert "deploymentBase" not in await offered.links()
    assert await offered.say(action, "proceeding") == 410


async def test_nothing_more_can_be_said_about_what_succeeded(offered):
    action, _ = await offered.download()
    await offered.say(action, "closed", "success")
    await offered.served.platform.administration.updates.wrote(offered.new.thing.id)
    assert await offered.state() == "succeeded"

    got = await offered.ask("POST", f"/deploymentBase/{action}/feedback", feedback("proceeding"))

    assert got.status == 410
    assert await offered.say(action, "canceled", kind="cancelAction") == 410


async def test_success_may_be_said_twice_because_an_answer_may_be_lost(offered):
    action, _ = await offered.download()

    first = await offered.say(action, "closed", "success")
    second = await offered.say(action, "closed", "success")

    assert (first, second) == (200, 200)


@pytest.mark.parametrize(
    "execution",
    ["scheduled", "proceeding", "download", "downloaded", "resumed", "rejected", "canceled"],
)
async def test_each_word_of_hawkbit_is_understood(offered, execution):
    action, _ = await offered.deployment()
    body = feedback(execution, "none", "detail", progress={"cnt": 1, "of": 2})

    got = await offered.ask("POST", f"/deploymentBase/{action}/feedback", body)

    assert (got.status, got.body) == (200, b"")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        [],
        {},
        {"status": []},
        {"status": {}},
        {"status": {"execution": "flying"}},
        {"status": {"execution": 1}},
        {"status": {"execution": "closed", "result": {"finished": "perhaps"}}},
        {"status": {"execution": "closed", "details": {}}},
    ],
)
@pytest.mark.parametrize("kind", ["deploymentBase", "cancelAction"])
async def test_what_cannot_be_understood_is_refused(offered, body, kind):
    action, _ = await offered.deployment()

    got = await offered.ask("POST", f"/{kind}/{action}/feedback", body)

    assert got.status == 400


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_FEEDBACK_BYTES, 200), (MAX_FEEDBACK_BYTES + 1, 413)]
)
async def test_feedback_is_bounded(offered, size, status):
    action, _ = await offered.deployment()
    body = of_size(size, feedback("proceeding"), "id")

    got = await offered.ask("POST", f"/deploymentBase/{action}/feedback", body)

    assert got.status == status


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_ATTRIBUTES_BYTES, 200), (MAX_ATTRIBUTES_BYTES + 1, 413)]
)
async def test_attributes_are_bounded(agent, size, status):
    got = await agent.ask("PUT", "/configData", of_size(size, {"data": {}}, "id"))

    assert got.status == status


async def test_details_of_a_device_are_kept_short(offered):
    action, _ = await offered.deployment()

    await offered.say(action, "proceeding", "none", *(["x" * 512] * 48))

    assert len((await offered.update()).reason) < 300


async def test_the_version_in_the_attributes_tells_how_an_update_went(offered):
    await offered.configure(version="1.2.0")
    await offered.download()

    await offered.configure(version="1.3.0")

    assert await offered.state() in {"reported", "succeeded"}
    assert "deploymentBase" not in await offered.links()


async def test_after_an_update_the_attributes_are_asked_for_again(offered):
    await offered.configure(VIN="x")
    action, _ = await offered.download()
    asked_before = "configData" in await offered.links()

    await offered.say(action, "closed", "success")

    assert not asked_before
    assert "configData" in await offered.links()


async def test_the_action_of_another_thing_is_not_there(server, offered):
    action, _ = await offered.deployment()
    other = await new_agent(server, offered.product)

    for method, path in (
        ("GET", f"/deploymentBase/{action}"),
        ("GET", f"/installedBase/{action}"),
        ("GET", f"/cancelAction/{action}"),
    ):
        assert (await other.ask(method, path)).status == 404
    assert await other.say(action, "closed", "failure") == 404
    assert await other.say(action, "canceled", kind="cancelAction") == 404
    assert await offered.state() == "offered"
