"""What every store of campaigns promises."""

import asyncio
from dataclasses import replace

import pytest

from thingstead.features.campaigns.model import (
    ENDED,
    OFFERING,
    CampaignPlan,
    CampaignState,
    Gate,
    Proof,
    RingCount,
    Stop,
    Target,
)
from thingstead.features.campaigns.ports import Candidate, Joining
from thingstead.features.firmware.model import (
    UNDER_WAY,
    FirmwareState,
    Running,
    Step,
    Update,
    UpdateState,
)
from thingstead.kernel.changes import Change, Kind

WAITING, CURRENT = UpdateState.WAITING, UpdateState.CURRENT
EVERYTHING = Target()


@pytest.fixture
async def product(make):
    return await make.product()


@pytest.fixture
async def firmware(make, product):
    return await make.firmware("2.0", product.id)


@pytest.fixture
async def campaign(make, firmware):
    return await make.campaign("campaign", firmware)


async def join(core, campaign, *joining, at_ms=7):
    """Have things join: `joining` are ids, or pairs of id and ring."""
    pairs = [one if isinstance(one, tuple) else (one, 0) for one in joining]
    await core.campaigns.join(
        campaign, [Joining(thing, ring, is_current=False) for thing, ring in pairs], at_ms=at_ms
    )


async def members(core, campaign, *states, after=None, limit=9):
    return await core.campaigns.members(campaign.id, states=states, after=after, limit=limit)


async def put(core, update, **changed):
    """Store the update with other members."""
    [stored] = await core.firmware_updates.save([Step(replace(update, **changed))])
    return stored


async def tagged(core, name, *tags):
    await core.tags.add_tags(name, list(tags), max_tags=9, at_ms=1)


async def test_a_campaign_comes_back_as_it_was_planned(core, firmware):
    plan = CampaignPlan(
        firmware_id=firmware.id,
        name="Spring, ünusual",
        target=Target(("roof", "Zürich"), ("1.0", "1.1")),
        rings=(5, 100),
        gate=Gate(80, 60, Proof.CONTACT),
        stop=Stop(3, None, 7),
        attempts=4,
        patience_s=1 << 33,
    )

    added = await core.campaigns.add("id", plan, firmware, at_ms=9)

    assert await core.campaigns.get("id") == added
    assert (added.plan, added.firmware_id) == (plan, firmware.id)
    assert (added.product_id, added.mcu) == (firmware.product_id, firmware.mcu)
    assert (added.state, added.reason, added.revision) == (CampaignState.PREPARING, "", 1)
    assert (added.open_ring, added.ring_opened_at_ms, added.prepared_to) == (0, 9, None)
    assert (added.forgiven_failures, added.forgiven_ended) == (0, 0)
    assert (added.created_at_ms, added.changed_at_ms) == (9, 9)


async def test_a_plan_without_wishes_comes_back_too(core, firmware, campaign):
    assert campaign.plan == CampaignPlan(firmware_id=firmware.id, name="campaign")
    assert await core.campaigns.get(campaign.id) == campaign
    assert await core.campaigns.get("unknown") is None


@pytest.mark.parametrize("state", CampaignState)
async def test_an_image_gets_another_campaign_once_the_last_has_ended(
    core, firmware, campaign, state
):
    await core.campaigns.change(replace(campaign, state=state))

    added = await core.campaigns.add("another", campaign.plan, firmware, at_ms=1)

    assert (added is not None) == (state in ENDED)


async def test_of_concurrent_campaigns_of_one_image_one_is_stored(core, open_again, firmware):
    other = await open_again()
    plan = CampaignPlan(firmware_id=firmware.id, name="a plan")

    added = await asyncio.gather(
        *(
            store.campaigns.add(f"{number}", plan, firmware, at_ms=1)
            for number, store in enumerate([core, other] * 4)
        )
    )

    [stored] = [one for one in added if one is not None]
    assert await core.campaigns.page(None, after=None, limit=9) == [stored]


