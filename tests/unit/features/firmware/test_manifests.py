"""What is signed, and the files that signatures travel in."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.firmware.errors import InvalidSignatureError
from thingstead.features.firmware.manifests import (
    MAX_SEQUENCE,
    MAX_SIGNATURE_FILE_BYTES,
    key_id,
    manifest,
    manifest_of,
    parse_signature_file,
    signature_file,
)
from thingstead.features.firmware.model import (
    Digests,
    Firmware,
    FirmwareState,
    ImageFacts,
    Signature,
)
from thingstead.kernel.ids import FirmwareId, ProductId

SHA256 = bytes(range(32))
FIRMWARE = Firmware(
    number=3,
    id=FirmwareId("F"),
    product_id=ProductId(7),
    mcu="esp32",
    version="1.2.3",
    sequence=42,
    state=FirmwareState.PUBLISHED,
    size=1_000,
    digests=Digests(SHA256, bytes(20), bytes(16)),
    filename="app.bin",
    facts=ImageFacts("raw"),
    created_at_ms=0,
)
MANIFEST = (
    b'{"mcu":"esp32","product":7,"sequence":42,"sha256":'
    b'"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
    b'"size":1000,"version":"1.2.3"}'
)
SIGNATURE = Signature("0123456789abcdef", "ed25519", bytes(64))


def file_with(**changes):
    members = json.loads(signature_file(MANIFEST, SIGNATURE)) | changes
    return json.dumps({name: value for name, value in members.items() if value is not None})


def test_a_manifest_is_these_bytes():
    assert manifest(FIRMWARE) == MANIFEST


@pytest.mark.parametrize(
    "change",
    [
        {"product_id": ProductId(8)},
        {"mcu": "esp32s3"},
        {"version": "1.2.4"},
        {"sequence": 43},
        {"size": 1_001},
        {"digests": Digests(bytes(32), bytes(20), bytes(16))},
    ],
)
def test_everything_a_signature_has_to_hold_for_is_in_it(change):
    assert manifest(replace(FIRMWARE, **change)) != MANIFEST


@pytest.mark.parametrize("change", [{"state": FirmwareState.REVOKED}, {"notes": "Hi"}])
def test_what_may_change_is_not(change):
    assert manifest(replace(FIRMWARE, **change)) == MANIFEST


@given(st.text(), st.text())
def test_a_manifest_is_ascii_and_says_what_was_put_in(mcu, version):
    made = manifest_of(
        product_id=ProductId(1), mcu=mcu, version=version, sequence=1, size=0, sha256=SHA256
    )

    assert made.isascii()
    assert (json.loads(made)["mcu"], json.loads(made)["version"]) == (mcu, version)


def test_a_key_is_named_after_its_digest():
    assert key_id(b"key") == hashlib.sha256(b"key").hexdigest()[:16]


def test_a_signature_file_is_read_as_it_was_written():
    parsed = parse_signature_file(signature_file(MANIFEST, SIGNATURE))

    assert parsed.signature == SIGNATURE
    assert parsed.sequence == 42
    assert parsed.manifest.encode("ascii") == MANIFEST


@pytest.mark.parametrize("sequence", [1, MAX_SEQUENCE])
def test_sequences_up_to_2_to_the_53_are_read(sequence):
    content = file_with(manifest=json.dumps({"sequence": sequence}))

    assert parse_signature_file(content.encode()).sequence == sequence


@pytest.mark.parametrize("sequence", [0, -1, MAX_SEQUENCE + 1, 1.0, True, "1", None, [1], 10**400])
def test_other_sequences_are_refused(sequence):
    content = file_with(manifest=json.dumps({"sequence": sequence}))

    with pytest.raises(InvalidSignatureError, match="sequence: a whole number from 1 to"):
        parse_signature_file(content.encode())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"manifest": None}, "manifest: a text"),
        ({"manifest": 5}, "manifest: a text"),
        ({"manifest": "{"}, "the manifest in the file is no JSON"),
        ({"manifest": "[]"}, "the manifest in the file is no JSON object"),
        ({"manifest": "\ud800"}, "the manifest in the file is no JSON"),
        ({"manifest": '{"sequence":' + "9" * 5_000 + "}"}, "the manifest in the file is no JSON"),
        ({"signature": None}, "signature: a text"),
        ({"signature": "%%%"}, "signature: base64"),
        ({"signature": "ä"}, "signature: base64"),
        ({"signature": ""}, "signature: 1 to 128 bytes"),
        ({"signature": base64.b64encode(bytes(129)).decode()}, "signature: 1 to 128 bytes"),
        ({"keyId": None}, "keyId: a text"),
        ({"keyId": "0123456789ABCDEF"}, "keyId: 16 hexadecimal digits"),
        ({"keyId": "0123456789abcdef0"}, "keyId: 16 hexadecimal digits"),
        ({"algorithm": None}, "algorithm: a text"),
        ({"algorithm": "rsa"}, "algorithm: one of ed25519, ecdsa-p256-sha256"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_the_reason(change, reason):
    with pytest.raises(InvalidSignatureError) as refused:
        parse_signature_file(file_with(**change).encode("ascii"))

    assert refused.value.detail.startswith(reason)


def test_a_signature_of_128_bytes_is_read():
    content = file_with(signature=base64.b64encode(bytes(128)).decode())

    assert len(parse_signature_file(content.encode()).signature.value) == 128


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"5", b"null", b"[" * 10_000, b"\0"])
def test_what_is_no_json_object_is_refused(content):
    with pytest.raises(InvalidSignatureError, match="the file is no JSON"):
        parse_signature_file(content)


def test_a_file_of_16_kib_is_read_and_a_larger_one_is_not():
    content = signature_file(MANIFEST, SIGNATURE).ljust(MAX_SIGNATURE_FILE_BYTES)

    assert parse_signature_file(content).sequence == 42
    with pytest.raises(InvalidSignatureError, match="larger than 16384 bytes"):
        parse_signature_file(content + b" ")


@given(st.binary(max_size=400))
def test_no_content_whatsoever_is_too_much(content):
    with pytest.raises(InvalidSignatureError):
        parse_signature_file(content)
