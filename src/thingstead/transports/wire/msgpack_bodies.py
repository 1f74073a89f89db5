"""MessagePack bodies: the same map as in JSON (`thethings-v2.md` 2.2, Arduino's example)."""

import msgspec

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import IncomingWrite
from thingstead.kernel.errors import InvalidBodyError
from thingstead.transports.wire.json_bodies import what_and_where

_write_decoder = msgspec.msgpack.Decoder(IncomingWrite)
_any_decoder = msgspec.msgpack.Decoder()


def decode_msgpack_write(body: bytes) -> IncomingWrite:
    """Return the write that a MessagePack body holds.

    Raises:
        InvalidBodyError: the body is no MessagePack.
        InvalidValuesError: it is not of the shape of a write.
    """
    try:
        return _write_decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidValuesError(what_and_where(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise InvalidBodyError("the body is not well-formed MessagePack") from exc


def decode_msgpack(body: bytes) -> object:
    """Return the value that a MessagePack body holds, unchecked.

    Raises:
        InvalidBodyError: the body is no MessagePack.
    """
    try:
        return _any_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise InvalidBodyError("the body is not well-formed MessagePack") from exc
