"""The setting that says which bucket of an S3-compatible store keeps the images.

`s3://BUCKET/PREFIX?endpoint=https://…&region=…&path_style=true&allow_http=true`, where all but
the bucket may be left out. It holds no credentials: those come from the environment.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_TRUTHS = {"true": True, "false": False}
_PARAMETERS = ("endpoint", "region", "path_style", "allow_http")
_MOST_PARAMETERS = 8
_PREFIX_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where the bucket is.

    `endpoint`: None means Amazon's. `has_path_style`: the bucket stands in the path of requests
    and not in the name of the host.
    """

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    has_path_style: bool
    may_use_http: bool


def parse_address(url: str) -> BucketAddress:
    """Return what the setting says.

    Raises:
        ValueError: it cannot be read; the text names what is wrong and quotes no credentials.
    """
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(
            parts.query,
            keep_blank_values=True,
            strict_parsing=bool(parts.query),
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        # What was typed is not quoted: somebody may have put a key into it.
        raise ValueError("it cannot be read as an address") from None
    parameters = _parameters(pairs)
    _check_parts(parts)
    may_use_http = _truth(parameters, "allow_http", default=False)
    endpoint = _endpoint(parameters.get("endpoint"), may_use_http=may_use_http)
    region = parameters.get("region")
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError("region must be letters, digits and -")
    # A certificate for *.s3.… does not fit a bucket with dots in its name.
    in_path = endpoint is not None or "." in parts.netloc
    return BucketAddress(
        bucket=parts.netloc,
        prefix=_prefix(unquote(parts.path)),
        endpoint=endpoint,
        region=region,
        has_path_style=_truth(parameters, "path_style", default=in_path),
        may_use_http=may_use_http,
    )


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme != "s3":
        raise ValueError("it must begin with s3://")
    if "@" in parts.netloc:
        raise ValueError(
            "it must hold no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError("after s3:// comes the name of a bucket, 3 to 63 letters, digits and -._")
    if parts.fragment:
        raise ValueError("it must have nothing after #")


def _parameters(pairs: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            raise ValueError(f"after ? only {', '.join(_PARAMETERS)} may be given")
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = value
    return found


def _truth(parameters: dict[str, str], name: str, *, default: bool) -> bool:
    text = parameters.get(name)
    if text is None:
        return default
    if text not in _TRUTHS:
        raise ValueError(f"{name} must be true or false")
    return _TRUTHS[text]


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    steps = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or any(step in {".", ".."} for step in steps):
        raise ValueError("the prefix may hold letters, digits, !_.*'()- and single /")
    if len(prefix) > _PREFIX_CHARACTERS:
        raise ValueError(f"the prefix may have at most {_PREFIX_CHARACTERS} characters")
    return prefix


def _endpoint(text: str | None, *, may_use_http: bool) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("endpoint is no address") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ValueError("endpoint must be like https://HOST or https://HOST:PORT")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("endpoint must hold no credentials and nothing after ? or #")
    if parts.scheme == "http" and not may_use_http:
        raise ValueError("endpoint is not encrypted; add allow_http=true if that is meant")
    return text.rstrip("/")
