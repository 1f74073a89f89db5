"""The options of a subscription as the one number that a kept session keeps."""

from hypothesis import given
from hypothesis import strategies as st

from thingstead.transports.mqtt.feeds import Options


@given(st.integers(0, 1), st.booleans(), st.one_of(st.none(), st.integers(1, 268_435_455)))
def test_options_come_back_as_they_were_kept(qos, is_no_local, identifier):
    kept = Options.of(Options(qos, is_no_local=is_no_local, identifier=identifier).number)

    assert (kept.qos, kept.is_no_local, kept.identifier) == (qos, is_no_local, identifier)


def test_no_two_options_have_one_number():
    numbers = [
        Options(qos, is_no_local=is_no_local, identifier=identifier).number
        for qos in (0, 1)
        for is_no_local in (False, True)
        for identifier in (None, 1, 2, 268_435_455)
    ]

    assert len(set(numbers)) == len(numbers)
