"""A small file in one request, whose SHA-256 is sent before it: the server takes it as it was read, or not at all."""

from __future__ import annotations

import base64
import hashlib

from modelyard_client.catalog import Place
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport
from modelyard_client.http.trying import TryAgain
from modelyard_client.local.files import LocalFile
from modelyard_client.progress import Progress


def digest_field(sha256: str) -> str:
    """A SHA-256 in hex as `Repr-Digest` and `Content-Digest` tell it (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


class SmallUploads:
    """Sends whole files that fit in memory."""

    def __init__(self, transport: Transport, pace: Pace, progress: Progress) -> None:
        self._transport = transport
        self._pace = pace
        self._progress = progress

    def send(self, place: Place, file: LocalFile) -> tuple[str, int]:
        """Send a file; the answer is its SHA-256 and how many bytes crossed the wire. Raises ClientError."""
        content = file.content(self._transport.stop)
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(content)),
            "Repr-Digest": digest_field(sha256),
        }
        tries, sent = self._transport.tries(), 0
        while True:
            try:
                body = self._pace.body(content)
                sent += len(content)
                self._transport.once("PUT", place.file(file.name), headers=headers, body=body, ok={200, 201})
            except TryAgain as again:
                tries.failed(again)
            else:
                self._progress.moved(len(content))
                return sha256, sent
