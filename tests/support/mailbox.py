"""A mail server for tests: it runs in the test's loop, on a real port, and keeps what it is sent.

    async with Mailbox() as mailbox:
        …  # something sends mail to `mailbox.url`
        letter = await mailbox.letter_to("ada@example.org")
        assert letter.link is not None

Each letter is handed out once, in the order in which they came.
"""

import asyncio
import re
import ssl
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, AuthResult

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class ReceivedLetter:
    """A mail as it came; `to` and `sender` are what the server was told (the envelope)."""

    to: str
    sender: str
    mail: EmailMessage
    raw: bytes

    @property
    def subject(self) -> str:
        return str(self.mail["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def link(self) -> str | None:
        """The first http or https link in the text."""
        found = re.search(r"https?://\S+", self.text)
        return found[0] if found else None

    def _part(self, kind: str) -> str:
        part = self.mail.get_body((kind,))
        assert part is not None, f"the mail has no {kind} part"
        return part.get_content()


class Mailbox:
    """Takes every mail; the answers in the deques are given first, one to each command.

    `accounts` (user to password) makes it ask for a log-in. With `tls_context` it offers
    STARTTLS, or speaks TLS from the start with `is_tls`. While `gate` is set to an event, it
    answers the end of DATA only after the event.
    """

    def __init__(
        self,
        *,
        tls_context: ssl.SSLContext | None = None,
        is_tls: bool = False,
        accounts: dict[str, str] | None = None,
        has_smtputf8: bool = True,
        protocol: type[SMTP] = SMTP,
    ) -> None:
        self.letters: list[ReceivedLetter] = []
        self.rcpt_answers: deque[str] = deque()
        self.data_answers: deque[str] = deque()
        self.gate: asyncio.Event | None = None
        self.is_asked = asyncio.Event()  # set when the first whole mail has come
        self.greetings: list[str] = []
        self.log_ins: list[tuple[str, bool]] = []  # who logged in, and whether over TLS
        self.port = 0
        self._tls_context = tls_context
        self._is_tls = is_tls
        self._accounts = accounts
        self._has_smtputf8 = has_smtputf8
        self._protocol = protocol
        self._connections: list[SMTP] = []
        self._not_handed_out: list[ReceivedLetter] = []
        self._came = asyncio.Condition()

    @property
    def url(self) -> str:
        """The URL under which a server delivers here."""
        who = next(iter((self._accounts or {}).items()), None)
        prefix = f"{quote(who[0], safe='')}:{quote(who[1], safe='')}@" if who else ""
        return f"{'smtps' if self._is_tls else 'smtp'}://{prefix}127.0.0.1:{self.port}"

    async def letter_to(self, address: str) -> ReceivedLetter:
        """Return the next letter to that address, waiting for it at most 20 seconds."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._came:
                while (letter := self._take(address)) is None:
                    await self._came.wait()
                return letter
        except TimeoutError:
            known = [letter.to for letter in self.letters]
            raise AssertionError(f"no mail came to {address}; mails came to {known}") from None

    def letters_to(self, address: str) -> list[ReceivedLetter]:
        """Return all letters that have come to that address, handed out or not."""
        return [letter for letter in self.letters if letter.to.lower() == address.lower()]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, "127.0.0.1", 0, ssl=self._tls_context if self._is_tls else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        # A connection whose handshake failed would wait for its client for ever.
        for connection in self._connections:
            if connection._handler_coroutine is not None:
                connection._handler_coroutine.cancel()
                await asyncio.gather(connection._handler_coroutine, return_exceptions=True)
            if connection.transport is not None:
                connection.transport.abort()
        await self._server.wait_closed()

    def _take(self, address: str) -> ReceivedLetter | None:
        for letter in self._not_handed_out:
            if letter.to.lower() == address.lower():
                self._not_handed_out.remove(letter)
                return letter
        return None

    def _connection(self) -> SMTP:
        connection = self._protocol(
            self,
            hostname="mailbox.test",  # the library would ask the name service
            enable_SMTPUTF8=self._has_smtputf8,
            tls_context=None if self._is_tls else self._tls_context,
            auth_require_tls=False,
            authenticator=self._log_in if self._accounts else None,
            loop=asyncio.get_running_loop(),
        )
        self._connections.append(connection)
        return connection

    def _log_in(self, server, session, envelope, mechanism, credentials) -> AuthResult:
        user, password = credentials.login.decode(), credentials.password.decode()
        self.log_ins.append((user, session.ssl is not None or self._is_tls))
        # Not `handled`: the library is to give the answer.
        return AuthResult(success=(self._accounts or {}).get(user) == password, handled=False)

    # What aiosmtpd calls, by these names.

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
        self.greetings.append(hostname)
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802
        if self.rcpt_answers and not (answer := self.rcpt_answers.popleft()).startswith("2"):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.is_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.data_answers and not (answer := self.data_answers.popleft()).startswith("2"):
            return answer
        mail = message_from_bytes(envelope.content, policy=policy.default)
        async with self._came:
            for address in envelope.rcpt_tos:
                letter = ReceivedLetter(address, envelope.mail_from, mail, envelope.content)
                self.letters.append(letter)
                self._not_handed_out.append(letter)
            self._came.notify_all()
        return "250 OK"
