"""Looking for announcements at once, for who has just made one."""

from doubles.callers import Announcements
from doubles.clock import ManualClock
from thingstead.kernel.changes import Changes, Kind


def test_looking_now_does_not_wait_for_the_pause_between_two_looks():
    announcements = Announcements()
    changes = Changes(announcements, ManualClock())
    heard = []
    changes.listen(Kind.USER, heard.append)
    changes.look()
    announcements.announce(Kind.USER, "ada")

    changes.look()
    before = list(heard)
    changes.look_now()

    assert (before, heard) == ([], ["ada"])


def test_looking_now_begins_a_new_pause():
    announcements = Announcements()
    clock = ManualClock()
    changes = Changes(announcements, clock)
    heard = []
    changes.listen(Kind.USER, heard.append)
    changes.look()
    clock.advance(0.04)
    changes.look_now()
    announcements.announce(Kind.USER, "ada")

    clock.advance(0.04)
    changes.look()

    assert heard == []