async def test_pages_go_from_the_newest_to_the_oldest(core, make):
    one, two = await make.product(), await make.product()
    made = []
    for number, (name, product) in enumerate([("d", one), ("a", two), ("c", one), ("b", two)]):
        image = await make.firmware(f"{number}.0", product.id)
        # Neither ids nor times tell the order.
        made.append(await make.campaign(name, image, at_ms=9 - number))

    first = await core.campaigns.page(None, after=None, limit=3)
    rest = await core.campaigns.page(None, after=first[-1].id, limit=3)
    of_one = await core.campaigns.page(one.id, after=made[2].id, limit=3)

    assert first == made[:0:-1]
    assert rest == [made[0]]
    assert of_one == [made[0]]
    assert await core.campaigns.page(None, after="unknown", limit=3) == []


async def test_campaigns_at_work_come_the_oldest_first(core, make):
    made = {}
    for state in reversed(CampaignState):
        campaign = await make.campaign(f"{state}", await make.firmware("1.0"))
        made[state] = await core.campaigns.change(replace(campaign, state=state))

    at_work = await core.campaigns.at_work()

    assert at_work == [made[CampaignState.RUNNING], made[CampaignState.PREPARING]]


async def test_all_that_may_change_is_stored(core, campaign):
    changed = replace(
        campaign,
        state=CampaignState.HALTED,
        reason="too many fäilures",
        open_ring=2,
        ring_opened_at_ms=1 << 41,
        forgiven_failures=3,
        forgiven_ended=4,
        resumed_at_ms=1 << 41,
        prepared_to="thing",
        changed_at_ms=1 << 41,
    )

    stored = await core.campaigns.change(changed)

    assert stored == replace(changed, revision=2)
    assert await core.campaigns.get(campaign.id) == stored


async def test_a_change_made_from_an_older_campaign_is_not_stored(core, campaign):
    stored = await core.campaigns.change(replace(campaign, reason="first"))

    assert await core.campaigns.change(replace(campaign, reason="second")) is None
    assert await core.campaigns.change(replace(campaign, id="unknown")) is None
    assert await core.campaigns.get(campaign.id) == stored


async def test_of_concurrent_changes_one_wins(core, open_again, campaign):
    other = await open_again()

    changed = await asyncio.gather(
        *(
            store.campaigns.change(replace(campaign, open_ring=number))
            for number, store in enumerate([core, other] * 4)
        )
    )

    [winner] = [one for one in changed if one is not None]
    assert await core.campaigns.get(campaign.id) == winner


async def test_a_campaign_publishes_its_draft_when_told_so(core, make, product):
    draft = await make.firmware("3.0", product.id, is_draft=True)
    campaign = await make.campaign("one", draft)

    campaign = await core.campaigns.change(replace(campaign, changed_at_ms=8))
    before = await core.firmwares.get(draft.id)
    await core.campaigns.change(replace(campaign, changed_at_ms=9), publishes=True)

    published = replace(draft, state=FirmwareState.PUBLISHED, published_at_ms=9)
    assert (before, await core.firmwares.get(draft.id)) == (draft, published)


async def test_a_campaign_that_changed_publishes_nothing(core, make, product):
    draft = await make.firmware("3.0", product.id, is_draft=True)
    campaign = await make.campaign("one", draft)
    await core.campaigns.change(campaign)

    assert await core.campaigns.change(campaign, publishes=True) is None
    assert await core.firmwares.get(draft.id) == draft


async def test_an_image_that_was_revoked_is_not_published_again(core, firmware, campaign):
    revoked = await core.firmwares.change_state(
        firmware.id, FirmwareState.REVOKED, from_states=[FirmwareState.PUBLISHED], at_ms=1
    )

    assert await core.campaigns.change(campaign, publishes=True) is not None
    assert await core.firmwares.get(firmware.id) == revoked


