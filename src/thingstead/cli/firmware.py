"""`thingstead firmware publish|list|show|release|deprecate|revoke`; the rest is joined here.

What concerns keys and signatures is in `firmware_keys.py`, what concerns one thing in
`firmware_timeline.py`.
"""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict, Unpack

import click

from thingstead.cli.common import PRODUCT_ID, administer, data_option, fail, json_option, print_json
from thingstead.cli.firmware_keys import key_group, signatures_command
from thingstead.cli.firmware_offline import sign_command
from thingstead.cli.firmware_timeline import timeline_command, unblock_command
from thingstead.cli.parameters import date
from thingstead.cli.progress import progress_bar
from thingstead.cli.texts import as_text, confirm, moment

if TYPE_CHECKING:
    from thingstead.bootstrap import Administration
    from thingstead.features.firmware.model import Firmware, NewFirmware

_CHUNK_BYTES = 256 * 1_024
_MOST_NOTES_BYTES = 1_048_576
_STATES = ("draft", "published", "deprecated", "revoked")


class _Said(TypedDict):
    """The options of `firmware publish` about the image, as click hands them over."""

    product: int
    mcu: str
    version: str
    notes: str | None
    notes_file: IO[bytes] | None
    signature: IO[bytes] | None
    min_version: str | None
    mandatory: bool
    not_before: int | None
    expires: int | None
    draft: bool
    allow_mismatch: bool
    sequence: int | None


@click.group("firmware")
def firmware_group() -> None:
    """Publish images for micro-controllers, and follow them to things."""


firmware_group.add_command(key_group)
firmware_group.add_command(sign_command)
firmware_group.add_command(signatures_command)
firmware_group.add_command(timeline_command)
firmware_group.add_command(unblock_command)


@firmware_group.command("publish")
@click.argument("file", type=click.File("rb"))
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--mcu", required=True, help="Which micro-controller of the product it is for.")
@click.option("--version", required=True, help="Its version, such as 1.2.3.")
@click.option("--notes", help="What is new, for people.")
@click.option("--notes-file", type=click.File("rb"), help="The same from a file in UTF-8.")
@click.option("--signature", type=click.File("rb"), help="What `firmware sign` wrote.")
@click.option("--min-version", help="Things that run an older version are not offered it.")
@click.option("--mandatory", is_flag=True, help="Tell things that they must take it.")
@click.option("--not-before", type=date, help="It is offered from then on.")
@click.option("--expires", type=date, help="It is offered until then.")
@click.option("--draft", is_flag=True, help="Offer it to nobody yet.")
@click.option("--allow-mismatch", is_flag=True, help="Even if the image says something else.")
@click.option("--sequence", type=int, help="Larger than those before; made when not given.")
@data_option
@json_option
def publish(file: IO[bytes], data: str | None, *, as_json: bool, **said: Unpack[_Said]) -> None:
    """Publish the image in FILE; - is standard input.

    In no campaign it is offered to every thing of the product at once. To begin with a few of
    them, publish it with --draft and create a campaign.
    """
    notes = _notes(said["notes"], said["notes_file"])

    async def work(administration: "Administration") -> "Firmware":
        new = _new_firmware(file, said, notes)
        with progress_bar("Publishing", length=_size(file), is_silent=as_json) as advance:
            return await administration.publishing.publish(new, _chunks(file, advance))

    firmware = administer(data, work)
    if as_json:
        sha256 = firmware.digests.sha256.hex()
        print_json({"id": firmware.id, "sha256": sha256, "size": firmware.size})
        return
    _tell(firmware)
    if firmware.state.value == "draft":
        click.echo(f"Next: thingstead campaign create --firmware {firmware.id} --name NAME")


def _notes(notes: str | None, file: IO[bytes] | None) -> str | None:
    if notes is not None and file is not None:
        raise click.UsageError("name either --notes or --notes-file")
    if file is None:
        return notes
    try:
        return file.read(_MOST_NOTES_BYTES).decode("utf-8").strip()
    except UnicodeDecodeError:
        fail(f"{file.name}: not in UTF-8")


