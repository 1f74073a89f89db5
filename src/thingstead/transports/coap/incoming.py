"""A request's options, read once and checked. Sans-I/O."""

from dataclasses import dataclass

from aiocoap.numbers.codes import Code

from thingstead.transports.coap.blocks import Block, read_block
from thingstead.transports.coap.datagrams import Datagram, Number
from thingstead.transports.coap.messages import JSON_FORMAT, LINK_FORMAT
from thingstead.transports.coap.refusals import (
    BadOptionError,
    NotAcceptableError,
    ProxyingNotSupportedError,
)
from thingstead.transports.coap.targets import Target, target_of

_ACCEPTABLE = frozenset({JSON_FORMAT, LINK_FORMAT})


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request message: perhaps only a block of a request."""

    method: Code
    target: Target
    payload: bytes
    content_format: int | None
    observe: int | None
    block1: Block | None
    block2: Block | None
    size1: int | None
    echo: bytes | None
    no_response: int | None
    request_tags: tuple[bytes, ...]


def read_incoming(datagram: Datagram) -> Incoming:
    """Return what a request's options say.

    Raises:
        CoAPRefusalError: they cannot be obeyed.
    """
    if datagram.bad_option is not None:
        raise BadOptionError(str(datagram.bad_option))
    single: dict[Number, bytes] = {}
    path: list[bytes] = []
    query: list[bytes] = []
    tags: list[bytes] = []
    repeated = {Number.URI_PATH: path, Number.URI_QUERY: query, Number.REQUEST_TAG: tags}
    for number, value in datagram.options:
        if number in repeated:
            repeated[number].append(value)
        else:
            single[number] = value
    if Number.PROXY_URI in single or Number.PROXY_SCHEME in single:
        raise ProxyingNotSupportedError
    accept = _number(single.get(Number.ACCEPT))
    if accept is not None and accept not in _ACCEPTABLE:
        raise NotAcceptableError(f"{accept} was asked for")
    return Incoming(
        method=Code(datagram.code),
        target=target_of(path, query),
        payload=datagram.payload,
        content_format=_number(single.get(Number.CONTENT_FORMAT)),
        observe=_number(single.get(Number.OBSERVE)),
        block1=_block(single.get(Number.BLOCK1)),
        block2=_block(single.get(Number.BLOCK2)),
        size1=_number(single.get(Number.SIZE1)),
        echo=single.get(Number.ECHO),
        no_response=_number(single.get(Number.NO_RESPONSE)),
        request_tags=tuple(tags),
    )


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "big")


def _block(value: bytes | None) -> Block | None:
    return None if value is None else read_block(value)
