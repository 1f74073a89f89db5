"""Block1 and Block2: bodies and answers in pieces (RFC 7959). Sans-I/O.

Unfinished bodies are held for a minute, 64 KiB of each peer, and not of more than 1,000 peers
at once. Long answers are kept while they are fetched, as long as there is room; one that was
dropped is made again, and its ETag tells the client when it came out different.
"""

import hashlib
from asyncio import Future
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from thingstead.kernel.errors import OverloadedError
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.refusals import (
    IncompleteUploadError,
    InvalidTargetError,
    UploadTooLargeError,
)

LARGEST_SIZE_EXPONENT = 6
_RESERVED_SIZE_EXPONENT = 7


@dataclass(frozen=True, slots=True)
class Block:
    """The value of a block option: which block, whether more follow, 2^(exponent+4) bytes each."""

    number: int
    has_more: bool
    size_exponent: int

    @property
    def size(self) -> int:
        """Bytes of a full block."""
        return 1 << (self.size_exponent + 4)

    @property
    def start(self) -> int:
        """Where the block begins in the whole."""
        return self.number * self.size


FIRST_BLOCK = Block(0, has_more=False, size_exponent=LARGEST_SIZE_EXPONENT)


def read_block(value: bytes) -> Block:
    """Return a block option's value.

    Raises:
        InvalidTargetError: its size is the reserved one.
    """
    number = int.from_bytes(value, "big")
    if number & 0x07 == _RESERVED_SIZE_EXPONENT:
        raise InvalidTargetError("block size 7 is reserved")
    return Block(number >> 4, bool(number & 0x08), number & 0x07)


class _Upload:
    __slots__ = ("body", "peer", "touched_at")

    def __init__(self, peer: Hashable, now: float) -> None:
        self.peer = peer
        self.body = bytearray()
        self.touched_at = now


class Uploads:
    """Puts bodies together from their blocks."""

    def __init__(self, limits: CoAPLimits) -> None:
        self._limits = limits
        # By when they were last added to.
        self._open: OrderedDict[Hashable, _Upload] = OrderedDict()
        self._bytes: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self, peer: Hashable, key: Hashable, block: Block, payload: bytes, *, most: int, now: float
    ) -> bytes | None:
        """Add a block; return the whole body with its last one, None before.

        `key` tells the bodies of one peer apart; `most` is how much this body may hold.

        Raises:
            IncompleteUploadError: the block does not follow those that came.
            InvalidTargetError: a block that is not the last has another size than it says.
            OverloadedError: too many bodies are unfinished.
            UploadTooLargeError: the body, or all unfinished ones of the peer, are too large.
        """
        self._expire(now)
        if block.number == 0:
            self._discard(key)
        upload = self._open.get(key)
        if block.start != (0 if upload is None else len(upload.body)):
            raise IncompleteUploadError
        if len(payload) > block.size or (block.has_more and len(payload) != block.size):
            raise InvalidTargetError("the payload is not as long as its block option says")
        self._check_size(peer, key, block.start + len(payload), len(payload), most)
        if not block.has_more:
            body = bytes(payload) if upload is None else bytes(upload.body + payload)
            self._discard(key)
            return body
        if upload is None:
            if len(self._open) >= self._limits.uploads:
                raise OverloadedError(
                    f"{self._limits.uploads} bodies are unfinished",
                    retry_after_s=int(self._limits.upload_seconds),
                )
            upload = self._open[key] = _Upload(peer, now)
        upload.body += payload
        upload.touched_at = now
        self._bytes[peer] += len(payload)
        self._open.move_to_end(key)
        return None

    def _check_size(self, peer: Hashable, key: Hashable, size: int, added: int, most: int) -> None:
        if size > most:
            self._discard(key)
            raise UploadTooLargeError(f"this path takes at most {most} bytes", most=most)
        if self._bytes[peer] + added > self._limits.upload_bytes:
            self._discard(key)
            most = self._limits.upload_bytes
            raise UploadTooLargeError(f"at most {most} bytes of one peer at once", most=most)

    def _expire(self, now: float) -> None:
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if oldest.touched_at + self._limits.upload_seconds > now:
                return
            self._discard(key)

    def _discard(self, key: Hashable) -> None:
        upload = self._open.pop(key, None)
        if upload is not None:
            self._bytes[upload.peer] -= len(upload.body)
        # A counter keeps what has come down to nothing.
        if upload is not None and self._bytes[upload.peer] <= 0:
            del self._bytes[upload.peer]


class KeptAnswer:
    """A long body that is being fetched; `fetched` resolves when its last block has gone."""

    __slots__ = ("body", "content_format", "etag", "fetched", "kept_at")

    def __init__(self, body: bytes, content_format: int) -> None:
        self.body = body
        self.content_format = content_format
        self.etag = etag_of(body)
        self.fetched: Future[None] | None = None
        self.kept_at = 0.0

    def mark_fetched(self) -> None:
        """Tell whoever waits for it that the last block has gone out."""
        if self.fetched is not None and not self.fetched.done():
            self.fetched.set_result(None)


class KeptAnswers:
    """Keeps long answers between the requests for their blocks."""

    def __init__(self, limits: CoAPLimits) -> None:
        self._limits = limits
        self._kept: OrderedDict[Hashable, KeptAnswer] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: Hashable, answer: KeptAnswer, now: float) -> None:
        """Keep the answer; the oldest go when there is no room."""
        self.drop(key)
        answer.kept_at = now
        self._kept[key] = answer
        self._bytes += len(answer.body)
        limits = self._limits
        while self._kept:
            oldest_key, oldest = next(iter(self._kept.items()))
            if (
                len(self._kept) <= limits.kept_answers
                and self._bytes <= limits.kept_answer_bytes
                and oldest.kept_at + limits.kept_seconds > now
            ):
                return
            self.drop(oldest_key)

    def find(self, key: Hashable, now: float) -> KeptAnswer | None:
        """Return what is kept under the key."""
        answer = self._kept.get(key)
        if answer is None or answer.kept_at + self._limits.kept_seconds <= now:
            return None
        return answer

    def release_all(self) -> None:
        """Tell everybody who waits for blocks to be fetched that they may go on."""
        for answer in self._kept.values():
            answer.mark_fetched()

    def drop(self, key: Hashable) -> None:
        """Keep it no longer; unknown keys are ignored."""
        answer = self._kept.pop(key, None)
        if answer is not None:
            self._bytes -= len(answer.body)


def etag_of(body: bytes) -> bytes:
    """Return what tells two bodies apart, in the 8 bytes that an ETag may have."""
    return hashlib.blake2b(body, digest_size=8).digest()