async def test_candidates_are_the_product_s_things_in_pages(core, make, product):
    for name in ("c", "a", "b"):
        await make.thing(name, product)
    await make.thing("of another product")
    await core.firmware_updates.save_running(
        [Running("a", "main", "1.0", 1, 1), Running("b", "radio", "9.0", 1, 1)]
    )
    candidates = core.campaigns.candidates

    first = await candidates(product.id, "main", EVERYTHING, after=None, limit=2)
    rest = await candidates(product.id, "main", EVERYTHING, after="b", limit=2)

    assert first == [Candidate("a", "1.0"), Candidate("b", None)]
    assert rest == [Candidate("c", None)]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(tags=("roof",)), "ab"),
        (Target(tags=("roof", "cellar")), "abc"),
        (Target(tags=("attic",)), ""),
        (Target(versions=("1.0",)), "ac"),
        (Target(versions=("1.0", "1.1")), "abc"),
        (Target(tags=("roof",), versions=("1.0",)), "a"),
        (EVERYTHING, "abcd"),
    ],
)
async def test_a_target_selects_by_tag_and_version(core, make, product, target, expected):
    for name in "abcd":
        await make.thing(name, product)
    await tagged(core, "a", "roof", "cellar")
    await tagged(core, "b", "roof")
    await tagged(core, "c", "cellar")
    await core.firmware_updates.save_running(
        [
            Running(thing, "main", version, 1, 1)
            for thing, version in (("a", "1.0"), ("b", "1.1"), ("c", "1.0"))
        ]
        + [Running("d", "radio", "1.0", 1, 1)]
    )

    found = await core.campaigns.candidates(product.id, "main", target, after=None, limit=9)
    selected = [
        name for name in "abcd" if await core.campaigns.selects(product.id, "main", target, name)
    ]

    assert "".join(one.thing_id for one in found) == expected
    assert "".join(selected) == expected


async def test_things_of_other_products_are_never_selected(core, make, product):
    await make.thing("one", product)
    other = await make.product()

    assert not await core.campaigns.selects(other.id, "main", EVERYTHING, "one")
    assert not await core.campaigns.selects(product.id, "main", EVERYTHING, "unknown")


async def test_things_join_waiting_or_current(core, make, product, firmware, campaign):
    for name in ("a", "b"):
        await make.thing(name, product)

    await core.campaigns.join(
        campaign, [Joining("b", 2, is_current=True), Joining("a", 1, is_current=False)], at_ms=7
    )

    waiting, current = await members(core, campaign)
    assert waiting == Update(
        thing_id="a",
        firmware_id=firmware.id,
        product_id=product.id,
        mcu="main",
        campaign_id=campaign.id,
        ring=1,
        state=WAITING,
        changed_at_ms=7,
        action=waiting.action,
        revision=1,
    )
    assert (current.state, current.ring, current.ended_at_ms) == (CURRENT, 2, 7)
    assert current.reason
    assert (await core.firmware_updates.record("a")).updates == (waiting,)


async def test_joining_stands_in_the_timeline(core, make, product, firmware, campaign):
    await make.thing("a", product)

    await join(core, campaign, "a")

    [(_, event)] = await core.firmware_updates.timeline("a", before=None, limit=9)
    assert (event.kind, event.at_ms, event.detail) == ("joined", 7, "")
    assert (event.firmware_id, event.campaign_id) == (firmware.id, campaign.id)


async def test_a_thing_with_an_update_keeps_its_state_and_gets_the_ring(
    core, make, product, firmware, campaign
):
    await make.thing("a", product)
    [update] = await core.firmware_updates.save(
        [
            Step(
                Update(
                    thing_id="a",
                    firmware_id=firmware.id,
                    product_id=product.id,
                    mcu="main",
                    state=UpdateState.FAILED,
                    failures=2,
                    changed_at_ms=3,
                )
            )
        ]
    )

    await join(core, campaign, ("a", 2))

    [joined] = await members(core, campaign)
    assert joined == replace(update, campaign_id=campaign.id, ring=2, revision=2)
    late = replace(update, state=UpdateState.OFFERED)
    assert await core.firmware_updates.save([Step(late)]) == [None]


async def test_a_thing_goes_from_an_ended_campaign_to_the_next(
    core, make, product, firmware, campaign
):
    await make.thing("a", product)
    await join(core, campaign, ("a", 1))
    await core.campaigns.change(replace(campaign, state=CampaignState.CANCELLED))
    following = await make.campaign("following", firmware)

    await join(core, following, ("a", 3))

    assert await members(core, campaign) == []
    [joined] = await members(core, following)
    assert (joined.ring, joined.revision, joined.changed_at_ms) == (3, 2, 7)


