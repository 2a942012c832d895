"""Which requests are read at all: bounds on what is no body, and nothing whose end two servers see differently.

llhttp refuses most of what smuggles requests: two lengths, a length beside chunks, bare line feeds, folded lines. It
has no bounds, though, and takes some of what RFC 9112 has a server refuse.

What cannot be read is answered once, in its turn, and nothing after it is read as another request.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools
import structlog
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from modelyard.wire.paths import normalize_path
from modelyard.wire.refusals import shaped

log = structlog.get_logger()

MAX_TARGET_BYTES = 16 * 1024  # of path and query
MAX_HEAD_BYTES = 64 * 1024  # of a request's line and headers; of what comes between two pieces of a body as well
MAX_HEADERS = 128
MAX_PIPELINED = 32  # requests that wait on one connection while another is answered
LINGER_SECONDS = 2.0  # for which a client that still sends may read why it was refused

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z.:]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not read: the status of its answer, that in words, a reason for its body, and more headers."""

    status: int
    phrase: str
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request_id: str, target: bytes = b"") -> Response:
        """The answer to a request of that target, as far as it is known."""
        message = {"message": f"{self.status} {self.phrase} - {self.reason}"}
        body, told = shaped(normalize_path(target.partition(b"?")[0]), self.status, message)
        headers = {**self.headers, **told, "X-Request-Id": request_id, "Connection": "close"}
        return JSONResponse(body, self.status, headers)


def bad_request(reason: str) -> Refusal:
    """400 in GitLab's words."""
    return Refusal(400, "Bad request", reason)


UNREADABLE = bad_request("Invalid HTTP request received")
TARGET_TOO_LONG = Refusal(414, "URI Too Long", f"The path and query exceed {MAX_TARGET_BYTES} bytes")
HEAD_TOO_LARGE = Refusal(431, "Request Header Fields Too Large", f"The headers exceed {MAX_HEAD_BYTES} bytes")
TOO_MANY_HEADERS = Refusal(431, "Request Header Fields Too Large", f"There are more than {MAX_HEADERS} headers")
UNKNOWN_VERSION = bad_request("Only HTTP/1.1 and HTTP/1.0 are spoken here")
UNKNOWN_CODING = bad_request("The only transfer coding is chunked, and only HTTP/1.1 has it")
WRONG_HOST = bad_request("A request needs exactly one Host")
CHUNKS_WITHOUT_BYTES = bad_request("Chunk extensions or trailers are too large")
TOO_MANY_PIPELINED = bad_request(f"More than {MAX_PIPELINED} requests wait on the connection")


class _Refused(Exception):
    """Stops the parser; the refusal lies beside it."""


class _Trailers(list[tuple[bytes, bytes]]):
    """Keeps none: a trailer must never pass for a header (RFC 9110 section 6.5.1)."""

    def append(self, _trailer: tuple[bytes, bytes]) -> None:
        """Forget it."""


_TRAILERS = _Trailers()


class FramedProtocol(HttpToolsProtocol):
    """One client connection, of which only requests with a clear end and of a sane size are read."""

    url = b""
    _deaf = False  # whatever else comes is not read
    _in_body = False
    _advanced = False  # a head ended or a body grew within what was received last
    _pending = 0  # bytes received since then
    _refusal = UNREADABLE

    def data_received(self, data: bytes) -> None:
        """Read the next bytes, or refuse what they belong to."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._advanced = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._refusal)
        else:
            self._pending = 0 if self._advanced else self._pending + len(data)
            if self._pending > MAX_HEAD_BYTES:
                self.refuse(self._too_large())

    def on_headers_complete(self) -> None:
        """Start on a request whose head is in order."""
        if self._deaf:
            raise _Refused
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # `_read_without_upgrade` follows
        if absolute := _ABSOLUTE.match(self.url):  # whose host is the one that counts (RFC 9112 section 3.2.2)
            hosts = [(name, absolute[1]) for name, _ in self.headers if name == b"host"]
            self.headers[:] = hosts + [header for header in self.headers if header[0] != b"host"]
        refusal = self._fault()
        if refusal is not None:
            self._refusal = refusal
            raise _Refused
        super().on_headers_complete()
        self.headers = _TRAILERS
        self._in_body = self._advanced = True

    def on_body(self, body: bytes) -> None:
        """Take the next bytes of a body."""
        self._advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that the request has ended."""
        if self._in_body:
            self._in_body = False
            super().on_message_complete()

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is unreadable in its turn, and end the connection."""
        if self._deaf:
            return
        request_id = secrets.token_hex(16)
        client = self.client[0] if self.client else None
        log.warning(
            "request refused", status=refusal.status, reason=refusal.reason, client=client, request_id=request_id
        )
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or (cycle.response_complete and not self._in_body):
            self._answer(refusal, request_id)
        elif not self._in_body or cycle.response_started:
            self._end_with(cycle)  # a second answer to it would pass for the answer to the client's next request
        elif self.pipeline:
            self.pipeline[0] = (cycle, refusal.response(request_id, self.url))  # type: ignore[assignment] # an application
            self._end_with(cycle)
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            self._answer(refusal, request_id)

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a request that asks for another protocol as one that does not: none is offered (RFC 9110 section 7.8).

        The parser takes all that follows such a head for the other protocol's, and an upload would be stored empty.
        """
        line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.data_received(b"\r\n".join([line, *fields, b"", rest]))

    def _fault(self) -> Refusal | None:
        """What is wrong with a head."""
        if self.parser.should_upgrade():
            return UNREADABLE  # CONNECT, for proxies
        if len(self.url) > MAX_TARGET_BYTES:
            return TARGET_TOO_LONG
        if len(self.headers) > MAX_HEADERS:
            return TOO_MANY_HEADERS
        if len(self.pipeline) >= MAX_PIPELINED:
            return TOO_MANY_PIPELINED
        return _fault_of_headers(self.parser.get_http_version(), len(self.url), self.headers)

    def _too_large(self) -> Refusal:
        """What has gone on for too long without an end."""
        if self._in_body:
            return CHUNKS_WITHOUT_BYTES
        return TARGET_TOO_LONG if len(self.url) > MAX_TARGET_BYTES else HEAD_TOO_LARGE

    def _answer(self, refusal: Refusal, request_id: str) -> None:
        answer = refusal.response(request_id, self.url)
        head = [b"HTTP/1.1 %d %s" % (refusal.status, refusal.phrase.encode())]
        head += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self._linger()

    def _linger(self) -> None:
        """End the connection, but read on a little: a reset would take the answer from a client that still sends."""
        self._deaf = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _end_with(self, cycle: RequestResponseCycle) -> None:
        """Read nothing more; the connection ends with the answer to that request, or now if it is sent."""
        self._deaf = True
        cycle.keep_alive = False
        if cycle.response_complete:
            self._linger()


def _fault_of_headers(version: str, size: int, headers: list[tuple[bytes, bytes]]) -> Refusal | None:
    """What makes it unclear for whom a request is, or where it ends (RFC 9112 sections 2.3, 3.2 and 6.1)."""
    hosts, coding = 0, None
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1 if _HOST.fullmatch(value) else 2
        elif name == b"transfer-encoding":
            coding = value.strip().lower()
    if size > MAX_HEAD_BYTES:
        return HEAD_TOO_LARGE
    if version not in {"1.1", "1.0"}:
        return UNKNOWN_VERSION
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        return WRONG_HOST
    return UNKNOWN_CODING if coding is not None and (coding != b"chunked" or version == "1.0") else None
