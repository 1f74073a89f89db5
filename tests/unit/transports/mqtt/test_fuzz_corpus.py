"""The fuzzer's kept inputs, replayed without the fuzzer."""

from pathlib import Path

import pytest

from fuzz.mqtt_target import check_one

CORPUS = sorted((Path(__file__).parents[3] / "fuzz" / "corpus" / "mqtt").iterdir())


def test_there_is_a_corpus():
    assert len(CORPUS) > 10


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_kept_input_breaks_nothing(path):
    check_one(path.read_bytes())
