import pytest

from thingstead.kernel.plurals import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 things"), (1, "1 thing"), (2, "2 things"), (1_000, "1000 things")]
)
def test_only_one_is_in_the_singular(count, words):
    assert counted(count, "thing") == words


def test_a_plural_that_ends_otherwise_is_given():
    assert [counted(count, "waits", "wait") for count in (1, 2)] == ["1 waits", "2 wait"]
