"""Making a page: templates with everything escaped, under headers that allow nothing else.

The style stands in the page and is allowed by its digest; there is no script and nothing is
loaded from anywhere, so that a secret in the address reaches nobody (`security.md` 5).
"""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from thingstead.transports.http.answers import Answer, Header

if TYPE_CHECKING:
    from jinja2 import Environment

_HTML: Header = (b"Content-Type", b"text/html; charset=utf-8")


def page(template: str, status: int = 200, **facts: object) -> Answer:
    """Return the page that a template makes of the facts, each of them escaped."""
    style = _style()
    text = _environment().get_template(template).render(style=style, **facts)
    return Answer(status, text.encode("utf-8"), (), _HTML, _headers(style))


@cache
def _environment() -> "Environment":
    # Only who serves a page pays for the library in memory.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> str:
    return (resources.files(__package__) / "templates" / "style.css").read_text("utf-8")


@cache
def _headers(style: str) -> tuple[Header, ...]:
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest())
    policy = (
        b"default-src 'none'; style-src 'sha256-%b'; form-action 'self';"
        b" frame-ancestors 'none'; base-uri 'none'" % digest
    )
    return (
        (b"Cache-Control", b"no-store"),
        (b"Content-Security-Policy", policy),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Referrer-Policy", b"no-referrer"),
    )
