"""Every setting, in one typed tree: defaults < file < environment < command line.

`docs/settings.md` is generated from the descriptions here. The environment is read nowhere
else. A setting that is wrong stops the start with the name of its source; unknown names in
the file or the environment do too, because a misspelt setting that is silently ignored is
found at night.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

ENVIRONMENT_PREFIX = "THINGSTEAD_"
FILE_NAME = "thingstead.toml"

# Kubernetes describes a Service called "thingstead" to every pod of its namespace, our own among
# them, by variables that begin like ours: THINGSTEAD_SERVICE_HOST, THINGSTEAD_SERVICE_PORT_HTTP,
# THINGSTEAD_PORT_8000_TCP_ADDR, and THINGSTEAD_PORT=tcp://10.0.0.1:8000. They are no settings, and
# refusing them would keep the server from starting wherever its Service has its name. Source:
# Kubernetes, "Service", section "Environment variables".
_OF_A_KUBERNETES_SERVICE = re.compile(r"service_.*|port_[0-9]+_.*")
_KUBERNETES_PORT_SCHEMES = ("tcp://", "udp://", "sctp://")
# The first may not be less than the second: what may be written must be able to wait.
_NOT_BELOW = (("waiting_values", "values_per_write"),)

_Count = Annotated[int, Meta(ge=1, le=2**31)]
_Seconds = Annotated[int, Meta(ge=1, le=86_400)]


def _described(description: str, default: object, refusal: str = "") -> Any:  # noqa: ANN401  # As dataclasses.field.
    """Return a field with what the docs say of it; `refusal` is the answer beyond a limit."""
    return field(default=default, metadata={"description": description, "refusal": refusal})


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds; each refusal names the one that it met."""

    write_bytes: _Count = _described("Body of a write, in bytes.", 1024 * 1024, "413")
    object_bytes: _Count = _described(
        "One object of a collection, in bytes of JSON; the body of an activation, or a callback.",
        64 * 1024,
        "413",
    )
    document_bytes: _Count = _described(
        "A thing's description and its settings, each in bytes of JSON, and the body of a tag or"
        " of a call of the app API that stores no object.",
        16 * 1024,
        "413 for a description, 400 for settings",
    )
    answer_bytes: _Count = _described(
        "Largest answer of all_resources, in bytes.", 4 * 1024 * 1024, "413"
    )
    values_per_write: _Count = _described("Values in one write.", 1_000, "400")
    value_bytes: _Count = _described("One value, in bytes of JSON.", 8 * 1024, "400")
    keys_per_thing: _Count = _described("Different resource keys of a thing.", 1_000, "400")
    tags_per_thing: _Count = _described("Tags of a thing.", 50, "400")
    past_days: _Count = _described("How many days old a written value may be.", 3_653, "400")
    future_hours: _Count = _described("How many hours ahead a written value may be.", 24, "400")
    writes_per_second: _Count = _described("Write requests of one thing in a second.", 100, "429")
    write_burst: _Count = _described(
        "Write requests of one thing at once after a pause.", 1_000, "429"
    )
    bad_tokens_per_minute: _Count = _described(
        "Unknown thing tokens from one address in a minute, and as many wrong product hashes and"
        " wrong datagrams; right ones cost nothing.",
        20,
        "429",
    )
    bad_codes_per_minute: _Count = _described(
        "Wrong activation codes from one address in a minute; right ones cost nothing.", 10, "429"
    )
    streams_per_thing: _Count = _described("Live streams of one thing.", 100, "429")
    streams: _Count = _described("Live streams of the whole server.", 20_000, "503")
    stream_queue_events: _Count = _described(
        "Events that may wait for one slow stream.", 256, "the stream ends with a reason"
    )
    stream_queue_bytes: _Count = _described(
        "Bytes that may wait for one slow stream.", 256 * 1024, "the stream ends with a reason"
    )
    things_per_user: _Count = _described("Things of one user.", 10_000, "403")
    sessions_per_user: _Count = _described(
        "Sessions of one user.", 50, "the one that was not used for longest ends"
    )
    calls_per_second: _Count = _described("Calls of one app user in a second.", 50, "429")
    call_burst: _Count = _described("Calls of one app user at once after a pause.", 500, "429")
    streams_per_user: _Count = _described("Live streams of one app user.", 50, "429")
    bad_sessions_per_minute: _Count = _described(
        "Unknown session tokens from one address in a minute, and as many links of mails that do"
        " not work; what is known costs nothing.",
        20,
        "429",
    )
    registrations_per_hour: _Count = _described(
        "Registrations from one address in an hour.", 300, "429"
    )
    bad_logins_per_minute: _Count = _described(
        "Failed log-ins to one account from one address in a minute.", 5, "429"
    )
    bad_logins_per_address: _Count = _described(
        "Failed log-ins from one address in a minute.", 100, "429"
    )
    bad_logins_per_account: _Count = _described(
        "Failed log-ins to one account in an hour from anywhere.",
        100,
        "further ones from addresses that never logged in to it wait up to 5 s",
    )
    waiting_passwords: _Count = _described("Passwords that may wait to be hashed.", 32, "503")
    settings_bytes: _Count = _described("Settings of one user, in bytes of JSON.", 16 * 1024, "413")
    settings_members: _Count = _described("Members of one user's settings.", 100, "413")
    link_tries_per_hour: _Count = _described(
        "Failed attempts of one user to link a thing in an hour.", 10, "429"
    )
    unlinks_per_thing: _Count = _described(
        "Times that one thing is unlinked in an hour.", 20, "429"
    )
    link_ids_per_user: _Count = _described("Link ids of one user that wait.", 10, "429")
    grants_per_user: _Count = _described("Grants that one user has given.", 1_000, "403")
    grant_entries: _Count = _described("Resources of things in one grant.", 1_000, "400")
    grant_entries_per_user: _Count = _described(
        "Resources of things in all grants that one user has given.", 10_000, "403"
    )
    grants_per_hour: _Count = _described("Grants that one user gives in an hour.", 10, "429")
    grants_per_address: _Count = _described(
        "Grants that one user gives to one address in a day.", 3, "429"
    )
    role_entries: _Count = _described(
        "Resources of things in the roles of a log-in's answer.",
        10_000,
        "the rest is left out; /v2/me/resources has all",
    )
    collections_per_user: _Count = _described("Collections of one user.", 100, "403")
    objects_per_collection: _Count = _described("Objects of one collection.", 10_000, "403")
    collection_bytes: _Count = _described(
        "One collection, in bytes of JSON.", 16 * 1024 * 1024, "403"
    )
    waiting_objects: _Count = _described(
        "Changes of objects that may wait to be stored.", 10_000, "503"
    )
    waiting_values: _Count = _described(
        "Values that may wait to be stored before writes are answered with 503.", 10_000, "503"
    )
    mqtt_packet_bytes: _Count = _described(
        "One MQTT packet, in bytes.", 64 * 1024, "the connection is closed (MQTT 5: 0x95)"
    )
    mqtt_filters: _Count = _described(
        "Subscriptions of one MQTT connection.", 50, "the filter is refused (MQTT 5: 0x97)"
    )
    mqtt_session_hours: _Count = _described(
        "How long an MQTT session is kept without a connection.", 24, "the session ends"
    )
    mqtt_offline_messages: _Count = _described(
        "Relayed messages that are kept for an MQTT session without a connection.",
        1_000,
        "the oldest are dropped",
    )
    mqtt_connect_seconds: _Seconds = _described(
        "Time for an MQTT client's CONNECT to arrive.", 5, "the connection is closed"
    )
    replay_values: _Count = _described(
        "How many of the newest values of all things a live stream can be given again.",
        1_000_000,
        "a stream that asks for older ones is told of the gap",
    )
    kept_bytes: Annotated[int, Meta(ge=0, le=2**40)] = _described(
        "Memory for repeated reads of the newest values, about, in bytes; 0 keeps nothing.",
        32 * 1024 * 1024,
        "the oldest are dropped",
    )
    target_bytes: _Count = _described("Request target (path and query), in bytes.", 4_096, "414")
    head_bytes: _Count = _described("Request head, in bytes.", 16_384, "431")
    headers: _Count = _described("Header fields of a request.", 64, "431")
    head_seconds: _Seconds = _described("Time for a request's head to arrive.", 10, "408")
    body_seconds: _Seconds = _described(
        "Time for a request's body to arrive; large bodies get 1 s for each 500 bytes.", 30, "408"
    )
    idle_seconds: _Seconds = _described(
        "Time that an idle connection is kept.", 15, "the connection is closed"
    )
    connections: _Count = _described("Open connections.", 20_000, "503")
    connections_per_address: _Count = _described("Open connections of one address.", 10_000, "503")
    drain_seconds: _Seconds = _described(
        "Time for requests in progress at a stop.", 8, "connections are closed"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this installation runs."""

    data: str = _described("Folder that holds everything.", "./thingstead-data")
    host: str = _described("Address to listen on.", "0.0.0.0")  # noqa: S104  # By design.
    port: Annotated[int, Meta(ge=0, le=65_535)] = _described("HTTP port; 0 takes a free one.", 8000)
    mqtt_port: Annotated[int, Meta(ge=0, le=65_535)] = _described("MQTT port; 0 is off.", 1883)
    mqtts_port: Annotated[int, Meta(ge=0, le=65_535)] = _described(
        "Port of MQTT over TLS, with tls_cert and tls_key; 0 is off.", 0
    )
    coap_port: Annotated[int, Meta(ge=0, le=65_535)] = _described(
        "CoAP port (UDP); 0 is off.", 5683
    )
    udp_port: Annotated[int, Meta(ge=0, le=65_535)] = _described(
        "Port of the gateway for plain UDP datagrams; 0 is off.", 0
    )
    tls_cert: str | None = _described("Certificate chain (PEM); turns HTTP into HTTPS.", None)
    tls_key: str | None = _described("Private key of the certificate (PEM).", None)
    public_url: str | None = _described(
        "Address under which clients reach the server, for printed lines and links.", None
    )
    trusted_proxy: tuple[str, ...] = _described(
        "Proxies (addresses or CIDR) whose X-Forwarded-For and -Proto are believed.", ()
    )
    mail: str = _described(
        "Mail server (smtp://USER:PASSWORD@HOST:PORT or smtps://…); console writes mails to the"
        " log.",
        "console",
    )
    mail_from: str | None = _described(
        "Sender of mails; without it thingstead@ and the host of the public URL.", None
    )
    history_follows_thing: bool = _described(
        "Show the next owner of a thing what it wrote for the ones before.",
        False,  # noqa: FBT003
    )
    demo: bool = _described("Run a simulated fleet that writes all the time.", False)  # noqa: FBT003
    log_level: Literal["debug", "info", "warning", "error"] = _described(
        "How much is logged to stderr.", "info"
    )
    direct_lane: bool = _described(
        "Serve writes on the direct lane; switch it off only to compare.",
        True,  # noqa: FBT003
    )
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = _described(
        "Values older than this are deleted; 0 keeps them for ever.", 0
    )
    limits: LimitSettings = field(
        default_factory=LimitSettings, metadata={"description": "Bounds."}
    )

    @property
    def data_folder(self) -> Path:
        """The data folder as a path."""
        return Path(self.data)

    @property
    def default_sender(self) -> str:
        """Who mails come from, when nothing else is set."""
        host = urlsplit(self.url(self.port)).hostname or ""
        # The number of an IPv6 address is no domain.
        return f"thingstead@{'localhost' if ':' in host or not host else host}"

    def url(self, port: int) -> str:
        """Return the public URL, or one under which this machine reaches that port."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "https" if self.tls_cert else "http"
        host = self.host
        if host in {"0.0.0.0", "::", ""}:  # noqa: S104  # It is compared, not bound.
            host = "localhost"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class SettingsError(Exception):
    """A setting is wrong; the text names it, its source, and what it takes."""


def load_settings(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Return the settings from all four sources.

    `flags`: by setting name; those that are None were not given.

    Raises:
        SettingsError: a value does not fit, a name is unknown, or two settings contradict
            each other.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    from_environment = _environment_tree(environment)
    data = given.get("data", from_environment.get("data", Settings().data))
    path = Path(str(data)) / FILE_NAME
    merged: dict[str, object] = {}
    limits: dict[str, object] = {}
    for tree, source in (
        (_file_tree(path), _from_file(path)),
        (from_environment, _from_environment),
        (given, _from_flag),
    ):
        below = tree.pop("limits", {})
        if not isinstance(below, dict):
            raise SettingsError(f"{source('limits')}: limits: expected a table")
        merged |= _checked(Settings, tree, source)
        limits |= _checked(LimitSettings, below, source, "limits.")
    settings = Settings(**merged, limits=LimitSettings(**limits))  # type: ignore[arg-type]
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError("tls_cert and tls_key go together")
    if settings.mqtts_port and settings.tls_cert is None:
        raise SettingsError("mqtts_port needs tls_cert and tls_key")
    _refuse_contradictions(settings.limits)
    return settings


def _refuse_contradictions(limits: LimitSettings) -> None:
    for larger, smaller in _NOT_BELOW:
        most, wanted = getattr(limits, larger), getattr(limits, smaller)
        if most < wanted:
            raise SettingsError(
                f"limits.{larger} ({most}) must not be less than limits.{smaller} ({wanted})"
            )


def _from_file(path: Path) -> Callable[[str], str]:
    return lambda _name: str(path)


def _from_environment(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.replace(".", "_").upper()


def _from_flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _environment_tree(environment: Mapping[str, str]) -> dict[str, object]:
    tree: dict[str, object] = {}
    limits: dict[str, object] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        # Used by the test suite and the scripts, not by the server.
        if name.startswith("test_") or _is_of_kubernetes(name, text):
            continue
        if name.startswith("limits_"):
            limits[name.removeprefix("limits_")] = text
        elif name == "trusted_proxy":
            tree[name] = tuple(part.strip() for part in text.split(",") if part.strip())
        else:
            tree[name] = text
    return {**tree, "limits": limits} if limits else tree


def _is_of_kubernetes(name: str, text: str) -> bool:
    return _OF_A_KUBERNETES_SERVICE.fullmatch(name) is not None or (
        name == "port" and text.startswith(_KUBERNETES_PORT_SCHEMES)
    )


def _file_tree(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingsError(f"{path}: {exc}") from exc


def _checked(
    kind: type,
    values: Mapping[str, object],
    source: Callable[[str], str],
    prefix: str = "",
) -> dict[str, object]:
    """Return the values as the settings' types; `source` names where a value comes from."""
    hints = get_type_hints(kind, include_extras=True)
    checked: dict[str, object] = {}
    for name, value in values.items():
        where = f"{source(prefix + name)}: {prefix}{name}"
        if name not in hints:
            raise SettingsError(f"{where}: there is no such setting")
        try:
            checked[name] = msgspec.convert(value, hints[name], strict=False)
        except msgspec.ValidationError as exc:
            raise SettingsError(f"{where}: {str(exc)[:1].lower()}{str(exc)[1:]}") from exc
    return checked
