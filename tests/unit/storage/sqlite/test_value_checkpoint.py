"""The write-ahead log is copied beside the writer, and begins anew."""

from contextlib import closing

import pytest

from thingstead.storage.sqlite.opening import prepare_file
from thingstead.storage.sqlite.value_checkpoint import Checkpointer
from thingstead.storage.sqlite.value_files import connect

PAGES = 4


@pytest.fixture
def path(tmp_path):
    prepare_file(tmp_path / "values.db", "values")
    return tmp_path / "values.db"


@pytest.fixture
def writer(path):
    with closing(connect(path, is_writer=True)) as connection:
        yield connection


@pytest.fixture
def copier(path):
    with closing(connect(path, is_writer=True)) as connection:
        yield connection


class Count:
    """Counts the calls of `append`, which takes nothing."""

    def __init__(self):
        self.calls = 0

    def append(self):
        self.calls += 1


@pytest.fixture
def copied():
    return Count()


@pytest.fixture
def checkpointer(path, writer, copier, copied):
    checkpointer = Checkpointer(path, writer, copier, pages=PAGES, on_copied=copied.append)
    yield checkpointer
    checkpointer.close()


def commit(writer, number):
    writer.execute("INSERT INTO document VALUES ('thing', ?, 0, ?)", (f"d{number}", "x" * 5_000))


def pages_in_log(connection):
    """Return how many pages the log holds, by asking for a copy of what is left."""
    _, in_log, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return in_log


def waiting_jobs(checkpointer):
    return len(checkpointer._thread._jobs)


@pytest.mark.parametrize(("pages", "jobs"), [(PAGES - 1, 0), (PAGES, 1)])
def test_a_copy_is_asked_for_when_the_log_is_long_enough(checkpointer, pages, jobs):
    checkpointer.note(pages)

    assert waiting_jobs(checkpointer) == jobs


def test_one_copy_is_asked_for_at_a_time(checkpointer):
    for _ in range(3):
        checkpointer.note(PAGES)

    assert waiting_jobs(checkpointer) == 1


def copy_while_the_writer_goes_on(checkpointer, writer, path):
    """Have the copy end before the log does, as it does when commits come meanwhile."""
    for number in range(5):
        commit(writer, number)
        checkpointer.note(PAGES)
    with closing(connect(path, is_writer=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM document").fetchone()
        commit(writer, 5)
        checkpointer._copy([None])
        reader.execute("COMMIT")


def test_the_log_begins_anew_after_the_copy_and_the_writers_rest(
    checkpointer, writer, copier, path
):
    copy_while_the_writer_goes_on(checkpointer, writer, path)

    checkpointer.settle()
    commit(writer, 6)

    assert pages_in_log(copier) < 12


def test_without_the_writers_rest_the_log_would_grow_on(checkpointer, writer, copier, path):
    copy_while_the_writer_goes_on(checkpointer, writer, path)

    commit(writer, 6)

    assert pages_in_log(copier) > 20


def test_the_next_copy_is_asked_for_after_the_last_one_has_ended(checkpointer, writer):
    commit(writer, 0)
    checkpointer.note(PAGES)
    checkpointer._copy([None])
    checkpointer.settle()

    checkpointer.note(PAGES)

    assert waiting_jobs(checkpointer) == 2


def test_it_is_busy_from_the_request_for_a_copy_until_the_writer_has_copied_the_rest(
    checkpointer, copied
):
    busy = [checkpointer.is_busy]
    checkpointer.note(PAGES)
    busy.append(checkpointer.is_busy)
    checkpointer._copy([None])
    busy.append(checkpointer.is_busy)
    checkpointer.settle()
    busy.append(checkpointer.is_busy)

    assert busy == [False, True, True, False]
    assert copied.calls == 1


def test_a_failed_copy_is_logged_and_tried_again(checkpointer, copier, writer, caplog):
    checkpointer.note(PAGES)
    copier.close()

    checkpointer._copy([None])
    checkpointer.settle()
    checkpointer.note(PAGES)

    assert "was not copied" in caplog.text
    assert waiting_jobs(checkpointer) == 2


def test_the_thread_ends_with_its_last_copy(checkpointer):
    checkpointer.start()
    checkpointer.note(PAGES)

    assert checkpointer.stop(10)