async def test_joining_again_changes_nothing(core, open_again, make, product, campaign):
    await make.thing("a", product)
    await join(core, campaign, ("a", 1))
    before = await members(core, campaign)
    other = await open_again()

    await join(core, campaign, ("a", 2), at_ms=8)

    assert await members(core, campaign) == before
    assert len(await core.firmware_updates.timeline("a", before=None, limit=9)) == 1
    assert list(other.change_signal.changes()) == []


async def test_of_a_thing_named_twice_the_first_counts(core, make, product, campaign):
    await make.thing("a", product)

    await join(core, campaign, ("a", 1), ("a", 2))

    [joined] = await members(core, campaign)
    assert (joined.ring, joined.revision) == (1, 1)


async def test_deleted_things_do_not_join(core, make, product, campaign):
    await make.thing("a", product)

    await join(core, campaign, "gone", "a")
    await join(core, campaign)

    assert [one.thing_id for one in await members(core, campaign)] == ["a"]
    assert await core.firmware_updates.timeline("gone", before=None, limit=9) == []


async def test_a_thousand_things_join_at_once_each_once(core, make, product, campaign):
    names = [(await make.thing(f"{number:04d}", product)).id for number in range(1_001)]
    await join(core, campaign, *names[:10])

    await join(core, campaign, *names)

    listed = await members(core, campaign, limit=2_000)
    assert [one.thing_id for one in listed] == names
    assert await core.campaigns.counts(campaign.id) == {0: RingCount({WAITING: 1_001}, 0)}
    for name in (names[0], names[-1]):
        assert len(await core.firmware_updates.timeline(name, before=None, limit=9)) == 1


async def test_concurrent_joins_leave_one_update_a_thing(core, open_again, make, product, campaign):
    names = [(await make.thing(f"{number:02d}", product)).id for number in range(20)]
    other = await open_again()

    await asyncio.gather(*(join(store, campaign, *names) for store in [core, other] * 3))

    listed = await members(core, campaign, limit=99)
    assert [(one.thing_id, one.revision) for one in listed] == [(name, 1) for name in names]


async def test_counts_tell_states_and_failures_of_each_ring(core, make, product, campaign):
    outcomes = [
        (0, UpdateState.SUCCEEDED, 1),
        (0, UpdateState.SUCCEEDED, 0),
        (0, UpdateState.FAILED, 2),
        (2, UpdateState.OFFERED, 1),
        (2, UpdateState.BLOCKED, 3),
        (2, UpdateState.WAITING, 0),
    ]
    for number, (ring, state, failures) in enumerate(outcomes):
        await make.thing(f"{number}", product)
        await join(core, campaign, (f"{number}", ring))
        [update] = (await core.firmware_updates.record(f"{number}")).updates
        await put(core, update, state=state, failures=failures)

    assert await core.campaigns.counts(campaign.id) == {
        0: RingCount({UpdateState.SUCCEEDED: 2, UpdateState.FAILED: 1}, 1),
        2: RingCount({UpdateState.OFFERED: 1, UpdateState.BLOCKED: 1, UpdateState.WAITING: 1}, 2),
    }
    assert await core.campaigns.counts("unknown") == {}


async def test_members_come_by_thing_and_by_state_in_pages(core, make, product, campaign):
    states = [WAITING, UpdateState.FAILED, UpdateState.OFFERED, UpdateState.FAILED]
    for name, state in zip("dcba", states, strict=True):
        await make.thing(name, product)
        await join(core, campaign, name)
        [update] = (await core.firmware_updates.record(name)).updates
        await put(core, update, state=state)

    everything = await members(core, campaign, limit=3)
    rest = await members(core, campaign, after="c", limit=3)
    failed = await members(core, campaign, UpdateState.FAILED, WAITING, limit=2)
    later = await members(core, campaign, UpdateState.FAILED, WAITING, after="c", limit=2)

    names = ["".join(one.thing_id for one in page) for page in (everything, rest, failed, later)]
    assert names == ["abc", "d", "ac", "d"]


