"""Hands letters to a mail server by SMTP: the `Postman` of `features/mail/ports.py`.

One connection a letter: mails are few, and a connection that is kept must be watched.
Decides what an answer means for the letter, and nothing about when it is tried again.
"""

import asyncio
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING, cast

from thingstead.features.mail.model import Letter, LetterState
from thingstead.features.mail.ports import RefusedForGoodError
from thingstead.mail.letters import LetterWriter, UnwritableLetterError
from thingstead.mail.url import SMTPMail

if TYPE_CHECKING:
    import aiosmtplib

_TIMEOUT_S = 20.0
# A letter takes about ten answers. A server that is slow with each is not waited for.
_TIMEOUTS_PER_LETTER = 3
_PERMANENT = 500


class NotDeliveredError(OSError):
    """The mail server could not be reached or did not take the letter; it may later."""


class SMTPPostman:
    """Delivers each letter over a connection of its own; holds nothing open in between.

    Certificates are checked against those the machine trusts, or by the `ssl_context` given.
    """

    def __init__(
        self,
        mail: SMTPMail,
        writer: LetterWriter,
        *,
        timeout_s: float = _TIMEOUT_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._mail = mail
        self._writer = writer
        self._timeout_s = timeout_s
        self._ssl_context = ssl_context

    async def deliver(
        self, letter: Letter, *, letter_id: str, written_at_ms: int
    ) -> LetterState | None:
        """Deliver the letter; returns None when the server has taken it.

        Raises:
            RefusedForGoodError: it cannot be written, or the server refuses it for good.
            OSError: the server is away, slow, misconfigured, or asks to come again.
        """
        try:
            # Templates are read from the disk at first use.
            mail = await asyncio.to_thread(
                self._writer.mail, letter, letter_id=letter_id, written_at_ms=written_at_ms
            )
        except UnwritableLetterError as exc:
            raise RefusedForGoodError(str(exc)) from exc
        try:
            async with asyncio.timeout(_TIMEOUTS_PER_LETTER * self._timeout_s):
                await self._send(mail)
        except TimeoutError as exc:
            raise NotDeliveredError(str(exc) or "the mail server is too slow") from exc
        return None

    async def _send(self, mail: EmailMessage) -> None:
        import aiosmtplib  # noqa: PLC0415  # A server that sends no mail does without.

        client = self._client()
        try:
            await client.connect()
            await client.send_message(mail, sender=self._writer.sender_address)
        except aiosmtplib.SMTPException as exc:
            raise _meaning(exc) from exc
        else:
            await _take_leave(client)
        finally:
            _hang_up(client)

    def _client(self) -> "aiosmtplib.SMTP":
        import aiosmtplib  # noqa: PLC0415

        mail = self._mail
        return aiosmtplib.SMTP(
            hostname=mail.host,
            port=mail.port,
            username=mail.user,
            password=mail.password,
            use_tls=mail.is_tls,
            # None: when the server offers it.
            start_tls=False if mail.is_tls else True if mail.must_start_tls else None,
            tls_context=self._ssl_context,
            # A mail server on this machine is reached without passing anybody, and its
            # certificate is rarely made out to `localhost`.
            validate_certs=not mail.is_loopback,
            # The library would ask the name service, which may take its time.
            local_hostname=self._writer.greeting_name,
            timeout=self._timeout_s,
        )


async def _take_leave(client: "aiosmtplib.SMTP") -> None:
    """Say QUIT; the letter is delivered, whatever the answer."""
    import aiosmtplib  # noqa: PLC0415

    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        return


def _hang_up(client: "aiosmtplib.SMTP") -> None:
    """Close the connection at once, also when cancelled.

    TLS would otherwise wait for the server to say goodbye, and the loop cannot end meanwhile.
    """
    if client.transport is not None:
        cast("asyncio.WriteTransport", client.transport).abort()
    client.close()


def _meaning(error: "aiosmtplib.SMTPException") -> Exception:
    """Return what the server's refusal means for the letter.

    5xx to the reader's address or to the letter itself is final (RFC 5321 4.2.1). Anything
    else refused, such as the password or the sender, is for the operator to mend, and the
    letter waits meanwhile.
    """
    import aiosmtplib  # noqa: PLC0415

    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        # A letter has one reader.
        return _meaning(error.recipients[0])
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return RefusedForGoodError(str(error))
    if not isinstance(error, aiosmtplib.SMTPResponseException):
        return NotDeliveredError(str(error))
    text = f"{error.code} {error.message}"
    is_final = isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
    if is_final and error.code >= _PERMANENT:
        return RefusedForGoodError(text)
    return NotDeliveredError(text)
