import subprocess
import sys

import pytest

from thingstead.hashing import common_passwords
from thingstead.hashing.common_passwords import MOST_FREQUENT, CommonPasswordList


@pytest.mark.parametrize("password", ["123456", "password", "iloveyou", "PassWord", "QWERTYUIOP"])
def test_common_passwords_are_known_in_any_mix_of_capitals(password):
    assert password in CommonPasswordList()


@pytest.mark.parametrize("password", ["", "correct horse battery", "123456,password", "\ud800"])
def test_other_texts_are_not(password):
    assert password not in CommonPasswordList()


def test_the_list_ends_with_the_ten_thousandth():
    passwords = CommonPasswordList()

    # The ones at both sides of the cut, as zxcvbn ranks them.
    assert "cathy1" not in passwords
    assert "qqqqqq1" in passwords
    assert len(passwords._passwords) == MOST_FREQUENT


def test_the_list_is_read_once_and_not_before_it_is_needed(monkeypatch):
    read = []
    monkeypatch.setattr(
        common_passwords, "_load", lambda: read.append("read") or frozenset({"password"})
    )

    passwords = CommonPasswordList()
    before = list(read)
    found = ["password" in passwords, "else" in passwords]

    assert (before, read, found) == ([], ["read"], [True, False])


def test_the_tables_of_the_package_are_not_loaded():
    program = (
        "import sys; from thingstead.hashing.common_passwords import CommonPasswordList;"
        "assert 'password' in CommonPasswordList(); assert 'zxcvbn' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