def _new_firmware(file: IO[bytes], said: _Said, notes: str | None) -> "NewFirmware":
    from thingstead.features.firmware.model import NewFirmware
    from thingstead.kernel.ids import ProductId

    signature, sequence = None, said["sequence"]
    if said["signature"] is not None:
        from thingstead.features.firmware.manifests import parse_signature_file

        signed = parse_signature_file(said["signature"].read(65_536))
        if sequence not in {None, signed.sequence}:
            fail(f"--sequence {sequence}: the signature was made for {signed.sequence}", 2)
        signature, sequence = signed.signature, signed.sequence
    return NewFirmware(
        product_id=ProductId(said["product"]),
        mcu=said["mcu"],
        version=said["version"],
        filename=_filename(file, said),
        notes=notes,
        min_version=said["min_version"],
        is_mandatory=said["mandatory"],
        not_before_ms=said["not_before"],
        expires_at_ms=said["expires"],
        sequence=sequence,
        signature=signature,
        is_draft=said["draft"],
        allows_mismatch=said["allow_mismatch"],
    )


def _filename(file: IO[bytes], said: _Said) -> str:
    """Return what a browser would save the image as; standard input has no name of its own."""
    name = Path(str(file.name)).name
    return f"{said['mcu']}-{said['version']}.bin" if name in {"-", "<stdin>", "0"} else name


def _size(file: IO[bytes]) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


async def _chunks(file: IO[bytes], advance: Callable[[int], None]) -> AsyncIterator[bytes]:
    """Yield the file.

    Raises:
        UnusableImageError: it cannot be read, or somebody still writes it.
    """
    from thingstead.features.firmware.errors import UnusableImageError

    size = _size(file)
    # A shell may hand over a file of which somebody has read the beginning.
    read = 0 if size is None else file.tell()
    # Reading blocks the event loop, on which nothing else runs in this process. But a pipe whose
    # other end has nothing to say would keep Ctrl-C waiting.
    while chunk := _read(file) if size is not None else await _read_when_ready(file):
        read += len(chunk)
        yield chunk
        advance(len(chunk))
    if size not in {None, read}:
        raise UnusableImageError("the file changed while it was read")


def _read(file: IO[bytes]) -> bytes:
    from thingstead.features.firmware.errors import UnusableImageError

    try:
        return os.read(file.fileno(), _CHUNK_BYTES)
    except OSError as exc:
        raise UnusableImageError(f"the file cannot be read ({exc.strerror or exc})") from exc


async def _read_when_ready(file: IO[bytes]) -> bytes:
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()
    try:
        loop.add_reader(file, is_ready.set)
    except PermissionError:
        # What always has an answer, such as /dev/null, cannot be waited for on Linux.
        return _read(file)
    try:
        await is_ready.wait()
    finally:
        loop.remove_reader(file)
    return _read(file)


@firmware_group.command("list")
@click.option("--product", type=PRODUCT_ID, help="Only those of this product.")
@click.option("--mcu", help="Only those for this micro-controller.")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@data_option
@json_option
def list_firmwares(
    product: int | None, mcu: str | None, state: str | None, data: str | None, *, as_json: bool
) -> None:
    """List the images, newest first."""

    async def work(administration: "Administration") -> "list[Firmware]":
        from thingstead.kernel.ids import ProductId

        wanted = None if product is None else ProductId(product)
        return [
            firmware
            async for firmware in administration.publishing.all(wanted)
            if mcu in {None, firmware.mcu} and state in {None, firmware.state.value}
        ]

    firmwares = administer(data, work)
    if as_json:
        print_json([_as_json(firmware) for firmware in firmwares])
        return
    for firmware in firmwares:
        click.echo(
            f"{firmware.id}  {firmware.state.value:<10}  product {firmware.product_id}"
            f"  {firmware.mcu} {firmware.version}  {firmware.size:,} bytes"
            f"  {moment(firmware.created_at_ms)}"
        )


@firmware_group.command("show")
@click.argument("firmware_id")
@data_option
@json_option
def show(firmware_id: str, data: str | None, *, as_json: bool) -> None:
    """Show all about the image FIRMWARE_ID."""

    async def work(administration: "Administration") -> "Firmware":
        from thingstead.kernel.ids import FirmwareId

        return await administration.publishing.get(FirmwareId(firmware_id))

    _answer(administer(data, work), as_json=as_json)


