"""What a write holds on its way in, and a value on its way out.

The first two classes are decoded straight from a request's bytes by every transport
(`transports/wire`), so their members are named as on the wire; unknown members are ignored
(`thethings-v2.md` 3.2). The others are ours.
"""

from dataclasses import dataclass, field
from typing import Final

from thingstead.kernel.ids import ThingId


class Absent:
    """The type of `ABSENT`: a member that was not sent, where null means something else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class IncomingValue:
    """One member of `values` as it was sent; nothing but the key's type is checked yet."""

    key: str
    value: object = ABSENT
    geo: object = None
    datetime: object = None


@dataclass(frozen=True, slots=True)
class IncomingWrite:
    """A write as it was sent."""

    values: list[IncomingValue]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a value was measured, in degrees: latitude -90..90, longitude -180..180."""

    lat: float
    long: float


# These three are made for every write. Frozen, each would take some 0.6 µs more to make, together
# a tenth of what a write over MQTT costs (benchmarks/README.md); nobody changes one all the same.
@dataclass(slots=True)
class NewValue:
    """A checked value; `has_own_time` tells a time the sender gave from the server's."""

    key: str
    value: object
    at_ms: int
    position: Position | None = None
    has_own_time: bool = False


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A change to one of a thing's documents: `$settings`, `$geo`, `description`.

    With an empty `path` the whole document is replaced; otherwise the one value at the path,
    whose missing parents become objects. `max_bytes` bounds the document after the change. With
    `only_if` the document must have that tag (`magic/documents.py`) when its turn comes.
    """

    name: str
    path: tuple[str, ...]
    value: object
    max_bytes: int
    only_if: str | None = None


@dataclass(slots=True)
class Write:
    """All that one request stores, in one transaction: values, and changes of documents.

    `echo` is what live subscribers see of it, in the order in which it was sent: an index into
    `values`, or the name and value of a magic resource. None stands for "the values as they are".

    The last of `epochs` is written to. The others, ascending, are where a document is looked for
    that the last one does not have yet, so that one member of it can be changed.
    """

    thing_id: ThingId
    values: tuple[NewValue, ...]
    changes: tuple[DocumentChange, ...] = ()
    echo: "tuple[int | MagicEcho, ...] | None" = None
    is_broadcast: bool = True
    epochs: tuple[int, ...] = (0,)
    delivery: "Delivery | None" = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The packet of a persistent session that carries a write.

    It is stored in the same transaction, so that sending it again stores nothing twice. `qos` is
    1 or 2. Of QoS 2 a packet is the same one until its id is released; of QoS 1 it is the same
    when the sender says so (`is_again`) and the content has the same `digest`.
    """

    session_id: str
    packet_id: int
    qos: int
    digest: bytes
    is_again: bool


@dataclass(frozen=True, slots=True)
class MagicEcho:
    """What a live subscriber sees of a magic resource that was written."""

    key: str
    value: object


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value as it is kept."""

    key: str
    value: object
    at_ms: int
    position: Position | None = None


Row = tuple[object, int, float | None, float | None]
"""A value read back: value, time in ms, latitude and longitude (both or neither)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a read of one resource gives: `rows`, newest first.

    Rows are plain tuples because a read of 100 values would spend as long on making 100
    objects as on finding and encoding them (benchmarks/README.md). `encodings` lets a
    transport keep its encoding, by the format's name, for as long as the reading is kept.
    """

    key: str
    rows: list[Row]
    encodings: dict[str, bytes] = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Appended:
    """What became of a write: durable when you hold one.

    `sequence` is that of the request's last value; the values before it have the numbers
    just below, in the order sent. `repeats` holds the indexes of values that were stored
    already, exactly so, and were left out. `is_repeat` tells that the whole request was carried
    by a packet that was stored before: nothing of it was stored, and nobody hears of it.
    """

    sequence: int
    repeats: frozenset[int] = frozenset()
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Which values to read: `from_ms <= time < until_ms`, the newest `limit` of them."""

    limit: int = 1
    from_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A thing, and the epochs of it that may be seen, ascending."""

    thing_id: ThingId
    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """The place of a value among all of its key; no two values of a thing share one."""

    at_ms: int
    sequence: int


@dataclass(frozen=True, slots=True)
class ArchivedValue:
    """A value on its way out of the archive, with the mark behind which to go on."""

    mark: Mark
    value: object
    position: Position | None = None
