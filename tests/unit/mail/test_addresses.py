import pytest

from thingstead.mail.addresses import (
    LONGEST_ADDRESS,
    checked_address,
    greeting_name,
    one_line,
    parse_sender,
)

LONGEST = "l" * 64 + "@" + "d" * (LONGEST_ADDRESS - 65)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ada@example.org", "ada@example.org"),
        ("ada+things@example.org", "ada+things@example.org"),
        ("ädä@example.org", "ädä@example.org"),
        ("ada@exämple.org", "ada@xn--exmple-cua.org"),
        ("ada@localhost", "ada@localhost"),
        (LONGEST, LONGEST),
    ],
)
def test_addresses_that_are_taken(address, expected):
    assert checked_address(address).addr_spec == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\nRCPT TO:<eve@example.org>",
        "ada\r@example.org",
        "ada@exam\x00ple.org",
        "ada\x7f@example.org",
        "ada@example.org\u2028Bcc: eve",
        "ada@example.org\u0085",
        "ada @example.org",
        "ada\u00a0@example.org",
        "ada@example.org eve@example.org",
        "ada@example.org,eve@example.org",
        "ada@example.org;eve@example.org",
        "ada@eve@example.org",
        "Ada <ada@example.org>",
        '"ada@x"@example.org',
        "ada(comment)@example.org",
        "ada@[127.0.0.1]",
        "=?utf-8?q?=0D=0ABcc=3A_x=40y?=@example.org",
        "undisclosed:ada@example.org",
        "ada\\@example.org",
        "\ud800@example.org",
        "ada@ex\u202eample.org",
        "ada@" + "ä" * 64 + ".org",
        "l" * 65 + "@example.org",
        "ä" * 33 + "@example.org",
        LONGEST + "d",
    ],
)
def test_what_could_be_more_than_one_mailbox_is_refused_and_not_quoted(address):
    with pytest.raises(ValueError, match=r"\Ait is no mail address\Z"):
        checked_address(address)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("things@example.org", "things@example.org"),
        ("Things <things@example.org>", "Things <things@example.org>"),
        ('"Things, Inc." <things@example.org>', '"Things, Inc." <things@example.org>'),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(text, expected):
    assert str(parse_sender(text)) == expected


def test_an_encoded_line_feed_in_a_senders_name_stays_encoded():
    name = parse_sender("=?utf-8?q?=0D=0ABcc=3A_x=40y?= <a@b.c>").display_name

    assert name == "= ?utf-8?q?=0D=0ABcc=3A_x=40y?="


@pytest.mark.parametrize("text", ["", "Things", "Things <>", "a@b.c\r\nBcc: x@y.z", "T <a b@c.d>"])
def test_other_senders_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  # What matters is that it is refused.
        parse_sender(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lamps", "Lamps"),
        ("a\r\nBcc: x@y", "a Bcc: x@y"),
        ("a\x00b\x1b[31m\u2028c\u0085d\te", "a b [31m c d e"),
        ("\u202egpj.exe", "gpj.exe"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 9 + "…"),
        ("\ud800", ""),
    ],
)
def test_a_text_becomes_one_line(text, expected):
    assert one_line(text, 10 if set(text) == {"x"} else 100) == expected


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://things.example.org:8443/x", "things.example.org"),
        ("http://192.168.1.5:8080", "[192.168.1.5]"),
        ("http://[fd00::1]:8080", "[IPv6:fd00::1]"),
        ("https://exämple.org", "xn--exmple-cua.org"),
    ],
)
def test_the_server_greets_with_its_own_name(url, name):
    assert greeting_name(url) == name
