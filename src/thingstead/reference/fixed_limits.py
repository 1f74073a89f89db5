"""Limits that are no settings, as rows of `docs/limits.md`, each from the constant that bounds."""

from thingstead.features.apps.service import MAX_RESOURCES
from thingstead.features.campaigns import planning
from thingstead.features.collections.model import MAX_FILTER_MEMBERS
from thingstead.features.devices.decoding import MAX_DECODER_CHARACTERS, MAX_FIELDS
from thingstead.features.devices.model import MAX_DEVICE_ID_CHARACTERS
from thingstead.features.firmware.filenames import MAX_FILENAME_CHARACTERS
from thingstead.features.firmware.intake import MAX_NOTES_CHARACTERS
from thingstead.features.firmware.sightings import MOST_MCUS_OF_A_THING
from thingstead.features.firmware.signing import MAX_KEYS
from thingstead.features.firmware.status import MAX_DETAIL_CHARACTERS
from thingstead.features.firmware.updates import MAX_TIMELINE
from thingstead.features.firmware.versions import MAX_MCU_CHARACTERS, MAX_VERSION_CHARACTERS
from thingstead.features.links.service import LONGEST_LINK_ID, SHORTEST_LINK_ID, LinkLimits
from thingstead.features.products.service import MAX_CODES_AT_ONCE
from thingstead.features.sharing.resources import MOST_LISTED
from thingstead.features.tags.model import MAX_TAG_CHARACTERS
from thingstead.features.users import addresses, passwords, user_settings
from thingstead.features.users.limits import UserLimits
from thingstead.kernel.json_values import JSONLimits
from thingstead.kernel.names import MAX_NAME_CHARACTERS
from thingstead.storage.sql.link_ids import MAX_OFFERS
from thingstead.storage.sqlite.value_archive import WAITING_DELETIONS
from thingstead.storage.sqlite.value_writer import COMPARED_VALUES
from thingstead.transports.http.callbacks.mapping import MAX_DEPTH
from thingstead.transports.http.ddi import attributes
from thingstead.transports.http.ddi.handlers import MAX_ATTRIBUTES_BYTES, MAX_FEEDBACK_BYTES
from thingstead.transports.http.protocol.limits import EdgeLimits
from thingstead.transports.http.ranges import MOST_PARTS, MOST_RANGES
from thingstead.transports.http.v2.long_lists import LISTS_AT_ONCE
from thingstead.transports.udp.server import UDPLimits
from thingstead.transports.wire.keep_alive import LONGEST_KEEP_ALIVE_MS, SHORTEST_KEEP_ALIVE_MS

_DAY_MS = 86_400_000
_DAY_S = 86_400


def fixed_limits() -> list[tuple[str, str, str]]:
    """Return what is bounded, by how much, and what happens beyond."""
    return [*_of_devices(), *_of_firmware(), *_of_apps()]


def _of_devices() -> list[tuple[str, str, str]]:
    json = JSONLimits()
    udp = UDPLimits()
    decoder = f"{MAX_DECODER_CHARACTERS:,} and {MAX_FIELDS}"
    agents = f"{MAX_FEEDBACK_BYTES:,} and {MAX_ATTRIBUTES_BYTES:,} bytes"
    told = (
        f"{attributes.MOST_ATTRIBUTES}, {attributes.MAX_KEY_CHARACTERS} and"
        f" {attributes.MAX_VALUE_CHARACTERS:,}"
    )
    keep_alive = f"{SHORTEST_KEEP_ALIVE_MS:,} to {LONGEST_KEEP_ALIVE_MS:,} ms"
    return [
        ("Values of one read", "100", "treated as 100"),
        ("Characters of a resource key", "64", "400"),
        ("Nesting of a JSON body", f"{json.max_depth} levels", "400"),
        ("Members of one JSON object", f"{json.max_members:,}", "400"),
        ("Whole numbers", "-2^63 to 2^63-1", "400"),
        ("Characters of a tag", f"{MAX_TAG_CHARACTERS}", "400"),
        ("Characters of a product's, thing's or app's name", f"{MAX_NAME_CHARACTERS}", "refused"),
        ("Activation codes made at once", f"{MAX_CODES_AT_ONCE:,}", "refused"),
        ("keepAlive of a stream", keep_alive, "treated as the nearer bound"),
        ("Query parameters", "50", "400"),
        ("Characters of a device id", f"{MAX_DEVICE_ID_CHARACTERS}", "400"),
        ("Levels of objects that a callback stores", f"{MAX_DEPTH}", "left out"),
        ("Characters and fields of a decoder", decoder, "refused"),
        ("A datagram over UDP", f"{udp.datagram_bytes:,} bytes", "05"),
        ("Datagrams in progress", f"{udp.in_progress:,}", "dropped"),
        ("Fields of a form, and their nesting", "10,000 and 8 levels", "400"),
        ("Path behind `$settings.`", "256 characters and 16 steps", "400"),
        ("Values of one time that a repeat is looked for among", f"{COMPARED_VALUES:,}", "stored"),
        ("Link ids with which one thing waits", f"{MAX_OFFERS}", "429"),
        ("Feedback, and attributes, of an agent of hawkBit", agents, "413"),
        ("Such attributes, and characters of their keys and values", told, "400"),
    ]


