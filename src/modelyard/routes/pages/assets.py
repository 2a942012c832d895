"""Styles, scripts and images: files of this folder's `static/`, by URLs that change with what is in them."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from modelyard.errors import UnknownRoute
from modelyard.routes.pages.subject import Subject

subject = Subject()

STATIC = Path(__file__).parent / "static"
ROOT = "/-/assets"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
DIGEST_DIGITS = 16  # of the SHA-256, in a URL
MIN_COMPRESSED = 512  # bytes
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Asset:
    """A file that pages load; `name` is its path below `static/`."""

    name: str
    content: bytes

    @property
    def path(self) -> str:
        """Its path on this server."""
        return f"{ROOT}/{self.digest}/{self.name}"

    @cached_property
    def digest(self) -> str:
        """What its URL has of its SHA-256."""
        return hashlib.sha256(self.content).hexdigest()[:DIGEST_DIGITS]

    @cached_property
    def integrity(self) -> str:
        """What a tag says of it (Subresource Integrity)."""
        return f"sha384-{base64.b64encode(hashlib.sha384(self.content).digest()).decode()}"

    @cached_property
    def compressed(self) -> bytes | None:
        """The content by gzip, made once; None where it saves nothing."""
        small = gzip.compress(self.content, 9, mtime=0)
        return small if len(self.content) >= MIN_COMPRESSED and len(small) < len(self.content) else None


@cache
def asset(name: str) -> Asset:
    """The asset of that name; read once. Raises KeyError."""
    return Asset(name, _files()[name].read_bytes())


def _prepared(name: str) -> Asset:
    """The asset of that name, compressed: a large one takes a while, once. Raises KeyError."""
    found = asset(name)
    _ = found.compressed
    return found


@cache
def _files() -> dict[str, Path]:
    found = (path for path in STATIC.rglob("*") if path.is_file() and path.suffix in TYPES)
    return {path.relative_to(STATIC).as_posix(): path for path in found}


@subject.get(f"{ROOT}/{{digest}}/{{name:path}}")
async def serve(request: Request) -> Response:
    """An asset, for anybody; another version's is not found."""
    try:
        found = await asyncio.to_thread(_prepared, request.path_params["name"])
    except KeyError as error:
        raise UnknownRoute from error
    if found.digest != request.path_params["digest"]:
        raise UnknownRoute
    headers = _HEADERS | {"Content-Type": TYPES[Path(found.name).suffix], "ETag": f'"{found.digest}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if found.compressed is not None:
        headers["Vary"] = "Accept-Encoding"
        if takes_gzip(request):
            return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, headers=headers)


def takes_gzip(request: Request) -> bool:
    """Whether a client takes an answer that is compressed by gzip (RFC 9110 section 12.5.3)."""
    for each in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
