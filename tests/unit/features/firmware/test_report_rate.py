"""How often one thing may have something stored about its firmware."""

import pytest

from doubles.offer_rig import OfferRig
from thingstead.features.firmware.model import FirmwareLimits
from thingstead.features.firmware.status import parse_status
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import TooManyRequestsError


@pytest.fixture
def rig():
    return OfferRig(FirmwareLimits(reports=Rate(per_second=1, burst=2)))


async def test_a_thing_reports_other_versions_as_often_as_it_may(rig):
    await rig.image("1.3")
    thing, other = rig.thing("one"), rig.thing("two")
    for version in ("1.0", "1.1"):
        await rig.poll(thing, version)
    writes = rig.store.writes

    with pytest.raises(TooManyRequestsError) as caught:
        await rig.poll(thing, "1.0")

    assert (caught.value.retry_after_s, rig.store.writes) == (2, writes)
    await rig.poll(other, "1.0")
    rig.clock.advance(1)
    await rig.poll(thing, "1.0")


async def test_a_version_that_is_known_may_be_told_at_any_time(rig):
    await rig.image("1.3")
    thing = rig.thing("one")

    for _ in range(5):
        await rig.poll(thing, "1.0")

    assert (await rig.following.record(thing.id)).running[0].version == "1.0"


async def test_a_thing_says_how_it_goes_as_often_as_it_may(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing)
    for per_cent in (1, 2):
        await rig.following.said(thing, firmware.id, parse_status("download", None, per_cent))

    with pytest.raises(TooManyRequestsError, match="at most 60 reports"):
        await rig.following.said(thing, firmware.id, parse_status("download", None, 3))
