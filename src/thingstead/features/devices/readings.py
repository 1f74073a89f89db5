"""What a message of a device stores: the decoder's fields, or its bytes as they are.

Pure, and the same for every way on which a message comes in.
"""

from thingstead.features.devices.decoding import Decoder
from thingstead.features.values.model import IncomingValue

RAW_KEY = "data"


def values_of_message(
    decoder: Decoder | None,
    message: bytes,
    *,
    datetime: str | None = None,
    geo: object = None,
) -> list[IncomingValue]:
    """Return the decoder's fields; without any, the bytes in hex under the key `data`."""
    fields = {} if decoder is None else decoder.decode(message)
    found: dict[str, object] = dict(fields) or {RAW_KEY: message.hex()}
    return [IncomingValue(key, value, geo, datetime) for key, value in found.items()]
