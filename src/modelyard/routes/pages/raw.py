"""Bytes of files for a page to show: listed types in place, and so that nothing in one acts for its reader.

Downloads are attachments. Here a file opens in the browser, in an origin of its own and without scripts: `sandbox` of a
Content-Security-Policy does that for whatever it turns out to be, also where it is opened by itself.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.routes.http.transfers import answer_of, files_of
from modelyard.routes.pages.holders import at_both, named, request_for
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.previews.kinds import shown_type
from modelyard.wire.headers import encoded

subject = Subject()

_BASE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; font-src data:"
SANDBOXED = f"sandbox; {_BASE}; frame-ancestors 'self'"
# Scripts of a report, which somebody has to ask for: in an origin that is nobody's, without cookies, network or forms.
WITH_SCRIPTS = (
    f"sandbox allow-scripts; {_BASE} blob:; script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; "
    "frame-ancestors 'self'"
)
# A browser's own viewer of PDF does not work in a sandbox; what it runs is not this page's.
PDF = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'self'"
_FIXED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)


@at_both(subject, "/raw/{path:path}")
async def show(request: Request) -> Response:
    """A file as what its name says; `scripts=1` lets those of an HTML report run. What is not listed is a download."""
    visit, files = Visit(request), files_of(request)
    name = named(visit)
    opened = await files.downloads.open(request_for(visit, name), counts=False)
    response = answer_of(request, opened, files)
    response.raw_headers = _headers(response.raw_headers, name, scripts=visit.query.get("scripts") == "1")
    return response


def policy_of(kind: str, *, scripts: bool) -> str:
    """The Content-Security-Policy of a file of a type."""
    if kind == "application/pdf":
        return PDF
    return WITH_SCRIPTS if scripts and kind.startswith("text/html") else SANDBOXED


def _headers(own: list[tuple[bytes, bytes]], name: str, *, scripts: bool) -> list[tuple[bytes, bytes]]:
    kind = shown_type(name)
    told = dict(_FIXED) | {"Content-Security-Policy": policy_of(kind or "", scripts=scripts), "Vary": "Cookie"}
    if kind is not None:
        told["Content-Disposition"] = "inline"
        if not dict(own).get(b"content-type", b"").startswith(b"multipart/"):
            told["Content-Type"] = kind
    more = encoded(told)
    replaced = {header for header, _ in more}
    return [*(header for header in own if header[0] not in replaced), *more]
