"""Against a real mail server in the test's loop."""

import asyncio
import re
import socket
import ssl

import pytest
import trustme
from aiosmtpd.smtp import SMTP

from support.mailbox import Mailbox
from thingstead.features.mail.model import Letter, Occasion
from thingstead.features.mail.ports import RefusedForGoodError
from thingstead.mail.letters import LetterWriter
from thingstead.mail.smtp import NotDeliveredError, SMTPPostman
from thingstead.mail.url import SMTPMail, parse_mail_url

WRITTEN_AT_MS = 1_767_225_600_000
ADA = "ada@example.org"


def letter(to=ADA, link="/grants#secret"):
    facts = {"app": "Lämps", "giver": "bob@example.org", "rights": "read heat", "link": link}
    return Letter(Occasion.GRANT, to, facts)


def postman(mailbox, url=None, **options):
    mail = parse_mail_url(url or mailbox.url)
    assert isinstance(mail, SMTPMail)
    writer = LetterWriter(
        public_url="https://things.example.org", sender="Thíngs <noreply@example.org>"
    )
    return SMTPPostman(mail, writer, **options)


async def deliver(postman, letter):
    return await postman.deliver(letter, letter_id="id1", written_at_ms=WRITTEN_AT_MS)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_letter_arrives_with_text_and_html():
    async with Mailbox() as mailbox:
        assert await deliver(postman(mailbox), letter()) is None

        arrived = await mailbox.letter_to(ADA)

    assert arrived.sender == "noreply@example.org"
    assert str(arrived.mail["From"]) == "Thíngs <noreply@example.org>"
    assert str(arrived.mail["To"]) == ADA
    assert arrived.subject == "bob@example.org wants to share something with you in Lämps"
    assert arrived.link == "https://things.example.org/grants#secret"
    assert "read heat" in arrived.text
    assert 'href="https://things.example.org/grants#secret"' in arrived.html
    assert "<strong>Lämps</strong>" in arrived.html
    assert mailbox.greetings == ["things.example.org"]


async def test_what_goes_over_the_wire_is_ascii_in_short_lines():
    async with Mailbox() as mailbox:
        await deliver(postman(mailbox), letter(link="/grants#" + "s" * 3_000))
        arrived = await mailbox.letter_to(ADA)

    assert arrived.raw.isascii()
    assert max(len(line) for line in arrived.raw.split(b"\r\n")) <= 78
    assert arrived.link == "https://things.example.org/grants#" + "s" * 3_000


async def test_a_second_attempt_is_recognised_by_its_message_id():
    async with Mailbox() as mailbox:
        await deliver(postman(mailbox), letter())
        await deliver(postman(mailbox), letter())
        await postman(mailbox).deliver(letter(), letter_id="id2", written_at_ms=WRITTEN_AT_MS)
        ids = [str(received.mail["Message-ID"]) for received in mailbox.letters_to(ADA)]

    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


@pytest.mark.parametrize("answer", ["550 5.1.1 no such mailbox", "554 refused", "599 never"])
async def test_a_reader_who_is_refused_for_good_is_refused_for_good(answer):
    async with Mailbox() as mailbox:
        mailbox.rcpt_answers.append(answer)

        with pytest.raises(RefusedForGoodError, match=answer):
            await deliver(postman(mailbox), letter())

    assert mailbox.letters == []


async def test_a_letter_that_is_refused_for_good_is_refused_for_good():
    async with Mailbox() as mailbox:
        mailbox.data_answers.append("554 5.7.1 spam")

        with pytest.raises(RefusedForGoodError, match=r"554 5\.7\.1 spam"):
            await deliver(postman(mailbox), letter())


@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted", "499 later", "421 4.3.2 stopping"])
async def test_a_reader_who_is_refused_for_now_gets_the_letter_later(answer):
    async with Mailbox() as mailbox:
        mailbox.rcpt_answers.append(answer)

        with pytest.raises(NotDeliveredError, match=answer):
            await deliver(postman(mailbox), letter())
        await deliver(postman(mailbox), letter())

    assert [received.to for received in mailbox.letters] == [ADA]


