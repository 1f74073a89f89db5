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
from typing import Annotated, Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from thingstead.limit_settings import LimitSettings, described

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this installation runs."""

    data: str = described("Folder that holds everything.", "./thingstead-data")
    host: str = described("Address to listen on.", "0.0.0.0")  # noqa: S104  # By design.
    port: Annotated[int, Meta(ge=0, le=65_535)] = described("HTTP port; 0 takes a free one.", 8000)
    mqtt_port: Annotated[int, Meta(ge=0, le=65_535)] = described("MQTT port; 0 is off.", 1883)
    mqtts_port: Annotated[int, Meta(ge=0, le=65_535)] = described(
        "Port of MQTT over TLS, with tls_cert and tls_key; 0 is off.", 0
    )
    coap_port: Annotated[int, Meta(ge=0, le=65_535)] = described("CoAP port (UDP); 0 is off.", 5683)
    udp_port: Annotated[int, Meta(ge=0, le=65_535)] = described(
        "Port of the gateway for plain UDP datagrams; 0 is off.", 0
    )
    tls_cert: str | None = described("Certificate chain (PEM); turns HTTP into HTTPS.", None)
    tls_key: str | None = described("Private key of the certificate (PEM).", None)
    public_url: str | None = described(
        "Address under which clients reach the server, for printed lines and links.", None
    )
    trusted_proxy: tuple[str, ...] = described(
        "Proxies (addresses or CIDR) whose X-Forwarded-For and -Proto are believed.", ()
    )
    blobs: str | None = described(
        "Where firmware images are kept: s3://BUCKET/PREFIX?endpoint=URL for an S3-compatible"
        " store; without it the folder blobs in the data folder.",
        None,
    )
    mail: str = described(
        "Mail server (smtp://USER:PASSWORD@HOST:PORT or smtps://…); console writes mails to the"
        " log.",
        "console",
    )
    mail_from: str | None = described(
        "Sender of mails; without it thingstead@ and the host of the public URL.", None
    )
    history_follows_thing: bool = described(
        "Show the next owner of a thing what it wrote for the ones before.",
        False,  # noqa: FBT003
    )
    demo: bool = described("Run a simulated fleet that writes all the time.", False)  # noqa: FBT003
    log_level: Literal["debug", "info", "warning", "error"] = described(
        "How much is logged to stderr.", "info"
    )
    direct_lane: bool = described(
        "Serve writes on the direct lane; switch it off only to compare.",
        True,  # noqa: FBT003
    )
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = described(
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
