"""How much a CoAP peer may have the server hold, send, and do at once."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class CoAPLimits:
    """Bounds of the CoAP transport; bytes, seconds and counts (`security.md` 5, CoAP)."""

    # A body, and all unfinished bodies of one peer together.
    upload_bytes: int = 64 * KIB
    uploads: int = 1_000
    # Of those who have no token, apart from the others.
    uploads_of_strangers: int = 100
    upload_seconds: float = 60.0
    document_bytes: int = 16 * KIB
    # Nothing but an activation may come in blocks from who has no token.
    activation_bytes: int = 1 * KIB
    # JSON punctuation around a document that is itself at its limit.
    slack_bytes: int = 1 * KIB
    answer_bytes: int = 1 * MIB
    # Long answers that are kept until their blocks have been fetched; others are made again.
    kept_answers: int = 1_000
    kept_answer_bytes: int = 16 * MIB
    kept_seconds: float = 60.0
    requests: int = 2_000
    observations_per_peer: int = 5
    # A long notification must be fetched within this time before the next one is sent.
    fetch_seconds: float = 30.0
    remembered_messages: int = 131_072
    remembered_per_peer: int = 8_192
    remembered_bytes: int = 32 * MIB
    unverified_bytes_per_minute: int = 64 * KIB
    verified_peers: int = 10_000
    verified_seconds: float = 600.0
    drain_seconds: float = 5.0
