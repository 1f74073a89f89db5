"""`thingstead serve`: the server in the foreground."""

import asyncio
import json
import logging
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from thingstead.cli.common import EXIT_UNUSABLE, fail, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingstead.server import Started
    from thingstead.settings import Settings


@click.command("serve")
@click.option("--data", help="Data folder.  [default: ./thingstead-data]")
@click.option("--host", help="Address to listen on.  [default: 0.0.0.0]")
@click.option("--port", type=int, help="HTTP port; 0 takes a free one.  [default: 8000]")
@click.option("--mqtt-port", type=int, help="MQTT port; 0 is off.  [default: 1883]")
@click.option("--mqtts-port", type=int, help="Port of MQTT over TLS; 0 is off.  [default: 0]")
@click.option("--coap-port", type=int, help="CoAP port (UDP); 0 is off.  [default: 5683]")
@click.option("--udp-port", type=int, help="Port for plain datagrams; 0 is off.  [default: 0]")
@click.option("--tls-cert", help="Certificate chain (PEM); turns HTTP into HTTPS.")
@click.option("--tls-key", help="Private key of the certificate (PEM).")
@click.option("--public-url", help="Address under which clients reach the server.")
@click.option(
    "--trusted-proxy",
    multiple=True,
    help="Proxy (address or CIDR) whose X-Forwarded-For is believed; repeatable.",
)
@click.option(
    "--mail", help="smtp://USER:PASSWORD@HOST:PORT, smtps://… or console.  [default: console]"
)
@click.option("--mail-from", help="Sender of mails.")
@click.option("--blobs", help="Keep firmware images at s3://BUCKET/PREFIX?endpoint=URL.")
@click.option("--retention-days", type=int, help="Delete older values; 0 keeps all.  [default: 0]")
@click.option("--log-level", help="debug, info, warning or error.  [default: info]")
@click.option("--demo", is_flag=True, default=None, help="Run a simulated fleet that writes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready.")
def serve_command(*, as_json: bool, **flags: object) -> None:
    """Run the server in the foreground until SIGTERM or Ctrl-C.

    The first start in an empty data folder makes a product, an activation code and a thing,
    and prints the line that writes to it.
    """
    begun = time.monotonic()
    flags["trusted_proxy"] = flags["trusted_proxy"] or None
    settings = settings_from(**flags)
    _set_up_logging(settings.log_level)
    _run(settings, lambda started: _tell(started, settings, begun, as_json=as_json))


def _run(settings: "Settings", on_started: "Callable[[Started], None]") -> None:
    from thingstead.kernel.errors import ThingsteadError
    from thingstead.server import serve
    from thingstead.settings import SettingsError

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings, on_started=on_started))
    except SettingsError as exc:
        fail(str(exc), 2)
    except ThingsteadError as exc:
        fail(f"{exc}. {exc.advice}", EXIT_UNUSABLE)
    except OSError as exc:
        where = exc.filename or f"{settings.host} port {settings.port}"
        fail(f"{where}: {exc.strerror or exc}")
    except KeyboardInterrupt:
        sys.exit(130)


def _loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _set_up_logging(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # uvicorn tells each start and stop in its own words; ours are enough.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # This one would print the parameters of statements.
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)


def _tell(started: "Started", settings: "Settings", begun: float, *, as_json: bool) -> None:
    first = started.first
    if as_json:
        ready = {"url": started.url, "data": str(settings.data_folder.resolve()), **started.roads}
        if first is not None:
            ready |= {"token": first.thing.token, "activationCode": first.code}
        click.echo(json.dumps(ready))
        return
    click.echo(f"thingstead is ready after {time.monotonic() - begun:.1f} s")
    click.echo(f"  HTTP  {started.url}")
    for road in started.roads.values():
        click.echo(f"  {road.split(':', 1)[0].upper():<5} {road}")
    click.echo(f"  Data  {settings.data_folder.resolve()}")
    if settings.demo:
        click.echo("  Demo  a simulated fleet is writing")
    click.echo(f"  Your things and their tokens: {sys.argv[0]} thing list --data {settings.data}")
    if first is None:
        return
    address = f"{started.url}/v2/things/{first.thing.token}"
    click.echo("\nYour first thing is made. Write a value to it:\n")
    click.echo(f"""  curl {address} -d '{{"values":[{{"key":"temperature","value":21.5}}]}}'""")
    mqtt = urlsplit(started.roads.get("mqtt", ""))
    if mqtt.hostname:
        click.echo("\nOr over MQTT:\n")
        options = f"-h {mqtt.hostname} -p {mqtt.port} -t v2/things/{first.thing.token} -q 1"
        click.echo(
            f"""  mosquitto_pub {options} -m '{{"values":[{{"key":"humidity","value":40}}]}}'"""
        )
    click.echo("\nRead it back:\n")
    click.echo(f"  curl {address}/resources/temperature")
    click.echo("\nWatch it live (write again in another window):\n")
    click.echo(f"  curl -N {address}")
    click.echo("\nA device makes its own thing with this activation code, once:\n")
    click.echo(f"""  curl {started.url}/v2/things -d '{{"activationCode":"{first.code}"}}'\n""")
