"""How much a v2 request may hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class V2Limits:
    """Bounds of bodies and answers, in bytes."""

    write_bytes: int = 1024 * 1024
    document_bytes: int = 16 * 1024
    settings_bytes: int = 16 * 1024
    object_bytes: int = 64 * 1024
    answer_bytes: int = 4 * 1024 * 1024
    # JSON punctuation around a document that is itself at its limit.
    slack_bytes: int = 1024
