"""`thingstead firmware key create` and `firmware sign`: what happens offline.

They open no data folder, so that the private key can stay on a machine that knows no server.
"""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from thingstead.cli.common import PRODUCT_ID, fail, json_option, print_json
from thingstead.cli.progress import progress_bar

if TYPE_CHECKING:
    from thingstead.features.firmware.model import Signature

_CHUNK_BYTES = 1_048_576
_MOST_PEM_BYTES = 65_536
_MOST_PASSWORD_BYTES = 1_024
_ALGORITHMS = ("ed25519", "ecdsa-p256-sha256")
_PATH = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the signer says about the image."""

    product: int
    mcu: str
    version: str
    sequence: int


@contextmanager
def _refusals_in_one_line() -> Iterator[None]:
    """Do for work without a data folder what `administer` does for work with one."""
    from thingstead.kernel.errors import ThingsteadError

    try:
        yield
    except ThingsteadError as exc:
        fail(f"{exc}. {exc.advice}")
    except OSError as exc:
        fail(f"{exc.filename or 'file'}: {exc.strerror or exc}")


@click.command("create")
@click.argument("file", type=_PATH)
@click.option("--algorithm", type=click.Choice(_ALGORITHMS), default="ed25519", show_default=True)
@click.option("--encrypt", is_flag=True, help="Ask for a password to encrypt the private key with.")
@click.option(
    "--password-file",
    type=click.File("rb"),
    help="The same with the password on the file's first line.",
)
@json_option
def create_command(
    file: Path,
    algorithm: str,
    *,
    encrypt: bool,
    password_file: IO[bytes] | None,
    as_json: bool,
) -> None:
    """Make a pair of keys. The public one lies beside FILE, with .pub.pem at its end.

    FILE is the private key: whoever has it can sign. Needs no data folder and overwrites
    nothing.
    """
    from thingstead.sealing.signatures import PublicKeys, create_pair

    public_file = file.with_name(f"{file.name.removesuffix('.pem')}.pub.pem")
    password = _new_password(password_file) if encrypt or password_file is not None else None
    with _refusals_in_one_line():
        private_pem, public_pem = create_pair(algorithm, password)
        key_id, _, _ = PublicKeys().key_of(public_pem)
        _write_new(file, private_pem, mode=0o600)
        try:
            _write_new(public_file, public_pem, mode=0o644)
        except OSError:
            # Half a pair would be in the way of the next attempt.
            file.unlink()
            raise
    if as_json:
        print_json(
            {"id": key_id, "algorithm": algorithm, "private": str(file), "public": str(public_file)}
        )
        return
    click.echo(f"Key {key_id} ({algorithm})")
    click.echo(f"Private: {file} (keep it to yourself)")
    click.echo(f"Public: {public_file}")
    click.echo(f"Next: thingstead firmware key add {public_file} --product ID --name NAME")


def _new_password(file: IO[bytes] | None) -> bytes:
    """Return the password for a new key."""
    if file is None and not sys.stdin.isatty():
        fail("nobody can be asked here: name the password with --password-file", 2)
    password = _asked(is_new=True) if file is None else _first_line(file)
    if not password:
        fail("the password must not be empty", 2)
    return password


def _write_new(file: Path, content: bytes, *, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


@click.command("sign")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", type=click.File("rb"), required=True, help="Private key in PEM.")
@click.option("--product", type=PRODUCT_ID, required=True, help="Product id.")
@click.option("--mcu", required=True, help="Which micro-controller of the product it is for.")
@click.option("--version", required=True, help="Its version, such as 1.2.3.")
@click.option(
    "--sequence",
    type=click.IntRange(1, 2**53 - 1),
    help="Larger than those of all images before.  [default: the time in seconds]",
)
@click.option("--out", type=_PATH, help="Where to write it.  [default: FILE.sig]")
@click.option(
    "--password-file",
    type=click.File("rb"),
    help="Password of an encrypted key, on the first line; asked for when not given.",
)
@click.option("--allow-mismatch", is_flag=True, help="Even if the image says something else.")
@json_option
def sign_command(
    file: Path,
    key: IO[bytes],
    *,
    product: int,
    mcu: str,
    version: str,
    sequence: int | None,
    out: Path | None,
    password_file: IO[bytes] | None,
    allow_mismatch: bool,
    as_json: bool,
) -> None:
    """Sign the image in FILE for `firmware publish --signature`.

    Needs no data folder. Signed is the manifest: product, MCU, version, sequence, size and
    SHA-256 of the image, so that the signature is good for nothing else.
    """
    out = out or file.with_name(f"{file.name}.sig")
    pem = key.read(_MOST_PEM_BYTES)
    password = _password(pem, password_file)
    with _refusals_in_one_line():
        _check(file, mcu, version, allows_mismatch=allow_mismatch)
        size, sha256 = _measured(file, is_silent=as_json)
        said = _Said(product, mcu, version, sequence or int(time.time()))
        signature = _signed(said, size, sha256, key=(pem, password), out=out)
    if as_json:
        print_json(
            {
                "file": str(out),
                "keyId": signature.key_id,
                "algorithm": signature.algorithm,
                "sequence": said.sequence,
                "sha256": sha256.hex(),
                "size": size,
            }
        )
        return
    click.echo(f"Signed with key {signature.key_id}, sequence {said.sequence}: {out}")


def _password(pem: bytes, file: IO[bytes] | None) -> bytes | None:
    """Return the password of an encrypted key; None for one that is not encrypted."""
    if file is not None:
        return _first_line(file)
    if b"ENCRYPTED" not in pem:
        return None
    if not sys.stdin.isatty():
        fail("the key is encrypted: name its password with --password-file", 2)
    return _asked(is_new=False)


def _asked(*, is_new: bool) -> bytes:
    text: str = click.prompt(
        "Password of the key", hide_input=True, confirmation_prompt=is_new, err=True
    )
    return text.encode()


def _first_line(file: IO[bytes]) -> bytes:
    return file.read(_MOST_PASSWORD_BYTES).partition(b"\n")[0].rstrip(b"\r")


def _check(file: Path, mcu: str, version: str, *, allows_mismatch: bool) -> None:
    """Refuse what `publish` would refuse, before anything is signed.

    Raises:
        ThingsteadError: version, MCU or the image cannot be, or do not match.
    """
    from thingstead.features.firmware import images, versions

    versions.check_version(version)
    versions.check_mcu(mcu)
    with file.open("rb") as image:

        async def read(start: int, size: int) -> bytes:
            image.seek(start)
            return image.read(size)

        head = image.read(images.HEAD_BYTES)
        facts = images.facts_of(head)
        asyncio.run(images.check_whole(head, os.fstat(image.fileno()).st_size, read))
        if not allows_mismatch:
            images.check_match(facts, mcu, version)


def _measured(file: Path, *, is_silent: bool) -> tuple[int, bytes]:
    """Return size and SHA-256 of the file."""
    size, digest = 0, hashlib.sha256()
    length = file.stat().st_size
    with (
        file.open("rb") as image,
        progress_bar("Reading", length=length, is_silent=is_silent) as advance,
    ):
        while chunk := image.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            advance(len(chunk))
    return size, digest.digest()


def _signed(
    said: _Said, size: int, sha256: bytes, *, key: tuple[bytes, bytes | None], out: Path
) -> "Signature":
    """Write the signature file; `key`: the private key in PEM, and its password if it has one."""
    from thingstead.features.firmware.manifests import manifest_of, signature_file
    from thingstead.kernel.ids import ProductId
    from thingstead.sealing.signatures import sign

    manifest = manifest_of(
        product_id=ProductId(said.product),
        mcu=said.mcu,
        version=said.version,
        sequence=said.sequence,
        size=size,
        sha256=sha256,
    )
    pem, password = key
    signature = sign(pem, manifest, password)
    out.write_bytes(signature_file(manifest, signature))
    return signature
