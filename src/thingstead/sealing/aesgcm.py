"""Secrets sealed with AES-256-GCM under `secret.key`: the `Seal` of `features/things/ports.py`.

A sealed secret is one version byte, a random nonce of 12 bytes, and what AES-GCM gives, its
tag included (NIST SP 800-38D). Random nonces are safe for 2^32 secrets under one key; an
installation seals as many as it has codes and tokens. Knows no store and no setting.
"""

import os
import secrets
import stat
from pathlib import Path

from thingstead.kernel.errors import Category, ThingsteadError

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"
# Binds the version byte, and keeps what is sealed here from being taken for anything else.
_ASSOCIATED_DATA = b"thingstead sealed secret" + _VERSION


class SealBrokenError(ThingsteadError):
    """A sealed secret was changed, or was closed with another key."""

    code = "seal-broken"
    message = "A stored secret cannot be opened"
    advice = "Put back the `secret.key` that belongs to this database; a backup has it."


class KeyFileError(ThingsteadError):
    """The key file cannot be used; the start is refused."""

    category = Category.INTERNAL
    code = "key-file"
    message = "The key file cannot be used"
    advice = "The text after the colon says why; put the file back from a backup if it is damaged."


class AESGCMSeal:
    """Closes secrets so that only this installation can open them again."""

    def __init__(self, key: bytes) -> None:
        # Imported here because half of the commands never seal anything.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        if len(key) != KEY_BYTES:
            raise KeyFileError(f"a key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    def close(self, secret: str) -> bytes:
        """Return the sealed secret; two calls give different bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        closed = self._cipher.encrypt(nonce, secret.encode("utf-8"), _ASSOCIATED_DATA)
        return _VERSION + nonce + closed

    def open(self, sealed: bytes) -> str:
        """Return the secret.

        Raises:
            SealBrokenError: it was changed, or closed with another key or by a newer version.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        if sealed[:1] != _VERSION:
            raise SealBrokenError("unknown version")
        nonce, closed = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, closed, _ASSOCIATED_DATA).decode("utf-8")
        except (InvalidTag, ValueError) as exc:
            raise SealBrokenError from exc


def load_or_create_key(path: Path) -> bytes:
    """Return the key in the file, which is made when it is missing; its folder must exist.

    However many processes start at once, and wherever one of them is stopped, they all get
    the same key: a new one is complete and on the disk before it has its name.

    Raises:
        KeyFileError: others may read the file, or it holds no key, or cannot be read or made.
    """
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as exc:
        raise KeyFileError(f"{path.name}: {exc.strerror}") from exc


def _create(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails when another process was first; its key is then ours.
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(f"{path.name}: others may read it; `chmod 600` it")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path.name}: it must hold exactly {KEY_BYTES} bytes")
    if len(set(key)) == 1:
        raise KeyFileError(f"{path.name}: all its bytes are the same")
    return key
