"""What an image is, what a thing says that it runs, and how far an update has come."""

from dataclasses import dataclass, field
from enum import StrEnum

from thingstead.kernel.budget import Rate
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId, ThingId


class FirmwareState(StrEnum):
    """Where an image stands; only a published one is offered, only forward steps are possible."""

    DRAFT = "draft"
    PUBLISHED = "published"
    DEPRECATED = "deprecated"
    """Offered no more; a download that had begun may finish."""
    REVOKED = "revoked"
    """Offered no more, and no byte of it is given out any more."""


@dataclass(frozen=True, slots=True)
class Digests:
    """The raw digests of a whole image; agents of hawkBit's protocol check the SHA-1."""

    sha256: bytes
    sha1: bytes
    md5: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """A detached signature over the manifest (`manifests.py`), not over the image itself."""

    key_id: str
    algorithm: str
    """`ed25519`, or `ecdsa-p256-sha256` whose value is in DER."""
    value: bytes


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key that signatures of a product's images may be made with.

    `id`: the first 16 hexadecimal digits of the SHA-256 of `public_der`.
    """

    id: str
    product_id: ProductId
    algorithm: str
    public_der: bytes
    """SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) in DER."""
    name: str
    created_at_ms: int
    revoked_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says about itself; None where it says nothing."""

    kind: str
    """`esp-idf`, `mcuboot` or `raw`."""
    version: str | None = None
    project: str | None = None
    chip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFirmware:
    """What a publisher says about an image."""

    product_id: ProductId
    mcu: str
    version: str
    filename: str
    notes: str | None = None
    min_version: str | None = None
    """A thing must run at least this version to be offered the image."""
    is_mandatory: bool = False
    not_before_ms: int | None = None
    expires_at_ms: int | None = None
    sequence: int | None = None
    """Larger than those of all earlier images of product and MCU; None has one made."""
    signature: Signature | None = None
    is_draft: bool = False
    allows_mismatch: bool = False
    """Whether the image may say of itself something else than the publisher does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """An image for one MCU of a product; its bytes never change under one id."""

    number: int
    """Another name of it, for protocols whose ids are whole numbers."""
    id: FirmwareId
    product_id: ProductId
    mcu: str
    version: str
    sequence: int
    """Grows with each image of product and MCU; never the same twice."""
    state: FirmwareState
    size: int
    digests: Digests
    filename: str
    facts: ImageFacts
    created_at_ms: int
    published_at_ms: int | None = None
    notes: str | None = None
    min_version: str | None = None
    is_mandatory: bool = False
    is_revert: bool = False
    """Whether it brings the bytes of an earlier version back: also offered instead of newer ones
    that were withdrawn."""
    not_before_ms: int | None = None
    expires_at_ms: int | None = None
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a thing says in a request: which MCU it means and which version that runs."""

    mcu: str | None = None
    version: str | None = None
    md5: str | None = None
    """Of the image that runs, in lower-case hexadecimal."""


NO_REPORT = Report()


@dataclass(frozen=True, slots=True)
class Running:
    """The version that a thing's MCU reported last, since when, and when it was last heard of."""

    thing_id: ThingId
    mcu: str
    version: str
    since_ms: int
    seen_at_ms: int


class UpdateState(StrEnum):
    """How far the update of one thing to one image has come."""

    WAITING = "waiting"
    """It is a target of a campaign and was offered nothing yet."""
    OFFERED = "offered"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    """The last byte was given out."""
    INSTALLING = "installing"
    """The thing said so."""
    REPORTED = "reported"
    """The thing says that it runs the version, and has to prove that it works."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It may be offered again."""
    BLOCKED = "blocked"
    """It failed too often; an operator may release it."""
    CURRENT = "current"
    """It runs the version, or a newer one, which it did not get here."""


UNDER_WAY = frozenset(
    {
        UpdateState.DOWNLOADING,
        UpdateState.DOWNLOADED,
        UpdateState.INSTALLING,
        UpdateState.REPORTED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One thing on its way to one image; there is at most one for each pair.

    Times in milliseconds, None for what has not happened (since the latest attempt began).
    """

    thing_id: ThingId
    firmware_id: FirmwareId
    product_id: ProductId
    mcu: str
    campaign_id: CampaignId | None = None
    ring: int = 0
    """Which ring of its campaign the thing is in, the innermost being 0."""
    state: UpdateState
    reason: str = ""
    """Why the state is what it is, a sentence without an end mark; may hold text of devices."""
    failures: int = 0
    offered_at_ms: int | None = None
    begun_at_ms: int | None = None
    downloaded_at_ms: int | None = None
    reported_at_ms: int | None = None
    ended_at_ms: int | None = None
    changed_at_ms: int
    action: int = 0
    """Its number in the store, 0 before it is stored."""
    revision: int = 0
    """One more with each change; a change of an older one is not stored."""


@dataclass(frozen=True, slots=True)
class UpdateEvent:
    """An entry of a thing's timeline. `detail` may hold text of the device: show it as text."""

    thing_id: ThingId
    firmware_id: FirmwareId | None
    campaign_id: CampaignId | None
    at_ms: int
    kind: str
    """offered, begun, downloaded, reported, succeeded, failed, blocked, released, said, joined."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one update together with what the timeline says about it."""

    update: Update
    """As it shall be; `revision` is that of the one it was made from (0: it is new)."""
    events: tuple[UpdateEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ThingRecord:
    """All that is stored about one thing's firmware."""

    updates: tuple[Update, ...]
    running: tuple[Running, ...]


@dataclass(frozen=True, slots=True)
class FirmwareLimits:
    """How large, how many, how long."""

    image_bytes: int = 64 * 1024 * 1024
    images_per_product: int = 1_000
    attempts: int = 3
    """After so many failures of one image on one thing it is offered no more."""
    grace_ms: int = 30_000
    """A thing that still reports the old version so soon after a download has not restarted."""
    poll_s: int = 900
    """How often a thing with nothing to do should ask; shorter while something is under way."""
    reports: Rate = field(default=Rate(per_second=2, burst=120))
    """How often one thing may report another version, or say how an update goes: each is stored."""
    downloads_per_thing: int = 4
    downloads: int = 4_000
