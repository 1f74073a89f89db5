"""Whatever is in a datagram, the next one is answered and nothing is logged as a fault."""

import random

import pytest

from support.coap import (
    BLOCK1,
    BLOCK2,
    CON,
    ECHO,
    GET,
    OBSERVE,
    POST,
    block,
    request,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
SEEDS = range(8)
ROUNDS = 250


def changed(raw: bytes, dice: random.Random) -> bytes:
    """The datagram with some of its bytes replaced, left out, or sent twice."""
    bytes_ = bytearray(raw)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(bytes_))
        match dice.randrange(3):
            case 0:
                bytes_[at] = dice.randrange(256)
            case 1 if len(bytes_) > 1:
                del bytes_[at]
            case _:
                bytes_[at:at] = bytes_[at : at + dice.randint(1, 8)]
    return bytes(bytes_)


@pytest.mark.parametrize("seed", SEEDS)
async def test_changed_datagrams_disturb_nobody(peer, thing, seed, caplog):
    dice = random.Random(seed)
    samples = [
        request(POST, thing, payload=b'{"values":[{"key":"a","value":1}]}'),
        request(GET, f"{thing}/resources/a?limit=5", options=[(BLOCK2, block(1, False, 2))]),
        request(POST, thing, options=[(BLOCK1, block(0, True, 0))], payload=b"x" * 16),
        request(GET, thing, options=[(OBSERVE, b""), (ECHO, b"x" * 12)]),
        request(CON, "/"),
    ]

    for _ in range(ROUNDS):
        peer.transport.sendto(changed(dice.choice(samples).encode(), dice))
    answer = await peer.ask(request(GET, "/v2/utils/date", token=b"the last"))
    while answer.token != b"the last":
        answer = await peer.receive()

    assert answer.status == "2.05"
    assert [record.getMessage() for record in caplog.records if record.levelno >= 40] == []
