"""Mail addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.users.addresses import email_address
from thingstead.features.users.errors import InvalidEmailError


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  ada@example.org\n", "ada@example.org"),
        ("Ada.Lovelace+iot@Example.ORG", "ada.lovelace+iot@example.org"),
        ("ada@localhost", "ada@localhost"),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
        ("J\u030c@example.org", "\u01f0@example.org"),
        ("\u30a2\u30c0@\u4f8b.jp", "\u30a2\u30c0@xn--fsq.jp"),
        (
            "ada@\u0939\u093f\u0928\u094d\u0926\u0940.example",
            "ada@xn--j2bd4cyah0f.example",
        ),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@\uff42omb.example", "ada@bomb.example"),
        ("ada@\U0001d41bomb.example", "ada@bomb.example"),
        ("o'hara!#$%&*/=?^_`{|}~-@a-b.c1", "o'hara!#$%&*/=?^_`{|}~-@a-b.c1"),
    ],
)
def test_an_address_is_kept_composed_and_in_lower_case(text, kept):
    assert email_address(text) == kept


@pytest.mark.parametrize(
    "text",
    ["", "ada", "ada@", "@example.org", "ada@b@c.org", "ada@.org", "ada@example.", "ada@a..b"],
)
def test_an_address_needs_both_of_its_parts_and_one_at_sign(text):
    with pytest.raises(InvalidEmailError):
        email_address(text)


@pytest.mark.parametrize(
    "character", list('<>,;:"()[]\\ \t\r\n\x00\x7f\u00a0\u2028\u200b\u202e\ud800\ue000')
)
def test_characters_that_mean_something_in_a_head_are_refused(character):
    with pytest.raises(InvalidEmailError, match="a character that addresses do not have"):
        email_address(f"a{character}b@example.org")


@pytest.mark.parametrize(
    "domain", ["-a.org", "a-.org", "a_b.org", "a!b", "\u0308a.org", "a\u00b2.org", "a\uff0eorg"]
)
def test_a_domain_has_letters_digits_and_hyphens_within(domain):
    with pytest.raises(InvalidEmailError, match="no domain"):
        email_address(f"ada@{domain}")


@pytest.mark.parametrize("domain", ["fa\u00df.example", "fa\u1e9e.example", "\u03ba\u03c2.example"])
def test_a_domain_that_means_another_one_to_other_programs_is_to_be_written_in_ascii(domain):
    with pytest.raises(InvalidEmailError, match="xn--"):
        email_address(f"ada@{domain}")


@pytest.mark.parametrize("label", ["\u05d0a", "\ufb30a", "\u00fc" * 60])
def test_a_label_that_has_no_form_in_ascii_is_refused(label):
    with pytest.raises(InvalidEmailError, match="no domain"):
        email_address(f"ada@{label}.example")


def test_the_form_in_ascii_counts_for_the_length():
    domain = ".".join(["".join(chr(0x4E00 + 1_000 * number) for number in range(13))] * 6)

    with pytest.raises(InvalidEmailError, match="254 characters"):
        email_address(f"ada@{domain}")


def test_64_characters_before_the_at_sign_are_enough():
    assert email_address("a" * 64 + "@b.org")
    with pytest.raises(InvalidEmailError, match="1 to 64 characters"):
        email_address("a" * 65 + "@b.org")


def test_63_characters_between_dots_are_enough():
    assert email_address("ada@" + "b" * 63 + ".org")
    with pytest.raises(InvalidEmailError):
        email_address("ada@" + "b" * 64 + ".org")


def test_254_characters_are_enough():
    domain = ".".join(["b" * 63] * 3)
    longest = "a" * 62 + "@" + domain
    assert len(longest) == 254

    assert email_address(longest) == longest
    with pytest.raises(InvalidEmailError, match="254 characters"):
        email_address("a" + longest)


def test_a_very_long_text_is_refused_unread():
    with pytest.raises(InvalidEmailError, match="254 characters"):
        email_address(" " * 1_017 + "@")


def test_a_refusal_never_quotes_the_address():
    with pytest.raises(InvalidEmailError) as caught:
        email_address("canary with blanks@example.org")

    assert "canary" not in str(caught.value)


@given(
    st.text(min_size=1, max_size=30), st.text("aB1-\u00fc\u0130\u0308.", min_size=1, max_size=20)
)
def test_what_is_kept_is_its_own_form(local, domain):
    try:
        kept = email_address(f"{local}@{domain}")
    except InvalidEmailError:
        return

    assert email_address(kept) == kept
