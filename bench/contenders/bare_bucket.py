"""An upload in parts to a bucket by the barest client: no signatures, and next to nothing of HTTP.

moto closes a connection after each answer, so each part has one of its own, as it has by botocore.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

PART = 8 << 20  # bytes, as modelyard's
HEAD_BYTES = 64 << 10

_UPLOAD_ID = re.compile(rb"<UploadId>(.*?)</UploadId>")
_ETAG = re.compile(rb"^etag: *(\S+)", re.IGNORECASE | re.MULTILINE)


class BareUpload:
    """The parts of one object, begun and ended by http.client."""

    def __init__(self, url: str) -> None:
        self._at = urlsplit(url)
        self._upload_id = _UPLOAD_ID.findall(self._post("uploads"))[0].decode()

    def part(self, number: int, size: int) -> BarePart:
        """Begin to send a part, numbered from 1 on."""
        return BarePart(self._at, f"uploadId={self._upload_id}&partNumber={number}", size)

    def complete(self, etags: Sequence[str]) -> None:
        """Make the parts one object; their ETags come as they are numbered."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in enumerate(etags, 1)
        )
        self._post(f"uploadId={self._upload_id}", f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")

    def _post(self, query: str, body: str = "") -> bytes:
        connection = http.client.HTTPConnection(self._at.netloc)
        connection.request("POST", f"{self._at.path}?{query}", body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"the bucket answered {content[:200]!r}")
        return content


class BarePart:
    """One part on its way, on a connection of its own."""

    def __init__(self, at: SplitResult, query: str, size: int) -> None:
        self._line = socket.create_connection((at.hostname or "", at.port or 80))
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"PUT {at.path}?{query} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {size}\r\n"
        self._line.sendall(f"{head}Connection: close\r\n\r\n".encode())

    def send(self, block: memoryview) -> None:
        """Send the next bytes."""
        self._line.sendall(block)

    def end(self) -> str:
        """The part's ETag, once all of it is sent."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = self._line.recv(HEAD_BYTES)
            if not received:
                raise ConnectionError("the bucket has closed the connection")
            answer += received
        self._line.close()
        if b" 200 " not in answer.splitlines()[0]:
            raise RuntimeError(f"the bucket answered {answer[:200]!r}")
        etag: bytes = _ETAG.findall(answer)[0]
        return etag.decode()
