"""Ed25519 (RFC 8032) and ECDSA on P-256 with SHA-256 (FIPS 186-5): the `Verifier` of firmware.

The server knows public keys only; `create_pair` and `sign` are for the command line, where the
private key lies. `openssl pkeyutl` and `openssl dgst` make and check the same signatures.
Knows no store and no setting.
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from thingstead.features.firmware.errors import InvalidKeyError
from thingstead.features.firmware.manifests import key_id
from thingstead.features.firmware.model import Signature, SigningKey

MAX_KEY_FILE_BYTES = 16 * 1024
_ED25519 = "ed25519"
_ECDSA = "ecdsa-p256-sha256"
_EXPECTED = "key for Ed25519 or ECDSA on P-256 in PEM is expected"

_Public = Ed25519PublicKey | EllipticCurvePublicKey
_Private = Ed25519PrivateKey | EllipticCurvePrivateKey


class PublicKeys:
    """Reads public keys, and checks signatures with them."""

    def key_of(self, pem: bytes) -> tuple[str, str, bytes]:
        """Return id, algorithm and DER form of a public key in PEM.

        Raises:
            InvalidKeyError: it is none of Ed25519 or ECDSA on P-256, or a private one.
        """
        _check_size(pem)
        if b"PRIVATE KEY-----" in pem:
            raise InvalidKeyError("it is a private key; keep it, and pass its public one")
        try:
            key = _public(load_pem_public_key(pem))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if key is None:
            raise InvalidKeyError(f"a public {_EXPECTED}")
        public_der = _der_of(key)
        return key_id(public_der), _algorithm_of(key), public_der

    def is_valid(self, key: SigningKey, signature: Signature, message: bytes) -> bool:
        """Return whether the signature over the message was made with the key; never raises."""
        if (signature.key_id, signature.algorithm) != (key.id, key.algorithm):
            return False
        try:
            public = _public(load_der_public_key(key.public_der))
            if public is None or _algorithm_of(public) != key.algorithm:
                return False
            if isinstance(public, EllipticCurvePublicKey):
                public.verify(signature.value, message, ECDSA(SHA256()))
            else:
                public.verify(signature.value, message)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True


def create_pair(algorithm: str, password: bytes | None = None) -> tuple[bytes, bytes]:
    """Return a new private key (PKCS #8) and its public key, both in PEM.

    With a password that is not empty the private key is encrypted with it.

    Raises:
        InvalidKeyError: the algorithm is neither `ed25519` nor `ecdsa-p256-sha256`.
    """
    private: _Private
    if algorithm == _ED25519:
        private = Ed25519PrivateKey.generate()
    elif algorithm == _ECDSA:
        private = generate_private_key(SECP256R1())
    else:
        raise InvalidKeyError(f"algorithm: {_ED25519} or {_ECDSA} is expected")
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def sign(private_pem: bytes, message: bytes, password: bytes | None = None) -> Signature:
    """Return the signature over the message; `password` opens an encrypted key.

    Raises:
        InvalidKeyError: it is no private key of the two kinds, or the password is missing, wrong
            or not needed.
    """
    private = _private_key(private_pem, password)
    if isinstance(private, EllipticCurvePrivateKey):
        value = private.sign(message, ECDSA(SHA256()))
    else:
        value = private.sign(message)
    public = private.public_key()
    return Signature(key_id(_der_of(public)), _algorithm_of(public), value)


def _private_key(pem: bytes, password: bytes | None) -> _Private:
    _check_size(pem)
    try:
        key = load_pem_private_key(pem, password)
    except TypeError as exc:
        # The library's word for a password that is missing, and for one that is not needed.
        reason = "it needs a password" if password is None else "it has no password"
        raise InvalidKeyError(reason) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        reason = f"a private {_EXPECTED}" if password is None else "the password is wrong"
        raise InvalidKeyError(reason) from exc
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise InvalidKeyError(f"a private {_EXPECTED}")


def _check_size(pem: bytes) -> None:
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise InvalidKeyError(f"the file is larger than {MAX_KEY_FILE_BYTES} bytes")


def _public(key: object) -> _Public | None:
    """Return the key if it is of one of the two kinds."""
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    return None


def _algorithm_of(key: _Public) -> str:
    return _ED25519 if isinstance(key, Ed25519PublicKey) else _ECDSA


def _der_of(key: _Public) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