@firmware_group.command("release")
@click.argument("firmware_id")
@data_option
@json_option
def release(firmware_id: str, data: str | None, *, as_json: bool) -> None:
    """Publish the draft FIRMWARE_ID."""
    _change(firmware_id, data, "release", as_json=as_json)


@firmware_group.command("deprecate")
@click.argument("firmware_id")
@data_option
@json_option
def deprecate(firmware_id: str, data: str | None, *, as_json: bool) -> None:
    """Offer FIRMWARE_ID no more. Downloads that had begun may finish."""
    _change(firmware_id, data, "deprecate", as_json=as_json)


@firmware_group.command("revoke")
@click.argument("firmware_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def revoke(firmware_id: str, data: str | None, *, yes: bool, as_json: bool) -> None:
    """Give out no byte of FIRMWARE_ID any more, for good."""
    confirm(f"Revoke {firmware_id} for good?", is_sure=yes, as_json=as_json)
    _change(firmware_id, data, "revoke", as_json=as_json)


def _change(firmware_id: str, data: str | None, verb: str, *, as_json: bool) -> None:
    async def work(administration: "Administration") -> "Firmware":
        from thingstead.kernel.ids import FirmwareId

        publishing = administration.publishing
        verbs: dict[str, Callable[[FirmwareId], Awaitable[Firmware]]] = {
            "release": publishing.release,
            "deprecate": publishing.deprecate,
            "revoke": publishing.revoke,
        }
        return await verbs[verb](FirmwareId(firmware_id))

    _answer(administer(data, work), as_json=as_json)


def _answer(firmware: "Firmware", *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(firmware))
        return
    _tell(firmware)


def _as_json(firmware: "Firmware") -> dict[str, object]:
    return {
        "id": firmware.id,
        "number": firmware.number,
        "product": firmware.product_id,
        "mcu": firmware.mcu,
        "version": firmware.version,
        "sequence": firmware.sequence,
        "state": firmware.state.value,
        "size": firmware.size,
        "sha256": firmware.digests.sha256.hex(),
        "md5": firmware.digests.md5.hex(),
        "filename": firmware.filename,
        "image": {
            "kind": firmware.facts.kind,
            "version": firmware.facts.version,
            "project": firmware.facts.project,
            "chip": firmware.facts.chip,
        },
        "createdAt": moment(firmware.created_at_ms),
        "publishedAt": moment(firmware.published_at_ms),
        "notes": firmware.notes,
        "minVersion": firmware.min_version,
        "mandatory": firmware.is_mandatory,
        "revert": firmware.is_revert,
        "notBefore": moment(firmware.not_before_ms),
        "expires": moment(firmware.expires_at_ms),
        "signedBy": None if firmware.signature is None else firmware.signature.key_id,
    }


def _tell(firmware: "Firmware") -> None:
    facts = [firmware.facts.kind, firmware.facts.project, firmware.facts.version]
    lines = {
        "Firmware": f"{firmware.id} ({firmware.state.value})",
        "For": f"{firmware.mcu} of product {firmware.product_id}",
        "Version": f"{firmware.version}, sequence {firmware.sequence}",
        "Size": f"{firmware.size:,} bytes",
        "SHA-256": firmware.digests.sha256.hex(),
        "MD5": firmware.digests.md5.hex(),
        "File": firmware.filename,
        "Image": " ".join(fact for fact in [*facts, firmware.facts.chip] if fact),
        "Signed by": "nobody" if firmware.signature is None else firmware.signature.key_id,
        "From version": firmware.min_version,
        "Mandatory": "yes" if firmware.is_mandatory else None,
        "Brings back": "the bytes of an earlier version" if firmware.is_revert else None,
        "Not before": moment(firmware.not_before_ms),
        "Expires": moment(firmware.expires_at_ms),
        "Notes": firmware.notes,
    }
    for name, text in lines.items():
        if text is not None:
            click.echo(f"{name}: " + "\n  ".join(as_text(line) for line in text.splitlines()))
