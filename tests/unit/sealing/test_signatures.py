"""Signatures of firmware, and that OpenSSL makes and checks the same ones."""

import base64
import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.firmware.errors import InvalidKeyError
from thingstead.features.firmware.manifests import ALGORITHMS, manifest_of
from thingstead.features.firmware.model import Signature, SigningKey
from thingstead.kernel.ids import ProductId
from thingstead.sealing.signatures import MAX_KEY_FILE_BYTES, PublicKeys, create_pair, sign

KEYS = PublicKeys()
PAIRS = {algorithm: create_pair(algorithm) for algorithm in ALGORITHMS}
MANIFEST = manifest_of(
    product_id=ProductId(7),
    mcu="esp32",
    version="1.2.3",
    sequence=42,
    size=1_000,
    sha256=bytes(range(32)),
)

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def key_in(public_pem):
    key_id, algorithm, public_der = KEYS.key_of(public_pem)
    return SigningKey(key_id, ProductId(7), algorithm, public_der, "build server", 0)


def pem_of(private, form=PublicFormat.SubjectPublicKeyInfo):
    return private.public_key().public_bytes(Encoding.PEM, form)


def private_pem_of(private):
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@each_algorithm
def test_a_signature_is_valid_with_its_key(algorithm):
    private_pem, public_pem = PAIRS[algorithm]

    signature = sign(private_pem, MANIFEST)

    key = key_in(public_pem)
    assert (signature.algorithm, signature.key_id) == (algorithm, key.id)
    assert KEYS.is_valid(key, signature, MANIFEST)


@each_algorithm
def test_a_signature_over_anything_else_is_not(algorithm):
    private_pem, public_pem = PAIRS[algorithm]
    signature = sign(private_pem, MANIFEST)

    assert not KEYS.is_valid(key_in(public_pem), signature, MANIFEST + b" ")
    assert not KEYS.is_valid(key_in(public_pem), signature, b"")


@each_algorithm
def test_a_signature_with_another_key_is_not(algorithm):
    other_private, _ = create_pair(algorithm)
    key = key_in(PAIRS[algorithm][1])

    forged = replace(sign(other_private, MANIFEST), key_id=key.id)

    assert not KEYS.is_valid(key, forged, MANIFEST)


@each_algorithm
def test_a_signature_that_names_another_key_or_algorithm_is_not(algorithm):
    private_pem, public_pem = PAIRS[algorithm]
    key, signature = key_in(public_pem), sign(private_pem, MANIFEST)
    (other,) = set(ALGORITHMS) - {algorithm}

    assert not KEYS.is_valid(key, replace(signature, key_id="0" * 16), MANIFEST)
    assert not KEYS.is_valid(key, replace(signature, algorithm=other), MANIFEST)


@each_algorithm
def test_a_key_that_says_another_algorithm_than_it_is_for_makes_nothing_valid(algorithm):
    private_pem, public_pem = PAIRS[algorithm]
    (other,) = set(ALGORITHMS) - {algorithm}
    key = replace(key_in(public_pem), algorithm=other)
    signature = replace(sign(private_pem, MANIFEST), algorithm=other)

    assert not KEYS.is_valid(key, signature, MANIFEST)


@each_algorithm
@pytest.mark.parametrize("der", [b"", b"\x30\x00", bytes(44)])
def test_a_key_that_cannot_be_read_makes_nothing_valid(algorithm, der):
    private_pem, public_pem = PAIRS[algorithm]
    key = replace(key_in(public_pem), public_der=der)

    assert not KEYS.is_valid(key, sign(private_pem, MANIFEST), MANIFEST)


def test_a_stored_key_of_another_kind_makes_nothing_valid():
    private = ec.generate_private_key(ec.SECP384R1())
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = replace(key_in(PAIRS["ecdsa-p256-sha256"][1]), public_der=der)

    signature = Signature(key.id, key.algorithm, bytes(72))
    assert not KEYS.is_valid(key, signature, MANIFEST)


@given(st.sampled_from(ALGORITHMS), st.binary(max_size=150), st.binary(max_size=50))
def test_no_bytes_whatsoever_are_taken_for_a_signature(algorithm, value, message):
    key = key_in(PAIRS[algorithm][1])

    assert not KEYS.is_valid(key, Signature(key.id, algorithm, value), message)


def test_a_key_is_named_after_the_digest_of_its_der_form():
    key_id, algorithm, der = KEYS.key_of(PAIRS["ed25519"][1])

    assert (key_id, algorithm) == (hashlib.sha256(der).hexdigest()[:16], "ed25519")
    assert len(der) == 44


def test_a_key_keeps_its_name_however_its_point_is_written():
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    # RFC 5480: the same SubjectPublicKeyInfo with the 33 bytes of a compressed point.
    der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der)
    compressed = pem + b"\n-----END PUBLIC KEY-----\n"

    assert KEYS.key_of(compressed) == KEYS.key_of(pem_of(private))


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"key",
        b"\xff" * 100,
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(ec.generate_private_key(ec.SECP256K1())),
        pem_of(ed448.Ed448PrivateKey.generate()),
        pem_of(rsa.generate_private_key(65_537, 2_048)),
    ],
)
def test_what_is_no_key_of_the_two_kinds_is_refused(pem):
    with pytest.raises(InvalidKeyError, match="a public key for Ed25519 or ECDSA on P-256 in PEM"):
        KEYS.key_of(pem)


