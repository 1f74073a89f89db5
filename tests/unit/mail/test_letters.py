import re
from email import message_from_bytes, policy
from html.parser import HTMLParser

import pytest

from thingstead.features.mail.model import LINK_LIFETIMES, Letter, Occasion
from thingstead.mail.letters import LetterWriter, UnwritableLetterError

WRITTEN_AT_MS = 1_767_225_600_000
LINK = "/links#s3cret"
FACTS = {"app": "Lamps", "giver": "bob@example.org", "rights": "read heat of Oven"}
HOSTILE = [
    "<script>alert(1)</script>",
    "a\r\nBcc: x@y",
    "a\nSubject: other",
    "a\r\n\r\n<html>",
    'a" onmouseover="alert(1)',
    "a\x00b\x1b",
    "{{ 7 * 7 }}{% raw %}",
    "{app}{0}%s",
    "a\u2028b\u202ec",
    "=?utf-8?q?=0D=0ABcc=3A_x=40y?=",
    "\ud800",
    "x" * 10_000,
]


@pytest.fixture
def writer():
    return LetterWriter(
        public_url="https://things.example.org/", sender="Things <noreply@example.org>"
    )


def letter(occasion, to="ada@example.org", **facts):
    link = {"link": LINK} if occasion in LINK_LIFETIMES else {}
    return Letter(occasion, to, {**FACTS, **link, **facts})


def sent(writer, letter, wire=policy.SMTPUTF8):
    """Return the mail as its reader's program reads it, over a server that takes UTF-8 or not."""
    mail = writer.mail(letter, letter_id="id1", written_at_ms=WRITTEN_AT_MS)
    return message_from_bytes(mail.as_bytes(policy=wire), policy=policy.default)


def part(mail, kind):
    return mail.get_body((kind,)).get_content()


@pytest.mark.parametrize("occasion", Occasion)
def test_every_occasion_names_the_app_in_its_subject_and_both_forms(writer, occasion):
    mail = sent(writer, letter(occasion, app="Lämps"))

    assert "Lämps" in mail["Subject"]
    assert "Lämps" in part(mail, "plain")
    assert "Lämps" in part(mail, "html")
    assert mail.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("occasion", Occasion)
def test_every_occasion_says_that_nothing_need_be_done(writer, occasion):
    words = writer.words(letter(occasion))

    assert "there is nothing to do" in words.text
    assert "there is nothing to do" in words.html


@pytest.mark.parametrize(
    ("occasion", "lifetime"),
    [
        (Occasion.GRANT, "72 hours"),
        (Occasion.CONFIRM_ADDRESS, "24 hours"),
        (Occasion.RESET_PASSWORD, "30 minutes"),
    ],
)
def test_a_link_begins_with_the_public_url_and_says_how_long_it_works(writer, occasion, lifetime):
    words = writer.words(letter(occasion))

    assert words.link == "https://things.example.org/links#s3cret"
    assert f"\n{words.link}\n" in words.text
    assert f'href="{words.link}"' in words.html
    for form in (words.text, words.html):
        assert f"works for {lifetime}" in form


@pytest.mark.parametrize("occasion", sorted(set(Occasion) - set(LINK_LIFETIMES)))
def test_a_letter_without_a_link_has_none(writer, occasion):
    words = writer.words(letter(occasion))

    assert words.link is None
    assert "http" not in words.text
    assert "<a" not in words.html


def test_a_grant_says_who_gives_what(writer):
    words = writer.words(letter(Occasion.GRANT, rights="read heat of Oven\n\nsee <b> of Door"))

    assert words.subject.startswith("bob@example.org wants to share")
    assert "  * read heat of Oven\n  * see <b> of Door\n" in words.text
    assert "<li>read heat of Oven</li>" in words.html
    assert "<li>see &lt;b&gt; of Door</li>" in words.html


@pytest.mark.parametrize(("count", "shown"), [(50, 50), (51, 51), (52, 51)])
def test_of_many_rights_fifty_are_listed(writer, count, shown):
    rights = "\n".join(f"right {number}" for number in range(count))

    words = writer.words(letter(Occasion.GRANT, rights=rights))

    assert words.text.count("  * ") == shown
    assert ("  * and 1 more" in words.text) is (count == 51)
    assert ("  * and 2 more" in words.text) is (count == 52)


