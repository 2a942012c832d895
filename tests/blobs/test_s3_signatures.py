"""What is sent to a bucket is not hashed once more for a signature, unless the server will have it so."""

from __future__ import annotations

import hashlib
import http.server
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any, ClassVar

import pytest

from modelyard.blobs.s3.bodies import GATHERED_BYTES, Body
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.connection import connect
from modelyard.blobs.store import StoreUnavailable
from tests.s3 import S3Server

CONTENT = bytes(range(256)) * 4 * (GATHERED_BYTES >> 10)  # long enough to be kept as it is
UNSIGNED = "UNSIGNED-PAYLOAD"


def content() -> Body:
    """A body of two long pieces, and of short ones between them."""
    body = Body(CONTENT)
    for piece in (b"ab", b"cd", CONTENT):
        body.append(memoryview(piece))
    return body


ALL = CONTENT + b"abcd" + CONTENT
SIGNED = hashlib.sha256(ALL).hexdigest()


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_bodies_of_files_are_not_hashed_for_a_signature(scheme: str) -> None:
    sent: list[str] = []

    def note(request: Any, **_more: object) -> None:
        digest = request.headers["X-Amz-Content-SHA256"]
        sent.append(digest.decode() if isinstance(digest, bytes) else digest)
        raise OSError("far enough")

    with S3Server(f"{scheme}://s3.example.com").as_environment():
        connection = connect(None, "path")
    connection.client.meta.events.register("before-send.s3", note)
    bucket = Bucket(connection, "models", "p")
    for send in (lambda: bucket.put("k", content()), lambda: bucket.upload_part("k", "id", 1, content())):
        with pytest.raises(StoreUnavailable, match="far enough"):
            send()
    assert set(sent) == {UNSIGNED}
    with pytest.raises(StoreUnavailable, match="far enough"):
        bucket.put("k", b"a reference")
    assert sent[-1] == hashlib.sha256(b"a reference").hexdigest()


class Picky(BaseHTTPRequestHandler):
    """A server that refuses what `refuses` matches of X-Amz-Content-SHA256."""

    protocol_version = "HTTP/1.1"
    refuses: ClassVar[re.Pattern[str]]
    status: ClassVar[int] = 403
    seen: ClassVar[list[tuple[str, bytes, str | None]]]

    def do_PUT(self) -> None:
        digest = self.headers["X-Amz-Content-SHA256"]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((digest, body, self.headers["Expect"]))
        self.send_response(self.status if self.refuses.fullmatch(digest) else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def picky(refuses: str, status: int = 403) -> Iterator[tuple[Bucket, list[tuple[str, bytes, str | None]]]]:
    """A bucket of such a server, and what it was sent."""
    handler = type("Handler", (Picky,), {"refuses": re.compile(refuses), "status": status, "seen": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with S3Server(f"http://127.0.0.1:{server.server_port}").as_environment():
            bucket = Bucket(connect(None, "path"), "models", "p")
        yield bucket, handler.seen  # type: ignore[attr-defined] # made above
        server.shutdown()


@pytest.mark.parametrize("status", [400, 401, 403, 501])
def test_a_server_that_wants_bodies_signed_gets_them_so_from_then_on(status: int) -> None:
    with picky(UNSIGNED, status) as (bucket, seen):
        bucket.put("k", content())
        bucket.upload_part("k", "id", 1, content())
    assert [digest for digest, _, _ in seen] == [UNSIGNED, SIGNED, SIGNED]
    assert {body for _, body, _ in seen} == {ALL}


def test_what_is_refused_with_a_signature_too_changes_nothing() -> None:
    with picky(".*") as (bucket, seen):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="403"):
                bucket.put("k", content())
    assert [digest for digest, _, _ in seen] == [UNSIGNED, SIGNED] * 2


def test_a_body_is_sent_at_once_and_whole_and_may_be_sent_again() -> None:
    with picky("nothing") as (bucket, seen):
        body = content()
        bucket.put("k", body)
        part = bucket.upload_part("k", "id", 1, body)
        bucket.put("k", Body())
    assert [sent for _, sent, _ in seen] == [ALL, ALL, b""]
    assert [expect for _, _, expect in seen] == [None, None, None]
    assert part.etag == f'"{hashlib.md5(ALL, usedforsecurity=False).hexdigest()}"'  # of a server that tells none


def test_a_body_begins_anew_or_is_at_its_end() -> None:
    body = content()
    assert len(body) == len(ALL)
    assert (body.read(), body.read(1), body.tell()) == (CONTENT, b"abcd", len(CONTENT) + 4)
    assert (body.seek(0, 2), body.read(), body.tell()) == (len(ALL), b"", len(ALL))
    assert (body.seek(0), body.read(), body.tell()) == (0, CONTENT, len(CONTENT))
    with pytest.raises(ValueError, match="from 5 on"):
        body.seek(5)
