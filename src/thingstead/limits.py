"""From the settings to each feature's own limits: the second half of the composition root."""

from thingstead.features.collections.model import CollectionLimits
from thingstead.features.firmware.model import FirmwareLimits
from thingstead.features.kept_sessions.model import KeptSessionLimits
from thingstead.features.links.service import LinkLimits
from thingstead.features.live.subscription import LiveLimits
from thingstead.features.sharing.service import SharingLimits
from thingstead.features.things.service import ThingLimits
from thingstead.features.users.limits import GuessLimits, UserLimits
from thingstead.features.values.checks import WriteLimits
from thingstead.kernel.budget import Rate
from thingstead.kernel.known_tokens import TokenLimits
from thingstead.limit_settings import LimitSettings
from thingstead.settings import Settings
from thingstead.storage.sqlite.object_store import ObjectStoreLimits
from thingstead.storage.sqlite.value_store import ValueStoreLimits
from thingstead.transports.udp.server import UDPLimits

_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400


def _in(seconds: int, count: int) -> Rate:
    return Rate(count / seconds, count)


def thing_limits(limits: LimitSettings) -> ThingLimits:
    """Return the limits of things."""
    return ThingLimits(
        tokens=TokenLimits(bad=_in(_MINUTE_S, limits.bad_tokens_per_minute)),
        bad_codes=_in(_MINUTE_S, limits.bad_codes_per_minute),
    )


def udp_limits(limits: LimitSettings) -> UDPLimits:
    """Return the limits of the UDP gateway."""
    return UDPLimits(bad=_in(_MINUTE_S, limits.bad_tokens_per_minute))


def live_limits(limits: LimitSettings) -> LiveLimits:
    """Return the limits of live streams."""
    return LiveLimits(
        streams_per_thing=limits.streams_per_thing,
        streams_per_user=limits.streams_per_user,
        streams=limits.streams,
        queued_events=limits.stream_queue_events,
        queued_bytes=limits.stream_queue_bytes,
    )


def kept_session_limits(limits: LimitSettings) -> KeptSessionLimits:
    """Return the limits of messaging sessions whose clients are away."""
    return KeptSessionLimits(
        messages=limits.mqtt_offline_messages, longest_s=limits.mqtt_session_hours * _HOUR_S
    )


def write_limits(settings: Settings) -> WriteLimits:
    """Return the limits of writes."""
    limits = settings.limits
    past_days = limits.past_days
    if settings.retention_days > 0:
        # What retention would delete within the hour is not acknowledged first.
        past_days = min(past_days, settings.retention_days)
    return WriteLimits(
        values=limits.values_per_write,
        value_bytes=limits.value_bytes,
        document_bytes=limits.document_bytes,
        past_days=past_days,
        future_hours=limits.future_hours,
    )


def write_rate(limits: LimitSettings) -> Rate:
    """Return how often one thing may write."""
    return Rate(limits.writes_per_second, limits.write_burst)


def value_store_limits(limits: LimitSettings) -> ValueStoreLimits:
    """Return the limits of the values' store."""
    return ValueStoreLimits(
        waiting_values=limits.waiting_values,
        keys_per_thing=limits.keys_per_thing,
        kept_bytes=limits.kept_bytes,
        replay_values=limits.replay_values,
    )


def user_limits(limits: LimitSettings) -> UserLimits:
    """Return the limits of users, their sessions and their settings."""
    return UserLimits(
        tokens=TokenLimits(bad=_in(_MINUTE_S, limits.bad_sessions_per_minute)),
        guesses=GuessLimits(
            of_pair=_in(_MINUTE_S, limits.bad_logins_per_minute),
            of_address=_in(_MINUTE_S, limits.bad_logins_per_address),
            of_account=_in(_HOUR_S, limits.bad_logins_per_account),
        ),
        calls=Rate(limits.calls_per_second, limits.call_burst),
        registrations=_in(_HOUR_S, limits.registrations_per_hour),
        max_sessions=limits.sessions_per_user,
        settings_bytes=limits.settings_bytes,
        settings_members=limits.settings_members,
    )


def link_limits(limits: LimitSettings) -> LinkLimits:
    """Return the limits of links."""
    return LinkLimits(
        things_per_user=limits.things_per_user,
        failed_tries=_in(_HOUR_S, limits.link_tries_per_hour),
        unlinks_of_thing=_in(_HOUR_S, limits.unlinks_per_thing),
        pending_link_ids=limits.link_ids_per_user,
    )


def sharing_limits(limits: LimitSettings) -> SharingLimits:
    """Return the limits of grants."""
    return SharingLimits(
        entries=limits.grant_entries,
        grants_per_user=limits.grants_per_user,
        entries_per_user=limits.grant_entries_per_user,
        mails=_in(_HOUR_S, limits.grants_per_hour),
        mails_to_address=_in(_DAY_S, limits.grants_per_address),
    )


def collection_limits(limits: LimitSettings) -> CollectionLimits:
    """Return the limits of collections."""
    return CollectionLimits(
        collections_per_user=limits.collections_per_user,
        objects_per_collection=limits.objects_per_collection,
        bytes_per_collection=limits.collection_bytes,
        object_bytes=limits.object_bytes,
    )


def object_store_limits(limits: LimitSettings) -> ObjectStoreLimits:
    """Return the limits of the objects' store."""
    return ObjectStoreLimits(waiting_changes=limits.waiting_objects)


def firmware_limits(limits: LimitSettings) -> FirmwareLimits:
    """Return the limits of images, updates and downloads."""
    return FirmwareLimits(
        image_bytes=limits.firmware_bytes,
        images_per_product=limits.firmwares_per_product,
        attempts=limits.firmware_attempts,
        grace_ms=limits.firmware_grace_seconds * 1_000,
        poll_s=limits.firmware_poll_seconds,
        reports=_in(_MINUTE_S, limits.firmware_reports_per_minute),
        downloads_per_thing=limits.downloads_per_thing,
        downloads=limits.downloads,
    )