async def test_a_letter_that_is_refused_for_now_goes_out_later():
    async with Mailbox() as mailbox:
        mailbox.data_answers.append("451 4.3.0 try again")

        with pytest.raises(NotDeliveredError, match="try again"):
            await deliver(postman(mailbox), letter())
        await deliver(postman(mailbox), letter())

    assert len(mailbox.letters) == 1


async def test_a_sender_that_is_refused_leaves_the_letter_waiting():
    class Strict(SMTP):
        async def smtp_MAIL(self, arg):  # noqa: N802
            await self.push("553 5.7.1 not your address")

    async with Mailbox(protocol=Strict) as mailbox:
        with pytest.raises(NotDeliveredError, match="not your address"):
            await deliver(postman(mailbox), letter())


async def test_a_server_that_is_too_slow_is_given_up():
    async with Mailbox() as mailbox:
        mailbox.gate = asyncio.Event()

        with pytest.raises(NotDeliveredError):
            await deliver(postman(mailbox, timeout_s=0.05), letter())

    assert mailbox.letters == []


async def test_a_server_that_is_slow_with_every_answer_is_given_up():
    class Dripping(SMTP):
        async def push(self, status):
            await asyncio.get_running_loop().create_future()

    async with Mailbox(protocol=Dripping) as mailbox:
        with pytest.raises(NotDeliveredError):
            await deliver(postman(mailbox, timeout_s=0.05), letter())


async def test_the_whole_delivery_has_a_deadline(monkeypatch):
    monkeypatch.setattr("thingstead.mail.smtp._TIMEOUTS_PER_LETTER", 0.001)
    async with Mailbox() as mailbox:
        mailbox.gate = asyncio.Event()

        with pytest.raises(NotDeliveredError, match="too slow"):
            await deliver(postman(mailbox, timeout_s=20), letter())


async def test_a_connection_that_is_lost_in_the_middle_of_the_letter_leaves_it_waiting():
    class Cutting(SMTP):
        async def smtp_DATA(self, arg):  # noqa: N802
            await self.push("354 go on")
            await self._reader.readline()
            self.transport.abort()

    async with Mailbox(protocol=Cutting) as mailbox:
        with pytest.raises(NotDeliveredError):
            await deliver(postman(mailbox), letter())


async def test_a_connection_that_is_lost_after_the_letter_was_taken_does_not_matter():
    class Leaving(SMTP):
        async def smtp_QUIT(self, arg):  # noqa: N802
            self.transport.abort()

    async with Mailbox(protocol=Leaving) as mailbox:
        assert await deliver(postman(mailbox), letter()) is None

    assert len(mailbox.letters) == 1


async def test_a_server_that_is_not_there_leaves_the_letter_waiting():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"smtp://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(NotDeliveredError, match="Error connecting"):
            await deliver(postman(None, url), letter())


async def test_a_server_that_does_not_speak_smtp_leaves_the_letter_waiting():
    class Chatting(SMTP):
        async def _handle_client(self):
            self._writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with Mailbox(protocol=Chatting) as mailbox:
        with pytest.raises(NotDeliveredError):
            await deliver(postman(mailbox), letter())


async def test_a_cancelled_delivery_hangs_up_at_once():
    is_lost = asyncio.Event()

    class Noticing(SMTP):
        def connection_lost(self, error):
            super().connection_lost(error)
            is_lost.set()

    async with Mailbox(protocol=Noticing) as mailbox:
        mailbox.gate = asyncio.Event()
        delivering = asyncio.create_task(deliver(postman(mailbox), letter()))
        async with asyncio.timeout(20):
            await mailbox.is_asked.wait()
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
            await is_lost.wait()

    assert delivering.cancelled()
    assert mailbox.letters == []


async def test_starttls_is_used_where_it_is_offered(server_tls, client_tls):
    async with Mailbox(tls_context=server_tls, accounts={"me": "pw"}) as mailbox:
        await deliver(postman(mailbox, ssl_context=client_tls), letter())

    assert mailbox.log_ins == [("me", True)]
    assert len(mailbox.letters) == 1