def test_the_headers_say_who_when_and_that_no_person_wrote_it(writer):
    mail = sent(writer, letter(Occasion.GRANT))

    assert mail["From"] == "Things <noreply@example.org>"
    assert mail["To"] == "ada@example.org"
    assert mail["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", mail["Message-ID"])


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("wire", [policy.SMTP, policy.SMTPUTF8], ids=["ascii", "utf-8"])
def test_a_hostile_fact_adds_no_header_and_no_markup(writer, wire, occasion, hostile):
    plain = sent(writer, letter(occasion), wire)

    facts = {"app": hostile, "giver": hostile, "rights": hostile}
    mail = sent(writer, letter(occasion, **facts), wire)

    assert mail.keys() == plain.keys()
    assert mail["To"] == "ada@example.org"
    assert tags(part(mail, "html")) == tags(part(plain, "html"), items=items(part(mail, "html")))
    assert "\x00" not in part(mail, "plain")
    assert "49" not in part(mail, "plain")


def test_markup_in_a_name_is_shown_as_it_is_written(writer):
    words = writer.words(letter(Occasion.GRANT, app="<script>"))

    assert "&lt;script&gt;" in words.html
    assert "<script>" not in words.html
    assert "<script>" in words.text
    assert "<script>" in words.subject


@pytest.mark.parametrize(
    "to",
    [
        "a@b.c\r\nBcc: x@y.z",
        "=?utf-8?q?=0D=0ABcc=3A_x=40y?=@b.c",
        "a@b.c, x@y.z",
        "a@b.c\x00",
        "",
        "Ada <a@b.c>",
    ],
)
def test_a_letter_to_a_hostile_address_is_not_written(writer, to):
    with pytest.raises(UnwritableLetterError, match="no reader") as caught:
        writer.mail(letter(Occasion.GRANT, to), letter_id="id1", written_at_ms=WRITTEN_AT_MS)

    assert to == "" or to not in str(caught.value)


def test_an_address_beyond_ascii_stands_in_the_header(writer):
    assert sent(writer, letter(Occasion.GRANT, "ädä@example.org"))["To"] == "ädä@example.org"


@pytest.mark.parametrize(
    "link",
    [
        "",
        "links",
        "//evil.example/x",
        "https://evil.example/",
        "@evil.example",
        ".evil.example",
        "/a b",
        "/a\r\nb",
        '/"onclick="x',
        "/<x>",
        "/\\evil.example",
        "/ä",
    ],
)
def test_what_is_no_path_of_this_server_is_no_link(writer, link):
    with pytest.raises(UnwritableLetterError, match="no path of this server"):
        writer.words(letter(Occasion.GRANT, link=link))


@pytest.mark.parametrize(
    ("occasion", "missing"),
    [
        *((occasion, "app") for occasion in Occasion),
        *((occasion, "link") for occasion in LINK_LIFETIMES),
        (Occasion.GRANT, "giver"),
        (Occasion.GRANT, "rights"),
    ],
)
def test_a_letter_that_lacks_a_fact_is_not_written(writer, occasion, missing):
    facts = {name: fact for name, fact in letter(occasion).facts.items() if name != missing}

    with pytest.raises(UnwritableLetterError, match=missing):
        writer.words(Letter(occasion, "ada@example.org", facts))


@pytest.mark.parametrize("occasion", Occasion)
def test_html_loads_nothing_from_elsewhere(writer, occasion):
    html = writer.words(letter(occasion)).html

    assert not re.search(r"<(img|link|script|style|iframe)|url\(|@import|src=", html)
    assert '<meta name="color-scheme" content="light dark">' in html


@pytest.mark.parametrize("url", ["", "things.example.org", "ftp://x", "https://", "https:///x"])
def test_a_public_url_without_scheme_or_host_is_refused(url):
    with pytest.raises(ValueError, match="public URL"):
        LetterWriter(public_url=url, sender="a@b.c")


def test_a_public_url_may_have_a_path():
    writer = LetterWriter(public_url="http://h:8080/things/", sender="a@b.c")

    assert writer.words(letter(Occasion.GRANT)).link == "http://h:8080/things/links#s3cret"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))


def tags(html, items=None):
    """Return the tags and the names of their attributes; with that many list items."""
    parser = Tags()
    parser.feed(html)
    found = [tag for tag in parser.found if tag[0] != "li"]
    return found, items if items is not None else parser.found.count(("li", ()))


def items(html):
    return tags(html)[1]
