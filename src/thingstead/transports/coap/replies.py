"""Answers become messages: blocks, ETag, Echo and the other options are put on here."""

from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.constants import Reliable, Unreliable

from thingstead.transports.coap.blocks import Block, KeptAnswer, etag_of
from thingstead.transports.coap.messages import Answer, LongAnswer
from thingstead.transports.coap.refusals import InvalidTargetError

_OPTION_BYTES = 24
"""About what header, token and options of an answer take besides its payload."""
_MOST_SECONDS = 0xFFFFFFFF


def reply_to(answer: Answer) -> Message:
    """Return the message of an answer that is sent in one piece."""
    reply = Message(code=answer.code, payload=answer.payload)
    if answer.payload:
        reply.opt.content_format = answer.content_format
    if answer.max_age_s is not None:
        reply.opt.max_age = min(answer.max_age_s, _MOST_SECONDS)
    if answer.size1 is not None:
        reply.opt.size1 = answer.size1
    return reply


def reply_with_block(answer: Answer | KeptAnswer, block: Block) -> Message:
    """Return the message that has one block of an answer.

    Raises:
        InvalidTargetError: the answer ends before that block.
    """
    body = answer.body if isinstance(answer, KeptAnswer) else answer.payload
    if block.start >= len(body):
        raise InvalidTargetError("there is no such block")
    if isinstance(answer, KeptAnswer):
        reply = Message(code=Code.CONTENT)
        reply.opt.content_format = answer.content_format
        etag = answer.etag
    else:
        reply = reply_to(answer)
        etag = etag_of(body)
    _put_block(reply, body[block.start : block.start + block.size], block, len(body))
    reply.opt.etag = etag
    return reply


async def reply_with_piece(answer: LongAnswer, block: Block) -> Message:
    """Return the message that has one block of an answer that is never held whole.

    Raises:
        InvalidTargetError: the answer ends before that block.
    """
    if block.start >= max(answer.size, 1):
        raise InvalidTargetError("there is no such block")
    reply = Message(code=Code.CONTENT)
    reply.opt.content_format = answer.content_format
    _put_block(reply, await answer.read(block.start, block.size), block, answer.size)
    reply.opt.etag = answer.etag
    return reply


def _put_block(reply: Message, piece: bytes, block: Block, size: int) -> None:
    reply.payload = piece
    has_more = block.start + len(piece) < size
    reply.opt.block2 = (block.number, has_more, block.size_exponent)
    if block.number == 0:
        # RFC 7959, 4: lets the client know at once how much there is to fetch.
        reply.opt.size2 = size


def challenge(echo: bytes) -> Message:
    """Return 4.01 with the Echo value to repeat (RFC 9175, 2.3); short, to amplify nothing."""
    reply = Message(code=Code.UNAUTHORIZED)
    reply.opt.echo = echo
    return reply


def notification(reply: Message, sequence: int, *, max_age_s: int, is_confirmable: bool) -> Message:
    """Return the message as a notification; the first one ignores how it is to be sent."""
    reply.opt.observe = sequence
    reply.opt.max_age = max_age_s
    reply.transport_tuning = Reliable() if is_confirmable else Unreliable()
    return reply


def size_of(reply: Message) -> int:
    """Return about how many bytes the message takes on the wire."""
    return len(reply.payload) + _OPTION_BYTES
