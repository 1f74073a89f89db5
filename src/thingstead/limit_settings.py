"""The bounds among the settings: how much, how many, how long. Part of `settings.py`.

A description and the answer beyond a limit stand beside each; `docs/limits.md` is generated
from them.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta

_Count = Annotated[int, Meta(ge=1, le=2**31)]
_Seconds = Annotated[int, Meta(ge=1, le=86_400)]


def described(description: str, default: object, refusal: str = "") -> Any:  # noqa: ANN401  # As dataclasses.field.
    """Return a field with what the docs say of it; `refusal` is the answer beyond a limit."""
    return field(default=default, metadata={"description": description, "refusal": refusal})


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds; each refusal names the one that it met."""

    write_bytes: _Count = described("Body of a write, in bytes.", 1024 * 1024, "413")
    object_bytes: _Count = described(
        "One object of a collection, in bytes of JSON; the body of an activation, or a callback.",
        64 * 1024,
        "413",
    )
    document_bytes: _Count = described(
        "A thing's description and its settings, each in bytes of JSON, and the body of a tag or"
        " of a call of the app API that stores no object.",
        16 * 1024,
        "413 for a description, 400 for settings",
    )
    answer_bytes: _Count = described(
        "Largest answer of all_resources, in bytes.", 4 * 1024 * 1024, "413"
    )
    values_per_write: _Count = described("Values in one write.", 1_000, "400")
    value_bytes: _Count = described("One value, in bytes of JSON.", 8 * 1024, "400")
    keys_per_thing: _Count = described("Different resource keys of a thing.", 1_000, "400")
    tags_per_thing: _Count = described("Tags of a thing.", 50, "400")
    past_days: _Count = described("How many days old a written value may be.", 3_653, "400")
    future_hours: _Count = described("How many hours ahead a written value may be.", 24, "400")
    writes_per_second: _Count = described("Write requests of one thing in a second.", 100, "429")
    write_burst: _Count = described(
        "Write requests of one thing at once after a pause.", 1_000, "429"
    )
    bad_tokens_per_minute: _Count = described(
        "Unknown thing tokens from one address in a minute, and as many wrong product hashes and"
        " wrong datagrams; right ones cost nothing.",
        20,
        "429",
    )
    bad_codes_per_minute: _Count = described(
        "Wrong activation codes from one address in a minute; right ones cost nothing.", 10, "429"
    )
    streams_per_thing: _Count = described("Live streams of one thing.", 100, "429")
    streams: _Count = described("Live streams of the whole server.", 20_000, "503")
    stream_queue_events: _Count = described(
        "Events that may wait for one slow stream.", 256, "the stream ends with a reason"
    )
    stream_queue_bytes: _Count = described(
        "Bytes that may wait for one slow stream.", 256 * 1024, "the stream ends with a reason"
    )
    things_per_user: _Count = described("Things of one user.", 10_000, "403")
    sessions_per_user: _Count = described(
        "Sessions of one user.", 50, "the one that was not used for longest ends"
    )
    calls_per_second: _Count = described("Calls of one app user in a second.", 50, "429")
    call_burst: _Count = described("Calls of one app user at once after a pause.", 500, "429")
    streams_per_user: _Count = described("Live streams of one app user.", 50, "429")
    bad_sessions_per_minute: _Count = described(
        "Unknown session tokens from one address in a minute, and as many links of mails that do"
        " not work; what is known costs nothing.",
        20,
        "429",
    )
    registrations_per_hour: _Count = described(
        "Registrations from one address in an hour.", 300, "429"
    )
    bad_logins_per_minute: _Count = described(
        "Failed log-ins to one account from one address in a minute.", 5, "429"
    )
    bad_logins_per_address: _Count = described(
        "Failed log-ins from one address in a minute.", 100, "429"
    )
    bad_logins_per_account: _Count = described(
        "Failed log-ins to one account in an hour from anywhere.",
        100,
        "further ones from addresses that never logged in to it wait up to 5 s",
    )
    waiting_passwords: _Count = described("Passwords that may wait to be hashed.", 32, "503")
    settings_bytes: _Count = described("Settings of one user, in bytes of JSON.", 16 * 1024, "413")
    settings_members: _Count = described("Members of one user's settings.", 100, "413")
    link_tries_per_hour: _Count = described(
        "Failed attempts of one user to link a thing in an hour.", 10, "429"
    )
    unlinks_per_thing: _Count = described("Times that one thing is unlinked in an hour.", 20, "429")
    link_ids_per_user: _Count = described("Link ids of one user that wait.", 10, "429")
    grants_per_user: _Count = described("Grants that one user has given.", 1_000, "403")
    grant_entries: _Count = described("Resources of things in one grant.", 1_000, "400")
    grant_entries_per_user: _Count = described(
        "Resources of things in all grants that one user has given.", 10_000, "403"
    )
    grants_per_hour: _Count = described("Grants that one user gives in an hour.", 10, "429")
    grants_per_address: _Count = described(
        "Grants that one user gives to one address in a day.", 3, "429"
    )
    role_entries: _Count = described(
        "Resources of things in the roles of a log-in's answer.",
        10_000,
        "the rest is left out; /v2/me/resources has all",
    )
    collections_per_user: _Count = described("Collections of one user.", 100, "403")
    objects_per_collection: _Count = described("Objects of one collection.", 10_000, "403")
    collection_bytes: _Count = described(
        "One collection, in bytes of JSON.", 16 * 1024 * 1024, "403"
    )
    waiting_objects: _Count = described(
        "Changes of objects that may wait to be stored.", 10_000, "503"
    )
    waiting_values: _Count = described(
        "Values that may wait to be stored before writes are answered with 503.", 10_000, "503"
    )
    mqtt_packet_bytes: _Count = described(
        "One MQTT packet, in bytes.", 64 * 1024, "the connection is closed (MQTT 5: 0x95)"
    )
    mqtt_filters: _Count = described(
        "Subscriptions of one MQTT connection.", 50, "the filter is refused (MQTT 5: 0x97)"
    )
    mqtt_session_hours: _Count = described(
        "How long an MQTT session is kept without a connection.", 24, "the session ends"
    )
    mqtt_offline_messages: _Count = described(
        "Relayed messages that are kept for an MQTT session without a connection.",
        1_000,
        "the oldest are dropped",
    )
    mqtt_connect_seconds: _Seconds = described(
        "Time for an MQTT client's CONNECT to arrive.", 5, "the connection is closed"
    )
    replay_values: _Count = described(
        "How many of the newest values of all things a live stream can be given again.",
        1_000_000,
        "a stream that asks for older ones is told of the gap",
    )
    kept_bytes: Annotated[int, Meta(ge=0, le=2**40)] = described(
        "Memory for repeated reads of the newest values, about, in bytes; 0 keeps nothing.",
        32 * 1024 * 1024,
        "the oldest are dropped",
    )
    firmware_bytes: Annotated[int, Meta(ge=1, le=2**30)] = described(
        "One firmware image, in bytes; at most 1 GiB.", 64 * 1024 * 1024, "413"
    )
    firmwares_per_product: _Count = described(
        "Firmware images of one product, drafts and revoked ones included; at most 1,000 are"
        " looked at to choose what is offered.",
        1_000,
        "403",
    )
    firmware_attempts: _Count = described(
        "Failed updates of one thing to one image, outside of campaigns.",
        3,
        "the image is offered to the thing no more until an operator releases it",
    )
    firmware_grace_seconds: Annotated[int, Meta(ge=0, le=86_400)] = described(
        "Time after a download in which a thing may still report its old version.",
        30,
        "the update counts as failed",
    )
    firmware_poll_seconds: Annotated[int, Meta(ge=10, le=86_400)] = described(
        "How often things with nothing to do are asked to ask for firmware, about.",
        900,
        "it is an advice",
    )
    firmware_reports_per_minute: _Count = described(
        "Other versions that one thing reports, and what it says of its updates, a minute.",
        120,
        "429",
    )
    downloads_per_thing: _Count = described("Firmware downloads of one thing at once.", 4, "429")
    downloads: _Count = described("Firmware downloads of the whole server at once.", 4_000, "429")
    target_bytes: _Count = described("Request target (path and query), in bytes.", 4_096, "414")
    head_bytes: _Count = described("Request head, in bytes.", 16_384, "431")
    headers: _Count = described("Header fields of a request.", 64, "431")
    head_seconds: _Seconds = described("Time for a request's head to arrive.", 10, "408")
    body_seconds: _Seconds = described(
        "Time for a request's body to arrive; large bodies get 1 s for each 500 bytes.", 30, "408"
    )
    idle_seconds: _Seconds = described(
        "Time that an idle connection is kept.", 15, "the connection is closed"
    )
    connections: _Count = described("Open connections.", 20_000, "503")
    connections_per_address: _Count = described("Open connections of one address.", 10_000, "503")
    drain_seconds: _Seconds = described(
        "Time for requests in progress at a stop.", 8, "connections are closed"
    )
