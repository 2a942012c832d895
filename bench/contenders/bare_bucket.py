"""An upload in parts to a bucket by the barest client: one part after the other, and no signatures.

moto closes a connection after each answer, so each part has one of its own, as it has by botocore.
"""

from __future__ import annotations

import http.client
import re
import socket
from urllib.parse import urlsplit

PART = 8 << 20  # bytes, as modelyard's
HEAD_BYTES = 64 << 10

_UPLOAD_ID = re.compile(rb"<UploadId>(.*?)</UploadId>")
_ETAG = re.compile(rb"^etag: *(\S+)", re.IGNORECASE | re.MULTILINE)


class BareUpload:
    """The parts of one object, of `length` bytes in all, begun and ended by http.client."""

    def __init__(self, url: str, length: int) -> None:
        self._at = urlsplit(url)
        self._missing = length
        self._left = 0  # bytes of the part that is on its way
        self._upload_id = _UPLOAD_ID.findall(self._post("uploads"))[0].decode()
        self._etags: list[str] = []

    def send(self, block: memoryview) -> None:
        """Send bytes of one part, of whose size their number is a divisor."""
        if not self._left:
            self._left = min(PART, self._missing)
            self._line = socket.create_connection((self._at.hostname or "", self._at.port or 80))
            self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            path = f"{self._at.path}?uploadId={self._upload_id}&partNumber={len(self._etags) + 1}"
            head = f"PUT {path} HTTP/1.1\r\nHost: {self._at.netloc}\r\nContent-Length: {self._left}\r\n"
            self._line.sendall(f"{head}Connection: close\r\n\r\n".encode())
        self._line.sendall(block)
        self._left -= len(block)
        self._missing -= len(block)
        if not self._left:
            self._end_part()

    def complete(self) -> None:
        """Make the parts one object."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        self._post(f"uploadId={self._upload_id}", f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")

    def _end_part(self) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = self._line.recv(HEAD_BYTES)
            if not received:
                raise ConnectionError("the bucket has closed the connection")
            answer += received
        self._line.close()
        if b" 200 " not in answer.splitlines()[0]:
            raise RuntimeError(f"the bucket answered {answer[:200]!r}")
        self._etags.append(_ETAG.findall(answer)[0].decode())

    def _post(self, query: str, body: str = "") -> bytes:
        connection = http.client.HTTPConnection(self._at.netloc)
        connection.request("POST", f"{self._at.path}?{query}", body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"the bucket answered {content[:200]!r}")
        return content
