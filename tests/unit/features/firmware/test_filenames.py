"""Names of files that are harmless in a header and on a disk."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.firmware.filenames import safe_filename

hostile = st.text(st.characters(exclude_categories=()), max_size=400) | st.text(
    '../\\:"\0\r\n;%cCoOnN01 \u202e~', max_size=400
)


@given(hostile)
def test_whatever_is_sent_the_name_is_harmless(text):
    name = safe_filename(text)

    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,99}", name)
    assert not name.endswith(".")
    assert safe_filename(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("app-1.2.3+b.bin", "app-1.2.3+b.bin"),
        ("../../etc/passwd", "passwd"),
        ("C:\\build\\app.bin", "app.bin"),
        ("..%2f..%2fapp.bin", "_2f.._2fapp.bin"),
        ("a\0b.bin", "a_b.bin"),
        ("a\r\nSet-Cookie: b", "a_Set-Cookie_b"),
        ('a";x="b.bin', "a_x_b.bin"),
        ("app\u202enib.exe", "app_nib.exe"),
        ("фирмварь.bin", "_.bin"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("con", "_con"),
        ("NUL.bin", "_NUL.bin"),
        ("console.bin", "console.bin"),
    ],
)
def test_it_keeps_what_it_can(text, name):
    assert safe_filename(text) == name


@pytest.mark.parametrize("text", ["", "...", "/", "\\", "dir/", "\0", "..", "___", "\u202e", "-."])
def test_where_nothing_is_left_there_is_a_name_all_the_same(text):
    assert safe_filename(text) == "firmware.bin"


@pytest.mark.parametrize(("letters", "kept"), [(96, 96), (97, 96), (296, 96)])
def test_a_name_of_over_100_characters_keeps_its_extension(letters, kept):
    assert safe_filename("a" * letters + ".bin") == "a" * kept + ".bin"


def test_a_long_extension_is_cut_as_well():
    assert safe_filename("a." + "b" * 200) == "a." + "b" * 98
    assert safe_filename("a" * 99 + "." + "b" * 200) == "a" * 99
