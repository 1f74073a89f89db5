"""Archives that SWUpdate installs, and SWUpdate itself as a process.

Debian builds it so that it takes signed archives only (CMS, over `sw-description`), and only for
hardware that they name.
"""

import datetime as dt
import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HARDWARE = "station:1.0"
_DETACHED = (
    pkcs7.PKCS7Options.DetachedSignature,
    pkcs7.PKCS7Options.Binary,
    pkcs7.PKCS7Options.NoCapabilities,
)
_DESCRIPTION = """software =
{{
  version = "{version}";
  hardware-compatibility: [ "1.0" ];
  files: (
    {{ filename = "application"; path = "{path}"; sha256 = "{sha256}"; }}
  );
}}
"""


class Signer:
    """Whose archives a device takes."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "suite")])
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        self._certificate = (
            x509.CertificateBuilder(name, name, self._key.public_key(), 1, now - day, now + day)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )

    @property
    def certificate(self) -> bytes:
        return self._certificate.public_bytes(Encoding.PEM)

    def archive(self, content: bytes, version: str, path: Path) -> bytes:
        """An archive that writes the content to the path."""
        sha256 = hashlib.sha256(content).hexdigest()
        description = _DESCRIPTION.format(version=version, path=path, sha256=sha256).encode()
        signature = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(description)
            .add_signer(self._certificate, self._key, hashes.SHA256())
            .sign(Encoding.DER, _DETACHED)
        )
        return cpio(
            ("sw-description", description),
            ("sw-description.sig", signature),
            ("application", content),
        )


def cpio(*files: tuple[str, bytes]) -> bytes:
    """An archive of the form that SWUpdate reads: new ASCII with checksums."""
    packed = b""
    for number, (name, content) in enumerate((*files, ("TRAILER!!!", b"")), 1):
        raw_name = name.encode() + b"\0"
        fields = (number, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw_name))
        head = b"070702" + b"".join(b"%08X" % field for field in (*fields, sum(content)))
        packed += _padded(head + raw_name) + _padded(content)
    return packed


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


@dataclass
class SWUpdate:
    """One that runs; `log` has what it said."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def logged(self) -> str:
        return self.log.read_text("utf-8", "replace")


@contextmanager
def swupdate(
    folder: Path, signer: Signer, *suricatta: str, settings: str | None = None
) -> Iterator[SWUpdate]:
    """SWUpdate as a daemon, with the words that its part for hawkBit is given.

    `settings`: what is in its file.
    """
    folder.mkdir(exist_ok=True)
    file = folder / "swupdate.cfg"
    file.write_text(settings or "", "utf-8")
    certificate = folder / "certificate.pem"
    certificate.write_bytes(signer.certificate)
    words = [
        *("swupdate", "-v", "-H", HARDWARE, "-k", str(certificate)),
        *(("-f", str(file)) if settings else ()),
        *("-u", " ".join(suricatta)),
    ]
    log = folder / "swupdate.log"
    # Its sockets are where temporary files are.
    environment = os.environ | {"TMPDIR": str(folder)}
    with (
        log.open("ab") as output,
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            cwd=folder,
        ) as process,
    ):
        try:
            yield SWUpdate(process, log)
        finally:
            os.killpg(process.pid, 9)
            process.wait()