@pytest.mark.parametrize("password", [None, b"secret"])
def test_a_private_key_is_refused_where_a_public_one_belongs(password):
    private_pem, public_pem = create_pair("ed25519", password)

    for pem in (private_pem, public_pem + private_pem):
        with pytest.raises(InvalidKeyError, match="it is a private key"):
            KEYS.key_of(pem)


def test_a_key_file_of_16_kib_is_read_and_a_larger_one_is_not():
    pem = PAIRS["ed25519"][1].ljust(MAX_KEY_FILE_BYTES)

    assert KEYS.key_of(pem)[1] == "ed25519"
    with pytest.raises(InvalidKeyError, match="larger than 16384 bytes"):
        KEYS.key_of(pem + b"\n")
    with pytest.raises(InvalidKeyError, match="larger than 16384 bytes"):
        sign(pem + b"\n", b"")


@each_algorithm
def test_an_encrypted_key_signs_with_its_password(algorithm):
    private_pem, public_pem = create_pair(algorithm, b"secret")

    assert b"ENCRYPTED" in private_pem
    assert KEYS.is_valid(key_in(public_pem), sign(private_pem, b"m", b"secret"), b"m")


@pytest.mark.parametrize(
    ("made_with", "signed_with", "reason"),
    [
        (b"secret", None, "it needs a password"),
        (b"secret", b"guess", "the password is wrong"),
        (None, b"guess", "it has no password"),
    ],
)
def test_a_password_that_does_not_fit_is_said(made_with, signed_with, reason):
    private_pem, _ = create_pair("ed25519", made_with)

    with pytest.raises(InvalidKeyError, match=reason):
        sign(private_pem, b"m", signed_with)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        PAIRS["ed25519"][1],
        private_pem_of(ec.generate_private_key(ec.SECP384R1())),
        private_pem_of(ed448.Ed448PrivateKey.generate()),
    ],
)
def test_what_is_no_private_key_of_the_two_kinds_signs_nothing(pem):
    with pytest.raises(InvalidKeyError, match="a private key for Ed25519 or ECDSA on P-256"):
        sign(pem, b"m")


def test_pairs_are_made_for_the_two_kinds_only():
    with pytest.raises(InvalidKeyError, match="ed25519 or ecdsa-p256-sha256 is expected"):
        create_pair("rsa")


def openssl(*arguments):
    """Run it; the files are named by their paths, so that nothing depends on the folder."""
    return subprocess.run(
        ["openssl", *map(str, arguments)], check=False, capture_output=True, timeout=60
    )


def verifying(algorithm, public: Path, message: Path, signature: Path):
    if algorithm == "ed25519":
        return openssl(
            *("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public),
            *("-in", message, "-sigfile", signature),
        )
    return openssl("dgst", "-sha256", "-verify", public, "-signature", signature, message)


@pytest.mark.needs_tool("openssl")
@each_algorithm
def test_openssl_takes_our_signatures(algorithm, tmp_path):
    private_pem, public_pem = PAIRS[algorithm]
    public, message, value = (tmp_path / name for name in ("public.pem", "manifest", "sig"))
    public.write_bytes(public_pem)
    message.write_bytes(MANIFEST)
    value.write_bytes(sign(private_pem, MANIFEST).value)

    assert verifying(algorithm, public, message, value).returncode == 0
    message.write_bytes(MANIFEST.replace(b"1.2.3", b"1.2.4"))
    assert verifying(algorithm, public, message, value).returncode != 0


@pytest.mark.needs_tool("openssl")
@each_algorithm
def test_we_take_signatures_of_openssl(algorithm, tmp_path):
    private, public, message, value = (
        tmp_path / name for name in ("private.pem", "public.pem", "manifest", "sig")
    )
    message.write_bytes(MANIFEST)
    kind = (
        ("-algorithm", "ed25519")
        if algorithm == "ed25519"
        else ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    )
    assert openssl("genpkey", *kind, "-out", private).returncode == 0
    assert openssl("pkey", "-in", private, "-pubout", "-out", public).returncode == 0
    signing = (
        ("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", message, "-out", value)
        if algorithm == "ed25519"
        else ("dgst", "-sha256", "-sign", private, "-out", value, message)
    )
    assert openssl(*signing).returncode == 0

    key = key_in(public.read_bytes())

    assert KEYS.is_valid(key, Signature(key.id, algorithm, value.read_bytes()), MANIFEST)
    ours = sign(private.read_bytes(), MANIFEST)
    assert KEYS.is_valid(key, ours, MANIFEST)


@pytest.mark.needs_tool("openssl")
@each_algorithm
def test_openssl_gives_a_key_the_same_name(algorithm, tmp_path):
    public = tmp_path / "public.pem"
    public.write_bytes(PAIRS[algorithm][1])

    der = openssl("pkey", "-pubin", "-in", public, "-outform", "DER").stdout

    assert KEYS.key_of(PAIRS[algorithm][1])[0] == hashlib.sha256(der).hexdigest()[:16]
