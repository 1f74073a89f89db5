import pytest

from thingstead.transports.coap.refusals import InvalidTargetError
from thingstead.transports.coap.targets import target_of


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ([b"v2", b"things", b"T"], ("v2", "things", "T")),
        ([b"v2", b"things", b""], ("v2", "things")),
        ([b"", b"v2", b"", b"things", b"", b""], ("v2", "things")),
        ([b"v2/things/T"], ("v2", "things", "T")),
        ([b"/v2/things/", b"T"], ("v2", "things", "T")),
        ([b"v2", b"things", b"T?"], ("v2", "things", "T")),
        ([b"tags", "dach-grün".encode()], ("tags", "dach-grün")),
        ([b"resources", b"$settings"], ("resources", "$settings")),
        ([b"100%41"], ("100%41",)),
        ([], ()),
    ],
)
def test_path_is_told_however_it_is_cut(path, segments):
    assert target_of(path, []).segments == segments


@pytest.mark.parametrize(
    ("path", "query", "parameters"),
    [
        ([b"a"], [b"limit=15", b"startDate=2026"], {"limit": "15", "startDate": "2026"}),
        ([b"a?limit=15&startDate=2026"], [], {"limit": "15", "startDate": "2026"}),
        ([b"a?limit=15"], [b"limit=3"], {"limit": "3"}),
        ([b"a"], [b"limit=1&format=UTC"], {"limit": "1", "format": "UTC"}),
        ([b"a?startDate=2026-01-01T00%3A00%3A00Z"], [], {"startDate": "2026-01-01T00:00:00Z"}),
        ([b"a?date=1", b"2"], [], {"date": "1/2"}),
        ([b"a?"], [], {}),
        ([b"a"], [b"broadcast"], {"broadcast": ""}),
    ],
)
def test_query_is_told_wherever_it_stands(path, query, parameters):
    assert target_of(path, query).query == parameters


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ([b"\xff"], [], "UTF-8"),
        ([b"a"], [b"\xff"], "UTF-8"),
        ([b"a?b=%ff"], [], "UTF-8"),
        ([b"a", b"..", b"b"], [], "dot segments"),
        ([b"a/./b"], [], "dot segments"),
        ([b"a\\b"], [], "backslash"),
        ([b"a\x00"], [], "NUL"),
    ],
)
def test_what_could_mean_two_things_is_refused(path, query, said):
    with pytest.raises(InvalidTargetError, match=said):
        target_of(path, query)


def test_fifty_parameters_are_read_and_fifty_one_refused():
    parameters = [b"p%d=1" % n for n in range(51)]

    assert len(target_of([], parameters[:50]).query) == 50
    with pytest.raises(InvalidTargetError, match="more than 50"):
        target_of([], parameters)
