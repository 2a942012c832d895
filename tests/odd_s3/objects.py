"""Its objects, and how they come about."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.odd_s3.answers import OddServer, Upload, etag_of, iso
from tests.odd_s3.lists import Lists
from tests.odd_s3.oddities import Odd
from tests.s3 import BUCKET

SHORT_BYTES = 50_000


@contextmanager
def running_odd() -> Iterator[OddServer]:
    """An odd server, until the block ends."""
    with OddServer(Objects) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Objects(Lists, BaseHTTPRequestHandler):
    """Answers whatever the store asks."""

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
        etag = "" if self._is(Odd.NO_ETAGS) else f"<ETag>{etag_of(body)}</ETag>"
        xml = f"<CopyResult>{etag}<LastModified>{iso(time.time())}</LastModified></CopyResult>" if source else ""
        self._answer(200, xml.encode(), {} if self._is(Odd.NO_ETAGS) else {"ETag": etag_of(body)})

    def do_POST(self) -> None:
        key, query, body = self._asked()
        if "uploads" in query:
            upload_id = f"upload-{next(self.server.serial)}"
            self.server.uploads[upload_id] = Upload(key)
            told = "" if self._is(Odd.NO_UPLOAD_ID) else f"<UploadId>{upload_id}</UploadId>"
            self._xml("InitiateMultipartUploadResult", told)
            return
        upload = self.server.uploads.pop(query["uploadId"], None)
        if upload is None:
            self._refuse(404, "NoSuchUpload")
            return
        for number, etag in re.findall(rb"<PartNumber>(\d+)</PartNumber>|<ETag>(.*?)</ETag>", body):
            assert number or etag.replace(b"&quot;", b'"').decode() in map(etag_of, upload.parts.values())
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
            stop = min(stop, start + max(SHORT_BYTES, (stop - start) // 4))
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
        headers = {} if self._is(Odd.NO_ETAGS) else {"ETag": etag_of(body)}
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