def _of_firmware() -> list[tuple[str, str, str]]:
    edge = EdgeLimits()
    patience = f"{planning.MIN_PATIENCE_S} s to {planning.MAX_PATIENCE_S // _DAY_S} days"
    ranges = f"{MOST_RANGES}; {MOST_PARTS} that do not touch"
    rate = f"{edge.pace_bytes_per_second:,} bytes, over {edge.pace_seconds:g} s"
    return [
        ("Characters of an image's version, and of an MCU's name", _both_lengths(), "refused"),
        ("Characters of an image's notes", f"{MAX_NOTES_CHARACTERS:,}", "refused"),
        ("Characters of an image's file name", f"{MAX_FILENAME_CHARACTERS}", "cut"),
        ("Signing keys of a product, revoked ones included", f"{MAX_KEYS}", "refused"),
        ("MCUs of a thing whose versions are kept", f"{MOST_MCUS_OF_A_THING}", "not kept"),
        ("Entries of a thing's timeline of updates", f"{MAX_TIMELINE}", "the oldest goes"),
        ("Characters of what a thing says of an update", f"{MAX_DETAIL_CHARACTERS}", "cut"),
        ("Ranges of one request for an image", ranges, "the whole image is sent"),
        ("What a download must take in a second", f"{rate} on average", "the connection is cut"),
        ("Rings of a campaign", f"{planning.MAX_RINGS}", "refused"),
        (
            "Tags, and versions, that choose a campaign's things",
            f"{planning.MAX_TAGS} and {planning.MAX_VERSIONS}",
            "refused",
        ),
        ("Soak time of a campaign", f"{planning.MAX_SOAK_S // _DAY_S} days", "refused"),
        ("Patience of a campaign", f"{patience}, longer than the soak time", "refused"),
        ("Attempts of a campaign", f"{planning.MAX_ATTEMPTS}", "refused"),
    ]


def _both_lengths() -> str:
    return f"{MAX_VERSION_CHARACTERS} and {MAX_MCU_CHARACTERS}"


def _of_apps() -> list[tuple[str, str, str]]:
    users = UserLimits()
    email = f"{addresses.MAX_CHARACTERS}, {addresses.MAX_LOCAL_CHARACTERS} before the @"
    password = f"{passwords.SHORTEST} to {passwords.LONGEST}"
    link_id = f"{SHORTEST_LINK_ID} to {LONGEST_LINK_ID}, kept {LinkLimits().link_id_hours} hours"
    session = (
        f"{users.session_idle_ms // _DAY_MS} days without use,"
        f" {users.session_life_ms // _DAY_MS} days altogether"
    )
    mails = (
        f"{users.confirm_letters.burst:g}, {users.reset_letters.burst:g},"
        f" {users.password_letters.burst:g}"
    )
    return [
        ("Resources that an app names", f"{MAX_RESOURCES:,}", "refused"),
        ("Characters of a mail address", email, "400"),
        ("Characters of a password", password, "400"),
        (
            "Characters of a member's name in settings",
            f"{user_settings.MAX_NAME_CHARACTERS}",
            "400",
        ),
        ("A session", session, "401"),
        (
            "Requests to reset a password from one address in an hour",
            f"{users.resets_of_address.burst:g}",
            "429",
        ),
        (
            "Mails to one address of an app in a day: confirm, reset, password changed",
            mails,
            "no mail is sent; asking to confirm again is 429",
        ),
        ("Characters of a link id", link_id, "400"),
        ("Pairs of resource and thing in `/v2/me/resources`", f"{MOST_LISTED:,}", "413"),
        ("Exports of one user at a time", "1", "429"),
        ("Deletions of one thing's values that wait", f"{WAITING_DELETIONS}", "503"),
        ("Characters of a collection's name, and of an `_id`", "64 and 128", "400"),
        ("Members of `where`", f"{MAX_FILTER_MEMBERS}", "400"),
        ("Long or filtered lists of one user at a time", f"{LISTS_AT_ONCE}", "429"),
    ]
