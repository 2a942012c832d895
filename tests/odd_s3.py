"""An S3 server in memory, on a real socket, that answers as some do and others do not: what is odd is chosen."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.s3 import BUCKET, S3Server

SHORT_BYTES = 50_000


class Odd(StrEnum):
    """What a server does otherwise than most."""

    WHOLE_IS_200 = auto()  # a range over the whole object
    RANGES_IGNORED = auto()
    NO_CONTENT_RANGE = auto()  # 206 without it
    NO_TOTAL = auto()  # bytes 0-6/*
    EQUALS_SIGN = auto()  # bytes=0-6/7
    EARLIER = auto()  # 206 that begins before what was asked for
    SHORTER = auto()  # 206 that ends before it
    LATER = auto()  # 206 that begins behind it
    OTHER_RANGE_TOLD = auto()  # Content-Range of other bytes than come
    GARBLED_RANGE = auto()
    MANY_RANGES = auto()  # multipart/byteranges
    ALWAYS_416 = auto()
    NO_LENGTH = auto()  # chunked
    GARBLED_LENGTH = auto()
    NO_LENGTH_IN_HEAD = auto()
    CUT = auto()  # closed half-way, without a length that would tell
    NO_DATES = auto()
    GARBLED_DATES = auto()
    NO_ETAGS = auto()
    FOREIGN_CHECKSUMS = auto()
    COMPRESSED = auto()
    REDIRECTED = auto()
    NONSENSE = auto()  # 200 and a page, whatever is asked
    NO_ANSWER = auto()  # the connection is closed
    MISSING_IS_404 = auto()  # DELETE of what is not there
    MISSING_IS_BARE_404 = auto()
    NO_UPLOADS = auto()  # lists of them: 501
    UPLOADS_NOT_ALLOWED = auto()  # 405
    UPLOADS_NOT_FOUND = auto()  # 404
    UPLOADS_FORBIDDEN = auto()  # 403
    UPLOADS_ARE_OBJECTS = auto()  # the list of another question
    UPLOADS_ARE_HTML = auto()
    UPLOADS_ARE_NOTHING = auto()  # 200 without a body
    NO_PARTS = auto()  # lists of them
    PARTS_NOT_FOUND = auto()
    NO_ABORT = auto()
    NO_COPIES = auto()
    NO_COPIES_OF_PARTS = auto()
    NO_UPLOAD_ID = auto()
    COMPLETED_TWICE = auto()  # the first answer is lost
    BARE_LISTS = auto()  # nothing but Contents, and the next page
    SMALL_PAGES = auto()
    CUT_LISTS = auto()  # IsTruncated, and no word how to go on
    SAME_PAGE = auto()  # for ever
    ENCODED_KEYS = auto()  # and no EncodingType
    HTML_LISTS = auto()
    EMPTY_LISTS = auto()  # 200 without a body
    BROKEN_LISTS = auto()  # the connection ends within the XML
    ENTRIES_WITHOUT_KEYS = auto()


@dataclass
class _Upload:
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


class OddServer(ThreadingHTTPServer):
    """The server; what is in `odd` may change between two requests. `requests` has the first line of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.odd: set[Odd] = set()
        self.requests: list[str] = []
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.uploads: dict[str, _Upload] = {}
        self.serial = itertools.count(1)

    @property
    def s3(self) -> S3Server:
        """How to reach it."""
        return S3Server(f"http://127.0.0.1:{self.server_port}", tells_uploads=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up an answer is nothing to tell of."""


@contextmanager
def running_odd() -> Iterator[OddServer]:
    """An odd server, until the block ends."""
    with OddServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OddServer
    disable_nagle_algorithm = True

    def log_request(self, code: object = "-", size: object = "-") -> None:
        del code, size
        self.server.requests.append(self.requestline)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _asked(self) -> tuple[str, dict[str, str], bytes]:
        """Key, query and body of the request."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/"), query, body

    def _is(self, *odd: Odd) -> bool:
        return not self.server.odd.isdisjoint(odd)

    def parse_request(self) -> bool:
        """Read the head of a request, and answer it already where that does not depend on what it asks."""
        if not super().parse_request():
            return False
        if not self._is(Odd.NONSENSE, Odd.NO_ANSWER):
            return True
        self._asked()
        if self._is(Odd.NONSENSE):
            self._answer(200, b"<!DOCTYPE html><html><body>Welcome<br></body></html>")
        else:
            self.close_connection = True
        return False

    # Objects

    def do_GET(self) -> None:
        key, query, _ = self._asked()
        if not key:
            self._list_uploads(query) if "uploads" in query else self._list(query)
        elif "uploadId" in query:
            self._list_parts(query["uploadId"])
        elif key not in self.server.objects:
            self._refuse(404, "NoSuchKey")
        else:
            self._object(*self.server.objects[key])

    def do_HEAD(self) -> None:
        key, _, _ = self._asked()
        if key not in self.server.objects:
            self._answer(404)
            return
        body, modified = self.server.objects[key]
        if self._is(Odd.NO_LENGTH_IN_HEAD):
            self.close_connection = True
            self._head(200, self._about(body, modified) | {"Connection": "close"})
        else:
            self._head(200, self._about(body, modified) | {"Content-Length": str(len(body))})

    def do_DELETE(self) -> None:
        key, query, _ = self._asked()
        if "uploadId" in query:
            if self._is(Odd.NO_ABORT):
                self._refuse(405, "MethodNotAllowed")
            elif self.server.uploads.pop(query["uploadId"], None) is None:
                self._refuse(404, "NoSuchUpload")
            else:
                self._answer(204)
        elif self.server.objects.pop(key, None) is not None or not self._is(
            Odd.MISSING_IS_404, Odd.MISSING_IS_BARE_404
        ):
            self._answer(204)
        elif self._is(Odd.MISSING_IS_404):
            self._refuse(404, "NoSuchKey")
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        key, query, body = self._asked()
        source = unquote(self.headers.get("x-amz-copy-source", "")).removeprefix(f"/{BUCKET}").removeprefix("/")
        source = source.removeprefix(f"{BUCKET}/")
        if source and self._is(Odd.NO_COPIES, *[Odd.NO_COPIES_OF_PARTS] * ("uploadId" in query)):
            self._refuse(501, "NotImplemented")
            return
        if source:
            body = self._range_of(source)
        if "uploadId" not in query:
            self._keep(key, body)
        elif query["uploadId"] not in self.server.uploads:
            self._refuse(404, "NoSuchUpload")
            return
        else:
            self.server.uploads[query["uploadId"]].parts[int(query["partNumber"])] = body
        etag = "" if self._is(Odd.NO_ETAGS) else f"<ETag>{_etag(body)}</ETag>"
        xml = f"<CopyResult>{etag}<LastModified>{_iso(time.time())}</LastModified></CopyResult>" if source else ""
        self._answer(200, xml.encode(), {} if self._is(Odd.NO_ETAGS) else {"ETag": _etag(body)})

    def do_POST(self) -> None:
        key, query, body = self._asked()
        if "uploads" in query:
            upload_id = f"upload-{next(self.server.serial)}"
            self.server.uploads[upload_id] = _Upload(key)
            told = "" if self._is(Odd.NO_UPLOAD_ID) else f"<UploadId>{upload_id}</UploadId>"
            self._xml("InitiateMultipartUploadResult", told)
            return
        upload = self.server.uploads.pop(query["uploadId"], None)
        if upload is None:
            self._refuse(404, "NoSuchUpload")
            return
        for number, etag in re.findall(rb"<PartNumber>(\d+)</PartNumber>|<ETag>(.*?)</ETag>", body):
            assert number or etag.replace(b"&quot;", b'"').decode() in map(_etag, upload.parts.values())
        self._keep(key, b"".join(upload.parts[number] for number in sorted(upload.parts)))
        if self._is(Odd.COMPLETED_TWICE):
            self._answer(500)
        else:
            self._xml("CompleteMultipartUploadResult", f"<Key>{key}</Key>")

    def _keep(self, key: str, body: bytes) -> None:
        self.server.objects[key] = (body, time.time())

    def _range_of(self, source: str) -> bytes:
        body, _ = self.server.objects[source]
        asked = self.headers.get("x-amz-copy-source-range")
        first, last = map(int, asked.removeprefix("bytes=").split("-")) if asked else (0, len(body))
        return body[first : last + 1]

    def _object(self, body: bytes, modified: float) -> None:
        headers, status, start, stop = self._about(body, modified), 200, 0, len(body)
        asked = self.headers.get("Range")
        if asked and not self._is(Odd.RANGES_IGNORED):
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            if first >= len(body) or self._is(Odd.ALWAYS_416):
                self._refuse(416, "InvalidRange")
                return
            status, start, stop = self._chosen(first, min(last + 1, len(body)), len(body))
            headers |= self._told_range(start, stop, len(body)) if status == 206 else {}
        if self._is(Odd.COMPRESSED):
            self._answer(status, gzip.compress(body[start:stop]), headers | {"Content-Encoding": "gzip"})
        elif asked and self._is(Odd.MANY_RANGES):
            envelope = b"--x\r\nContent-Range: bytes 0-6/7\r\n\r\n" + body[start:stop] + b"\r\n--x--\r\n"
            self._answer(status, envelope, headers | {"Content-Type": "multipart/byteranges; boundary=x"})
        elif asked and self._is(Odd.REDIRECTED):
            self._answer(307, b"", {"Location": f"http://{self.headers['Host']}{self.path}"})
        else:
            self._answer(status, body[start:stop], headers, in_doubt=bool(asked))

    def _chosen(self, start: int, stop: int, size: int) -> tuple[int, int, int]:
        if self._is(Odd.WHOLE_IS_200) and (start, stop) == (0, size):
            return 200, start, stop
        if self._is(Odd.EARLIER):
            start //= 2
        if self._is(Odd.LATER) and start + 1 < stop:
            start += 1
        if self._is(Odd.SHORTER):
            stop = min(stop, start + SHORT_BYTES)
        return 206, start, stop

    def _told_range(self, start: int, stop: int, size: int) -> dict[str, str]:
        if self._is(Odd.NO_CONTENT_RANGE, Odd.MANY_RANGES):
            return {}
        if self._is(Odd.GARBLED_RANGE):
            return {"Content-Range": "all of it"}
        start += size if self._is(Odd.OTHER_RANGE_TOLD) else 0
        sign = "=" if self._is(Odd.EQUALS_SIGN) else " "
        return {"Content-Range": f"bytes{sign}{start}-{stop - 1}/{'*' if self._is(Odd.NO_TOTAL) else size}"}

    def _about(self, body: bytes, modified: float) -> dict[str, str]:
        headers = {} if self._is(Odd.NO_ETAGS) else {"ETag": _etag(body)}
        if self._is(Odd.GARBLED_DATES):
            headers["Last-Modified"] = "the day before yesterday"
        elif not self._is(Odd.NO_DATES):
            headers["Last-Modified"] = formatdate(modified, usegmt=True)
        if self._is(Odd.FOREIGN_CHECKSUMS):
            headers |= {
                "x-amz-checksum-crc32": "AAAAAA==",
                "x-amz-checksum-sha256": "c29tZXRoaW5n",
                "x-amz-checksum": "?",
            }
        return headers

    # Lists

    def _list(self, query: Mapping[str, str]) -> None:
        if self._is(Odd.HTML_LISTS):
            self._answer(200, b"<!DOCTYPE html><html><body>Welcome</body></html>")
            return
        if self._is(Odd.EMPTY_LISTS):
            self._answer(200)
            return
        keys = sorted(key for key in self.server.objects if key.startswith(query.get("prefix", "")))
        after = "" if self._is(Odd.SAME_PAGE) else query.get("continuation-token", "")
        keys = [key for key in keys if key > after]
        size = 3 if self._is(Odd.SMALL_PAGES, Odd.CUT_LISTS, Odd.SAME_PAGE) else 1000
        page, more = keys[:size], len(keys) > size
        xml = "".join(map(self._listed, page))
        if more and not self._is(Odd.CUT_LISTS):
            xml += f"<NextContinuationToken>{page[-1]}</NextContinuationToken>"
        if not self._is(Odd.BARE_LISTS):
            xml += f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        self._xml("ListBucketResult", xml)

    def _listed(self, key: str) -> str:
        body, modified = self.server.objects[key]
        named = quote(key, safe="") if self._is(Odd.ENCODED_KEYS) else key
        date = "never" if self._is(Odd.GARBLED_DATES) else _iso(modified)
        parts = {"Key": named, "Size": str(len(body)), "LastModified": date, "ETag": _etag(body)}
        dropped = {
            Odd.ENTRIES_WITHOUT_KEYS: "Key",
            Odd.NO_DATES: "LastModified",
            Odd.NO_ETAGS: "ETag",
            Odd.BARE_LISTS: "ETag",
        }
        for odd, name in dropped.items():
            if self._is(odd):
                parts.pop(name, None)
        return f"<Contents>{''.join(f'<{name}>{text}</{name}>' for name, text in parts.items())}</Contents>"

    def _list_uploads(self, query: Mapping[str, str]) -> None:
        refusals = {
            Odd.NO_UPLOADS: (501, "NotImplemented"),
            Odd.UPLOADS_NOT_ALLOWED: (405, "MethodNotAllowed"),
            Odd.UPLOADS_NOT_FOUND: (404, "NoSuchKey"),
            Odd.UPLOADS_FORBIDDEN: (403, "AccessDenied"),
        }
        for odd, refusal in refusals.items():
            if self._is(odd):
                self._refuse(*refusal)
                return
        if self._is(Odd.UPLOADS_ARE_OBJECTS):
            self._list(query)
        elif self._is(Odd.UPLOADS_ARE_HTML):
            self._answer(200, b"<html><body>Welcome<br></body></html>")
        elif self._is(Odd.UPLOADS_ARE_NOTHING):
            self._answer(200)
        else:
            entry = "<Upload><Key>{}</Key><UploadId>{}</UploadId>{}</Upload>"
            date = "never" if self._is(Odd.GARBLED_DATES) else _iso(0)
            began = "" if self._is(Odd.NO_DATES) else f"<Initiated>{date}</Initiated>"
            found = ((upload.key, upload_id, began) for upload_id, upload in self.server.uploads.items())
            self._xml("ListMultipartUploadsResult", "".join(entry.format(*each) for each in found))

    def _list_parts(self, upload_id: str) -> None:
        if self._is(Odd.NO_PARTS, Odd.PARTS_NOT_FOUND):
            self._refuse(*((405, "MethodNotAllowed") if self._is(Odd.NO_PARTS) else (404, "NotFound")))
        elif upload_id not in self.server.uploads:
            self._refuse(404, "NoSuchUpload")
        else:
            entry = "<Part><PartNumber>{}</PartNumber><Size>{}</Size><LastModified>{}</LastModified></Part>"
            parts = self.server.uploads[upload_id].parts.items()
            told = (entry.format(number, len(body), _iso(0)) for number, body in parts)
            self._xml("ListPartsResult", "".join(told))

    # Answers

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _xml(self, root: str, inner: str) -> None:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>'.encode()
        if self._is(Odd.BROKEN_LISTS) and root.startswith("List"):
            self._head(200, {"Content-Length": str(len(body))})
            self.wfile.write(body[:-9])
            self.close_connection = True
        else:
            self._answer(200, body)

    def _answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, in_doubt: bool = False
    ) -> None:
        """Answer; `in_doubt`: with what is odd about the lengths of objects."""
        headers = dict(headers or {})
        if in_doubt and self._is(Odd.NO_LENGTH):
            self._head(status, headers | {"Transfer-Encoding": "chunked"})
            chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            self.wfile.write(chunk + b"0\r\n\r\n")
        elif in_doubt and self._is(Odd.CUT):
            self.close_connection = True
            self._head(status, headers | {"Connection": "close"})
            self.wfile.write(body[: len(body) // 2])
        else:
            length = "many" if in_doubt and self._is(Odd.GARBLED_LENGTH) else str(len(body))
            self.close_connection = self.close_connection or length == "many"
            self._head(status, headers | ({"Content-Length": length} if status != 204 else {}))
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