async def test_tls_from_the_first_byte(server_tls, client_tls):
    async with Mailbox(tls_context=server_tls, is_tls=True, accounts={"me": "pw"}) as mailbox:
        assert mailbox.url.startswith("smtps://")

        await deliver(postman(mailbox, ssl_context=client_tls), letter())

    assert mailbox.log_ins == [("me", True)]


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_certificate_that_is_not_trusted_gets_no_letter_and_no_password(is_tls, server_tls):
    async with Mailbox(tls_context=server_tls, is_tls=is_tls, accounts={"me": "pw"}) as mailbox:
        careful = postman(mailbox, ssl_context=ssl.create_default_context())

        with pytest.raises(OSError, match="certificate verify failed"):
            await deliver(careful, letter())

    assert mailbox.log_ins == []
    assert mailbox.letters == []


async def test_a_certificate_of_another_host_gets_no_letter(authority, client_tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example.org").configure_cert(context)
    async with Mailbox(tls_context=context) as mailbox:
        with pytest.raises(OSError, match="certificate verify failed"):
            await deliver(postman(mailbox, ssl_context=client_tls), letter())

    assert mailbox.letters == []


async def test_the_certificate_of_a_server_on_this_machine_is_not_asked_for(server_tls):
    async with Mailbox(tls_context=server_tls) as mailbox:
        await deliver(postman(mailbox), letter())

    assert len(mailbox.letters) == 1


@pytest.mark.parametrize(
    ("url", "validates", "start_tls"),
    [
        ("smtp://u:p@mail.example.org", True, True),
        ("smtp://mail.example.org", True, None),
        ("smtps://u:p@mail.example.org", True, False),
        ("smtp://u:p@localhost", False, None),
    ],
)
async def test_the_client_is_told_to_check_and_to_encrypt(url, validates, start_tls):
    client = postman(None, url)._client()

    assert client.validate_certs is validates
    assert client._start_tls_on_connect is start_tls


async def test_no_password_is_sent_in_clear_over_a_network(monkeypatch):
    monkeypatch.setattr(SMTPMail, "is_loopback", False)
    async with Mailbox(accounts={"me": "pw"}) as mailbox:
        with pytest.raises(NotDeliveredError, match="STARTTLS"):
            await deliver(postman(mailbox), letter())

    assert mailbox.log_ins == []
    assert mailbox.letters == []


async def test_a_password_on_this_machine_needs_no_tls():
    async with Mailbox(accounts={"mé@x": "p w/ö:@"}) as mailbox:
        await deliver(postman(mailbox), letter())

    assert mailbox.log_ins == [("mé@x", False)]
    assert len(mailbox.letters) == 1


async def test_a_wrong_password_leaves_the_letter_waiting_and_is_not_quoted():
    async with Mailbox(accounts={"me": "right"}) as mailbox:
        url = mailbox.url.replace("right", "wr0ng-password")

        with pytest.raises(NotDeliveredError, match="535") as caught:
            await deliver(postman(mailbox, url), letter())

    assert "wr0ng" not in str(caught.value)
    assert mailbox.letters == []


async def test_an_address_beyond_ascii_arrives():
    async with Mailbox() as mailbox:
        await deliver(postman(mailbox), letter("ädä@exämple.org"))

        arrived = await mailbox.letter_to("ädä@xn--exmple-cua.org")

    assert arrived.link is not None


async def test_an_address_beyond_ascii_that_the_server_does_not_take_is_refused_for_good():
    async with Mailbox(has_smtputf8=False) as mailbox:
        with pytest.raises(RefusedForGoodError, match="SMTPUTF8"):
            await deliver(postman(mailbox), letter("ädä@example.org"))


async def test_a_letter_that_cannot_be_written_is_refused_without_a_connection():
    with pytest.raises(RefusedForGoodError, match=re.escape("no path of this server")):
        await deliver(postman(None, "smtp://127.0.0.1:1"), letter(link="//evil.example"))
