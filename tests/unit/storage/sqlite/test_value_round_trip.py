"""Any JSON value that the checks let pass comes back from the file as it went in."""

import itertools
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.value_stores import THING, timed, value, write
from doubles.values import decoded
from thingstead.features.values.model import Position, Window
from thingstead.storage.sqlite import value_reader, value_writer
from thingstead.storage.sqlite.opening import prepare_file
from thingstead.storage.sqlite.value_files import connect
from thingstead.storage.sqlite.value_reader import ReadJob, ValueReader
from thingstead.storage.sqlite.value_writer import ValueWriter, WriteJob

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=15
)
keys = map("key{}".format, itertools.count())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("values") / "values.db"
    prepare_file(path, "values")
    return path


@pytest.fixture(scope="module")
def writer(path):
    with closing(connect(path, is_writer=True)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        yield ValueWriter(connection, max_keys=1_000_000, replay_values=1_000)


@pytest.fixture(scope="module")
def reader(path):
    with closing(connect(path, is_writer=False)) as connection:
        yield ValueReader(connection)


def store(writer, *values):
    job = WriteJob(write(*values), None)
    writer.store([job])
    assert job.error is None
    return job.result


@given(JSON)
def test_a_value_comes_back_with_every_type_in_it(writer, reader, sent):
    key = next(keys)
    store(writer, value(key, sent))

    ((read, *_),) = reader.newest(THING, (0,), key, Window()).rows

    assert repr(decoded(read)) == repr(sent)


@given(JSON)
def test_a_value_that_comes_again_is_a_repeat(writer, sent):
    key = next(keys)

    assert store(writer, timed(key, sent), timed(key, sent)).repeats == {1}


@given(SCALARS, SCALARS)
def test_only_equal_values_of_one_type_are_repeats(writer, one, other):
    key = next(keys)

    appended = store(writer, timed(key, one), timed(key, other))

    assert appended.repeats == ({1} if type(one) is type(other) and one == other else set())


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_position_comes_back_to_the_last_bit(writer, reader, lat, long):
    key = next(keys)
    store(writer, value(key, 1, 1, Position(lat, long)))

    assert reader.newest(THING, (0,), key, Window()).rows == [(1, 1, lat, long)]


@given(st.integers(-(2**60), 2**60))
def test_a_window_of_one_millisecond_finds_its_value(writer, reader, at_ms):
    key = next(keys)
    store(writer, value(key, 1, at_ms))

    found = reader.newest(THING, (0,), key, Window(1, at_ms, at_ms + 1))

    assert found.rows == [(1, at_ms, None, None)]
    assert reader.newest(THING, (0,), key, Window(1, at_ms + 1)).rows == []
    assert reader.newest(THING, (0,), key, Window(1, None, at_ms)).rows == []


def test_the_reader_keeps_a_bounded_number_of_series(writer, reader, monkeypatch):
    monkeypatch.setattr(value_reader, "_SERIES_KEPT", 2)
    monkeypatch.setattr(reader, "_series", {})
    names = [next(keys) for _ in range(5)]
    store(writer, *(value(name, name) for name in names))

    read = [reader.newest(THING, (0,), name, Window()).rows[0][0] for name in [*names, *names]]

    assert read == [*names, *names]
    assert len(reader._series) <= 2


def test_the_writer_keeps_a_bounded_number_of_series(path, reader, monkeypatch):
    monkeypatch.setattr(value_writer, "_SERIES_KEPT", 3)
    with closing(connect(path, is_writer=True)) as connection:
        writer = ValueWriter(connection, max_keys=10, replay_values=1_000)
        things = [f"thing {number}" for number in range(5)]
        for thing in [*things, *things]:
            writer.store([WriteJob(write(value("a", thing), value("b"), thing=thing), None)])

        assert writer._series_count == sum(len(keys) for _, keys in writer._series.values())
        assert writer._series_count <= 3 + 2
    assert all(len(reader.newest(thing, (0,), "a", Window(9)).rows) == 2 for thing in things)


def test_the_writer_keeps_of_each_thing_the_epoch_written_to_last(path, reader):
    with closing(connect(path, is_writer=True)) as connection:
        writer = ValueWriter(connection, max_keys=10, replay_values=1_000)
        for epoch in (0, 1, 0, 1, 1):
            job = WriteJob(
                write(value("a", epoch), value("b"), thing="mover", epochs=(epoch,)), None
            )
            writer.store([job])

        assert writer._series_count == sum(len(keys) for _, keys in writer._series.values()) == 2
    for epoch, number in ((0, 2), (1, 3)):
        rows = reader.newest("mover", (epoch,), "a", Window(9)).rows
        assert [row[0] for row in rows] == [epoch] * number


def test_a_reader_whose_connection_is_gone_fails_each_look_up(path):
    connection = connect(path, is_writer=False)
    reader = ValueReader(connection)
    connection.close()
    job = ReadJob(lambda one: one.keys(THING, (0,)), None)

    reader.run(job)

    assert isinstance(job.error.__cause__, sqlite3.ProgrammingError)