async def test_members_of_a_deleted_thing_are_not_counted(core, make, product, campaign):
    for name in "ab":
        await make.thing(name, product)
    await join(core, campaign, "a", "b")

    await core.things.delete_thing("a", at_ms=1)

    assert [one.thing_id for one in await members(core, campaign)] == ["b"]
    assert await core.campaigns.counts(campaign.id) == {0: RingCount({WAITING: 1}, 0)}


async def test_updates_under_way_are_overdue_after_a_time(core, make, product, campaign):
    for state in UpdateState:
        await make.thing(state.value, product)
        await join(core, campaign, state.value)
        [update] = (await core.firmware_updates.record(state.value)).updates
        await put(core, update, state=state, changed_at_ms=100)

    at_once = await core.campaigns.overdue(campaign.id, before_ms=100, limit=9)
    later = await core.campaigns.overdue(campaign.id, before_ms=101, limit=9)

    assert at_once == []
    assert {one.state for one in later} == UNDER_WAY
    assert await core.campaigns.overdue("unknown", before_ms=101, limit=9) == []


async def test_the_longest_overdue_come_first(core, make, product, campaign):
    for name, changed_at_ms in (("a", 30), ("b", 10), ("c", 20)):
        await make.thing(name, product)
        await join(core, campaign, name)
        [update] = (await core.firmware_updates.record(name)).updates
        await put(core, update, state=UpdateState.DOWNLOADED, changed_at_ms=changed_at_ms)

    overdue = await core.campaigns.overdue(campaign.id, before_ms=99, limit=2)

    assert [one.thing_id for one in overdue] == ["b", "c"]


async def test_the_image_before_is_the_published_one_with_the_next_sequence(core, make, product):
    await make.firmware("1.0", product.id, sequence=1)
    before = await make.firmware("1.1", product.id, sequence=2)
    revoked = await make.firmware("1.2", product.id, sequence=3)
    await core.firmwares.change_state(
        revoked.id, FirmwareState.REVOKED, from_states=[FirmwareState.PUBLISHED], at_ms=1
    )
    await make.firmware("1.3", product.id, sequence=4, is_draft=True)
    await make.firmware("9.0", product.id, sequence=5, mcu="radio")
    firmware = await make.firmware("2.0", product.id, sequence=6)
    await make.firmware("3.0", product.id, sequence=7)

    assert await core.campaigns.earlier(firmware) == before.id


@pytest.mark.parametrize("state", list(CampaignState))
async def test_the_image_before_is_one_that_is_offered(core, make, product, state):
    before = await make.firmware("1.0", product.id, sequence=1)
    doubtful = await make.firmware("1.1", product.id, sequence=2)
    firmware = await make.firmware("1.2", product.id, sequence=3)
    for name, to in (("a", CampaignState.CANCELLED), ("b", state)):
        campaign = await make.campaign(name, doubtful)
        await core.campaigns.change(replace(campaign, state=to))

    expected = doubtful if state in OFFERING else before
    assert await core.campaigns.earlier(firmware) == expected.id


async def test_before_the_first_image_there_is_none(core, make):
    await make.firmware("1.0", sequence=1)
    firmware = await make.firmware("1.0", sequence=2)

    assert await core.campaigns.earlier(firmware) is None


async def test_each_change_is_announced_with_the_product(core, open_again, make, product, firmware):
    await make.thing("a", product)
    other = await open_again()
    seen = []

    campaign = await make.campaign("campaign", firmware)
    seen.append(list(other.change_signal.changes()))
    campaign = await core.campaigns.change(campaign)
    seen.append(list(other.change_signal.changes()))
    await join(core, campaign, "a")
    seen.append(list(other.change_signal.changes()))

    assert seen == [[Change(Kind.FIRMWARE, str(product.id))]] * 3


async def test_what_changes_nothing_is_not_announced(core, open_again, firmware, campaign):
    await core.campaigns.change(campaign)
    other = await open_again()

    assert await core.campaigns.change(campaign) is None
    assert await core.campaigns.add("another", campaign.plan, firmware, at_ms=1) is None
    await join(core, campaign, "gone")

    assert list(other.change_signal.changes()) == []
