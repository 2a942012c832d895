"""What a request for a file is answered with: whole, in ranges, or not at all (RFC 9110 sections 13 to 15)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from modelyard.errors import PreconditionFailed, RangeNotSatisfiable
from modelyard.wire.conditions import CONDITIONS, Outcome, Validators, evaluate, http_date, range_applies
from modelyard.wire.digests import answered_digests, etag_of, format_repr_digest
from modelyard.wire.disposition import attachment
from modelyard.wire.headers import RawHeaders, encoded
from modelyard.wire.ranges import ByteRange, MultipartRanges, UnsatisfiableRange, parse_range

CONTENT_TYPE = "application/octet-stream"
# Caches ask each time, and only the client's own may keep it: the next one may not be allowed to read.
CACHING = {"Cache-Control": "private, no-cache"}
# Without any of these a request is for the whole file, whatever it is.
_ASKING = CONDITIONS | {"range", "want-digest"}


@dataclass(frozen=True, slots=True)
class Representation:
    """The facts of a stored file that its answers are made of."""

    name: str  # with directories
    sha256: str
    size: int  # bytes
    modified: int  # seconds since 1970

    @property
    def validators(self) -> Validators:
        """What conditional requests compare with."""
        return Validators(etag_of(self.sha256), self.modified)

    @property
    def disposition(self) -> str:
        """`Content-Disposition` by which the file is saved under the last part of its name."""
        return attachment(self.name.rpartition("/")[2])

    @property
    def validator_headers(self) -> dict[str, str]:
        """Headers by which a client knows this content again, and can verify it."""
        return {
            "ETag": self.validators.etag,
            "Last-Modified": http_date(self.modified),
            "Repr-Digest": format_repr_digest(self.sha256),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers, and which bytes to send; `framing` is set for several ranges."""

    status: int
    headers: RawHeaders
    parts: Sequence[ByteRange]
    framing: MultipartRanges | None = None


def answer_download(method: str, headers: Mapping[str, str], file: Representation) -> Answer:
    """How to answer GET or HEAD for a file; `headers` are the request's, with lower-case names.

    Raises PreconditionFailed and RangeNotSatisfiable.
    """
    if _ASKING.isdisjoint(headers):
        return _whole(file)
    outcome = evaluate(method, headers, file.validators)
    if outcome is Outcome.PRECONDITION_FAILED:
        raise PreconditionFailed
    asked_for = encoded(answered_digests(headers, file.sha256)) if "want-digest" in headers else ()
    if outcome is Outcome.NOT_MODIFIED:
        return Answer(304, encoded(file.validator_headers | CACHING) + asked_for, [])
    parts = _requested_parts(method, headers, file)
    if parts is None:
        whole = _whole(file)
        return Answer(whole.status, whole.headers + asked_for, whole.parts)
    if len(parts) == 1:
        asked_for += encoded({"Content-Range": parts[0].content_range(file.size)})
        return Answer(206, _headers(file, CONTENT_TYPE, parts[0].length) + asked_for, parts)
    framing = MultipartRanges(tuple(parts), file.size, secrets.token_hex(16), CONTENT_TYPE)
    own = _headers(file, framing.content_type_header, framing.content_length)
    return Answer(206, own + asked_for, parts, framing)


def headers_for_nginx(headers: Mapping[str, str], file: Representation, path: str) -> RawHeaders:
    """Headers of an answer without a body, in whose place nginx sends the file that it has at `path`.

    `headers` are the request's. How long that is, and whether it takes ranges, nginx says itself.
    """
    own = (b"content-length", b"accept-ranges")
    whole = tuple(header for header in _headers(file, CONTENT_TYPE, file.size) if header[0] not in own)
    return whole + encoded({"Content-Length": "0", "X-Accel-Redirect": path} | answered_digests(headers, file.sha256))


def _requested_parts(method: str, headers: Mapping[str, str], file: Representation) -> list[ByteRange] | None:
    # RFC 9110 section 14.2 defines ranges for GET alone.
    if method != "GET" or not range_applies(headers.get("if-range"), file.validators):
        return None
    try:
        return parse_range(headers.get("range"), file.size)
    except UnsatisfiableRange as error:
        raise RangeNotSatisfiable(file.size) from error


@lru_cache(maxsize=4096)
def _whole(file: Representation) -> Answer:
    return Answer(200, _headers(file, CONTENT_TYPE, file.size), (ByteRange(0, file.size),))


@lru_cache(maxsize=4096)
def _headers(file: Representation, content_type: str, length: int) -> RawHeaders:
    return encoded(
        file.validator_headers
        | CACHING
        | {
            "Content-Type": content_type,
            "Content-Length": str(length),
            "Accept-Ranges": "bytes",
            "Content-Disposition": file.disposition,
            "X-Content-Type-Options": "nosniff",
        }
    )
