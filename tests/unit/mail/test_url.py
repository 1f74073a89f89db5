import pytest

from thingstead.mail.url import ConsoleMail, SMTPMail, parse_mail_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("console", ConsoleMail()),
        ("smtp://mail.example.org", SMTPMail("mail.example.org", 587, is_tls=False)),
        ("smtp://mail.example.org:25/", SMTPMail("mail.example.org", 25, is_tls=False)),
        ("SMTPS://mail.example.org", SMTPMail("mail.example.org", 465, is_tls=True)),
        ("smtps://[::1]:2465", SMTPMail("::1", 2465, is_tls=True)),
        (
            "smtp://me%40example.org:p%2Fw%3A%40%23%C3%A9%25@mail.example.org",
            SMTPMail("mail.example.org", 587, False, "me@example.org", "p/w:@#é%"),
        ),
    ],
)
def test_the_forms_that_are_taken(text, expected):
    assert parse_mail_url(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected"),
        ("Console", "expected"),
        ("mail.example.org:587", "expected"),
        ("http://mail.example.org", "expected"),
        ("smtp://", "the host is missing"),
        ("smtp://me:hunter2@", "the host is missing"),
        ("smtp://me:hunter2@mail.example.org:x", "cannot be read"),
        ("smtp://me:hunter2@mail.example.org:65536", "cannot be read"),
        ("smtp://me:hunter2@mail.example.org:0", "from 1 to 65535"),
        ("smtp://me:hunter2@[::1", "cannot be read"),
        ("smtp://me:hunter2/x@mail.example.org", "cannot be read|nothing may follow"),
        ("smtp://me:hunter2#x@mail.example.org", "cannot be read|nothing may follow"),
        ("smtp://mail.example.org/hunter2", "nothing may follow"),
        ("smtp://mail.example.org?hunter2=1", "nothing may follow"),
        ("smtp://me:hunter2@x@mail.example.org", "percent-encoded"),
        ("smtp://me@mail.example.org", "needs a password"),
        ("smtp://me:@mail.example.org", "needs a password"),
        ("smtp://:hunter2@mail.example.org", "needs a password"),
        ("smtp://me:hunter2%FF@mail.example.org", "UTF-8"),
        ("smtp://me:hunter2%0d%0a@mail.example.org", "control characters"),
        ("smtp://m%00e:hunter2@mail.example.org", "control characters"),
        ("smtp://me:hunter2 x@mail.example.org", "percent-encoded"),
        ("smtp://me:hunter2\r\n@mail.example.org", "percent-encoded"),
        ("smtp://me:hunter2\x00@mail.example.org", "percent-encoded"),
    ],
)
def test_other_texts_are_refused_without_quoting_the_password(text, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        parse_mail_url(text)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_password_is_not_shown_with_the_rest():
    mail = parse_mail_url("smtp://me:hunter2@mail.example.org")

    assert "hunter2" not in repr(mail)
    assert "me" in repr(mail)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("mail.example.org", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_which_hosts_are_this_machine(host, is_loopback):
    assert SMTPMail(host, 25, is_tls=False).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("url", "must"),
    [
        ("smtp://me:pw@mail.example.org", True),
        ("smtp://me:pw@10.0.0.1:25", True),
        ("smtp://me:pw@127.0.0.1", False),
        ("smtp://mail.example.org", False),
        ("smtps://me:pw@mail.example.org", False),
    ],
)
def test_a_password_demands_starttls_unless_nobody_can_listen(url, must):
    mail = parse_mail_url(url)

    assert isinstance(mail, SMTPMail)
    assert mail.must_start_tls is must
