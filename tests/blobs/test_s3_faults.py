"""The store in a bucket when the server, or the way to it, fails."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.credentials import Credentials

from modelyard.blobs.s3.answers import KeyMissing
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.connection import Connection, connect
from modelyard.blobs.s3.reader import OPENING_BYTES, scan
from modelyard.blobs.s3.store import S3BlobStore
from modelyard.blobs.store import BlobError, StoreFull, StoreUnavailable
from tests.s3 import BUCKET, S3Server

from .tools import DIGEST, put

CONTENT = bytes(range(256)) * 4096  # 1 MiB
REFERENCE = json.dumps({"data": "a" * 32, "size": len(CONTENT)}).encode()


class FaultyServer(ThreadingHTTPServer):
    """Answers every PUT and DELETE with `status`, and gives one blob, whose first `cuts` streams end too early."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.code = "Any"
        self.cuts = 0
        self.first_cut = OPENING_BYTES
        self.streams = self.connections = 0
        self.hangs = False  # where a stream is cut, nothing comes any more, and the connection stays
        self.over = threading.Event()

    def store(self) -> S3BlobStore:
        return S3BlobStore(self.bucket())

    def bucket(self) -> Bucket:
        return S3Server(f"http://127.0.0.1:{self.server_port}").bucket("faults")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.server.status, f"<Error><Code>{self.server.code}</Code></Error>".encode())

    def do_GET(self) -> None:
        if "/sha256/" in self.path:
            self._answer(200, REFERENCE)
            return
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        body = CONTENT[first : last + 1]
        cut = first >= self.server.first_cut and self.server.cuts > 0
        self.server.streams += 1
        self.server.cuts -= cut
        self._answer(206, body, f"bytes {first}-{last}/{len(CONTENT)}", len(body) // 2 if cut else len(body))

    def _answer(self, status: int, body: bytes, content_range: str | None = None, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body[:sent])
        if sent is not None and sent < len(body) and self.server.hangs:
            self.server.over.wait(30)
        self.close_connection = sent not in (None, len(body))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_stream_that_breaks_is_taken_up_again(faulty: FaultyServer, cuts: int) -> None:
    faulty.cuts = cuts
    with faulty.store().open(DIGEST) as reader:
        assert reader.read(0, len(CONTENT)) == CONTENT
    assert faulty.streams == 2 + cuts


@pytest.mark.parametrize("cuts", [0, 1, 2])
def test_a_stream_that_breaks_as_it_is_sent_is_taken_up_again(faulty: FaultyServer, cuts: int) -> None:
    faulty.cuts, sent, received = cuts, 0, bytearray()
    ours, theirs = socket.socketpair()
    with ours, theirs, faulty.store().open(DIGEST) as reader:
        while sent < len(CONTENT):
            sent += reader.send(ours.fileno(), sent, 64 * 1024)
            while len(received) < sent:
                received += theirs.recv(sent)
    assert received == CONTENT
    assert (faulty.cuts, faulty.connections) == (0, 1 + cuts)  # one is used until it breaks


def test_a_stream_that_breaks_each_time_it_is_sent_is_given_up(faulty: FaultyServer) -> None:
    faulty.cuts = 1000
    ours, theirs = socket.socketpair()

    def send(position: int) -> None:
        while position < len(CONTENT):  # of which each stream gives half of what is missing, but never the last byte
            position += reader.send(ours.fileno(), position, 64 * 1024)
            theirs.recv(64 * 1024)

    with ours, theirs, faulty.store().open(DIGEST) as reader, pytest.raises(StoreUnavailable):
        send(OPENING_BYTES)


def test_a_storage_that_falls_silent_as_it_is_sent_is_given_up(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.cuts, faulty.hangs = 1000, True
    monkeypatch.setattr("modelyard.blobs.s3.connection.SILENCE_SECONDS", 0.2)
    ours, theirs = socket.socketpair()
    sent = [OPENING_BYTES]

    def send() -> None:
        while sent[-1] < len(CONTENT):
            sent.append(sent[-1] + reader.send(ours.fileno(), sent[-1], 64 * 1024))
            theirs.recv(64 * 1024)

    with ours, theirs, faulty.store().open(DIGEST) as reader, pytest.raises(StoreUnavailable, match="Timeout"):
        send()
    assert OPENING_BYTES < sent[-1] < len(CONTENT)


def test_a_stream_that_breaks_each_time_is_given_up(faulty: FaultyServer) -> None:
    faulty.cuts = 1000
    with faulty.store().open(DIGEST) as reader, pytest.raises(StoreUnavailable):
        reader.read(0, len(CONTENT))


def test_a_scan_takes_broken_streams_up_again_too(faulty: FaultyServer) -> None:
    faulty.cuts, faulty.first_cut = 2, 0
    with ThreadPoolExecutor(2) as pool:
        assert b"".join(scan(faulty.bucket(), pool, f"data/{'a' * 32}", len(CONTENT))) == CONTENT


def test_data_that_vanishes_is_not_asked_for_again(moto: S3Server) -> None:
    store = moto.store("vanishing")
    digest = put(store, CONTENT)
    with store.open(digest) as reader:
        (data,) = (key for key in moto.keys("vanishing") if key.startswith("data/"))
        moto.client().delete_object(Bucket=BUCKET, Key=f"vanishing/{data}")
        with pytest.raises(KeyMissing):
            reader.read(0, len(CONTENT))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (507, "InsufficientStorage", StoreFull),
        (403, "QuotaExceeded", StoreFull),
        (403, "AccessDenied", StoreUnavailable),
        (404, "NoSuchBucket", StoreUnavailable),
    ],
)
def test_what_the_server_refuses_has_the_kind_of_its_cause(
    faulty: FaultyServer, status: int, code: str, kind: type[BlobError]
) -> None:
    faulty.status, faulty.code = status, code
    store = faulty.store()
    uses: list[Callable[[], object]] = [store.probe, lambda: put(store)]
    for use in uses:
        with pytest.raises(BlobError) as refusal:
            use()
        assert type(refusal.value) is kind


def test_a_bucket_that_does_not_exist_is_unavailable_and_not_empty(moto: S3Server) -> None:
    store = S3BlobStore(Bucket(_connection(moto), "no-such-bucket", ""))
    uses: list[Callable[[], object]] = [
        store.probe,
        lambda: store.open(DIGEST),
        lambda: store.stat(DIGEST),
        lambda: list(store.list()),
        lambda: list(store.leftovers()),
    ]
    for use in uses:
        with pytest.raises(BlobError) as refusal:
            use()
        assert type(refusal.value) is StoreUnavailable


def test_a_server_that_is_away_is_unavailable() -> None:
    with _nobody() as endpoint, pytest.raises(StoreUnavailable, match="EndpointConnectionError"):
        S3Server(endpoint).store("x").stat(DIGEST)


@pytest.mark.parametrize("token", [None, "temporary"])
def test_only_lasting_credentials_have_a_secret_to_sign_with(token: str | None) -> None:
    assert Connection(None, None).secret() is None
    secret = Connection(None, Credentials("key", "a-secret", token)).secret()
    assert secret == (None if token else b"a-secret")


def _connection(server: S3Server) -> Connection:
    with server.as_environment():
        return connect(None, "path")


@contextmanager
def _nobody() -> Iterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
