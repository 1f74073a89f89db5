"""What a datagram's payload stores: a write if it is one, otherwise what the decoder makes."""

from thingstead.features.devices.decoding import Decoder
from thingstead.features.devices.readings import values_of_message
from thingstead.features.values.model import IncomingWrite
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.wire.json_bodies import decode_write
from thingstead.transports.wire.msgpack_bodies import decode_msgpack_write

# The first bytes of a MessagePack map: of up to 15 members, and with 16 or 32 bits of count.
_MAPS = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})


def write_of(payload: bytes, decoder: Decoder | None) -> IncomingWrite:
    """Return the write: that of a JSON or MessagePack `{"values":[…]}`, or of the bytes.

    What begins like one of the two and is none is bytes: a sensor's first byte may be any.
    """
    try:
        if payload.lstrip()[:1] == b"{":
            return decode_write(payload)
        if payload[0] in _MAPS:
            return decode_msgpack_write(payload)
    except ThingsteadError:
        pass
    return IncomingWrite(values_of_message(decoder, payload))
