"""Parts that are sent without botocore: as it sends them, while all goes well, and by it as soon as it does not."""

from __future__ import annotations

import http.server
import secrets
import socket
from calendar import timegm
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Lock, Thread
from time import strptime
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.blobs.s3.answers import KeyMissing
from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.connection import Addressing, connect
from modelyard.blobs.s3.parts import FAILURES, Example
from modelyard.blobs.s3.plain_answer import MOST_BYTES, PlainAnswer
from modelyard.blobs.store import StoreUnavailable
from tests.e2e.between import between, certificate_in
from tests.s3 import S3Server

CONTENT = bytes(range(256)) * 1024
GOOD = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'
CHUNKED = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
LAST = b'HTTP/1.0 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 40\r\n\r\n<Error><Code>NoSuchUpload</Code></Error>"


@dataclass
class Line:
    """A connection that a server took, and what came on it."""

    puts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


class Scripted(http.server.ThreadingHTTPServer):
    """Answers each PUT by the next of `answers`, by hanging up where that is empty, and with `GOOD` behind the last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[bytes] = []
        self.lines: list[Line] = []
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def numbers(self) -> list[int]:
        """Of the parts that came."""
        return [int(path.partition("partNumber=")[2].partition("&")[0]) for path, _, _ in self.puts]

    @property
    def puts(self) -> list[tuple[str, dict[str, str], bytes]]:
        return [put for line in self.lines for put in line.puts]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def setup(self) -> None:
        super().setup()
        self.line = Line()
        self.server.lines.append(self.line)

    def do_PUT(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.line.puts.append((self.path, headers, self.rfile.read(int(headers["content-length"]))))
        with self.server.lock:
            answer = self.server.answers.pop(0) if self.server.answers else GOOD
        self.wfile.write(answer)
        self.close_connection = answer != CHUNKED and (answer == LAST or b"Content-Length" not in answer)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@dataclass
class Sending:
    """A bucket, and what botocore has sent to it."""

    bucket: Bucket
    by_botocore: list[Any] = field(default_factory=list)

    def part(self, number: int) -> str:
        """Send a part; its ETag."""
        return self.bucket.upload_part("data/k", "an id", number, Body(CONTENT)).etag

    def count(self) -> int:
        """Requests by botocore since it was last asked."""
        count = len(self.by_botocore)
        self.by_botocore.clear()
        return count


def sending(server: str | S3Server, addressing: Addressing = "path", prefix: str = "p", token: str = "") -> Sending:
    with (
        pytest.MonkeyPatch.context() as patch,
        (S3Server(server) if isinstance(server, str) else server).as_environment(),
    ):
        if token:
            patch.setenv("AWS_SESSION_TOKEN", token)
        connection = connect(None, addressing)
    found = Sending(Bucket(connection, "models", prefix))

    def note(request: Any, **_more: object) -> None:
        found.by_botocore.append(request)

    connection.client.meta.events.register("before-send.s3", note)
    return found


@pytest.fixture
def sent(server: Scripted) -> Sending:
    return sending(server.url)


def test_what_follows_a_part_is_sent_as_it_was(server: Scripted, sent: Sending) -> None:
    assert [sent.part(number) for number in (1, 2, 3)] == ['"e"'] * 3
    assert sent.count() == 1
    assert len(server.lines) == 1  # which is botocore's
    (first, *others) = server.puts
    for number, (path, headers, body) in enumerate(others, 2):
        assert sorted(path.partition("?")[2].split("&")) == [f"partNumber={number}", "uploadId=an%20id"]
        assert path.partition("?")[0] == first[0].partition("?")[0]
        assert body == CONTENT
        assert {name for name in first[1] if not name.startswith(("amz-sdk", "accept"))} == headers.keys()
        for same in ("host", "user-agent", "content-length", "x-amz-content-sha256"):
            assert headers[same] == first[1][same]


@pytest.mark.parametrize("token", ["", "a/temporary+one=="])
@pytest.mark.parametrize("prefix", ["p", "a b/ü~+%/c"])
@pytest.mark.parametrize("endpoint", ["http://s3.example.com:9000", "https://s3.example.com"])
@pytest.mark.parametrize("addressing", ["path", "virtual"])
def test_a_part_is_signed_as_botocore_signs_it(addressing: Addressing, endpoint: str, prefix: str, token: str) -> None:
    found = sending(endpoint, addressing, prefix, token)
    client = found.bucket._client

    def stop(**_more: object) -> None:
        raise OSError("far enough")

    client.meta.events.register_last("before-send.s3", stop)
    with pytest.raises(StoreUnavailable, match="far enough"):
        found.bucket.upload_part("data/k~", "an/id+ü~=", 17, Body(CONTENT))
    (request,) = found.by_botocore
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    example = Example.of(request, f"{prefix}/data/k~")
    assert example is not None
    moment = timegm(strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    credentials = found.bucket._connection.credentials.get_frozen_credentials()
    head = example.head(credentials, f"{prefix}/data/k~", "an/id+ü~=", 17, len(CONTENT), moment).decode()
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    ours = dict(each.split(": ", 1) for each in fields)
    assert ours.pop("host") == request.url.split("/")[2]
    assert ours.items() <= headers.items()
    assert ours["authorization"] == headers["authorization"]
    method, target, _version = line.split(" ")
    path, _, query = target.partition("?")
    theirs = request.url.partition("?")
    assert (method, request.url.split("://")[1].partition("?")[0]) == ("PUT", f"{request.url.split('/')[2]}{path}")
    assert sorted(query.split("&")) == sorted(theirs[2].split("&"))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", id="503"),
        pytest.param(b"HTTP/1.1 307 Elsewhere\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", id="307"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<Error>", id="an error that is 200"),
        pytest.param(b"", id="no answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no end told"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="cut"),
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="a length that is none"),
    ],
)
def test_what_does_not_go_well_is_sent_once_more_by_botocore(server: Scripted, sent: Sending, answer: bytes) -> None:
    sent.part(1)
    server.answers.append(answer)
    assert [sent.part(number) for number in (2, 3)] == ['"e"'] * 2
    assert sorted(server.numbers) == [1, 2, 2, 3]
    assert sent.count() == 2  # the first and the second: the third follows the second
    assert {body for _, _, body in server.puts} == {CONTENT}


def test_a_server_with_which_it_never_goes_well_is_left_to_botocore(server: Scripted, sent: Sending) -> None:
    bad = b"HTTP/1.1 200 OK\r\n\r\n"
    server.answers = [GOOD, *[bad, GOOD] * FAILURES]
    for number in range(1, FAILURES + 5):
        assert sent.part(number) == '"e"'
    assert sent.count() == FAILURES + 4
    assert len(server.puts) == 2 * FAILURES + 4


def test_parts_that_fail_together_are_one_failure(server: Scripted, sent: Sending) -> None:
    sent.part(1)
    held = [Barrier(FAILURES + 1), Barrier(FAILURES + 1)]

    def send(number: int) -> None:
        body = _Held(CONTENT)
        body.held = held
        sent.bucket.upload_part("data/k", "an id", number, body)

    server.answers = [b""] * (FAILURES + 1)
    with ThreadPoolExecutor(FAILURES + 1) as threads:
        list(threads.map(send, range(2, FAILURES + 3)))
    assert sent.count() == FAILURES + 2
    sent.part(100)
    assert sent.count() == 0


class _Held(Body):
    """Is sent once all others are about to be."""

    held: list[Barrier]

    def __iter__(self) -> Iterator[Any]:
        self.held[0].wait(10)
        yield from super().__iter__()

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset == 0 and self.request is None and not self.began:
            self.began = True
            self.held[1].wait(10)  # until all others have failed as well
        return super().seek(offset, whence)

    began = False


def test_a_failure_now_and_then_changes_nothing(server: Scripted, sent: Sending) -> None:
    server.answers = [GOOD, *[LAST[:5], GOOD, GOOD] * (FAILURES + 2)]
    for number in range(1, 2 * (FAILURES + 2) + 2):
        sent.part(number)
    assert sent.count() == FAILURES + 3
    sent.part(100)
    assert sent.count() == 0


def test_an_upload_that_was_aborted_is_missing(server: Scripted, sent: Sending) -> None:
    sent.part(1)
    server.answers = [MISSING, MISSING]
    with pytest.raises(KeyMissing):
        sent.part(2)


@pytest.mark.parametrize("answer", [CHUNKED, LAST])
def test_answers_of_other_kinds_are_as_good(server: Scripted, sent: Sending, answer: bytes) -> None:
    server.answers = [GOOD, answer, answer]
    assert [sent.part(number) for number in (1, 2, 3)] == ['"e"'] * 3
    assert sent.count() == 1
    assert len(server.lines) == (2 if answer is LAST else 1)


def test_a_part_without_an_etag_has_the_usual_one(server: Scripted, sent: Sending) -> None:
    server.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] * 2
    assert sent.part(1) == sent.part(2) != '"e"'
    assert sent.count() == 1


def test_an_idle_connection_that_was_closed_is_made_anew(server: Scripted, sent: Sending) -> None:
    server.answers = [LAST]
    assert [sent.part(1), sent.part(2)] == ['"e"'] * 2
    assert (sent.count(), len(server.lines)) == (1, 2)


def test_parts_by_a_proxy_are_botocores(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    sent = sending("http://s3.example.com")
    assert [sent.part(1), sent.part(2)] == ['"e"'] * 2
    assert sent.count() == 2


def test_certificates_are_held_to_as_botocore_does(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    trusted, other = certificate_in(tmp_path), certificate_in(tmp_path / "other")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
    with between(server.url, trusted) as proxy:
        sent = sending(proxy.url)
        assert [sent.part(1), sent.part(2)] == ['"e"'] * 2
        assert sent.count() == 1
        _close_idle(sent)
        assert (sent.part(3), sent.count()) == ('"e"', 0)
        _close_idle(sent)
        proxy.socket.context.load_cert_chain(other)  # type: ignore[attr-defined] # of TLS
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            sent.part(4)
    assert server.numbers == [1, 2, 3]


def _close_idle(sent: Sending) -> None:
    """Close the one connection that is kept."""
    assert sent.bucket._parts._following is not None
    _example, pool = sent.bucket._parts._following
    connection = pool._get_conn()
    connection.close()
    pool._put_conn(connection)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": "x"},
        {"X-Amz-Checksum-Crc32": "x"},
        {"X-Amz-Content-SHA256": "0" * 64},
        {"Authorization": "AWS4-ECDSA-P256-SHA256 Credential=x, SignedHeaders=host, Signature=x"},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host;content-md5, Signature=x"},
    ],
)
def test_a_request_with_more_to_it_is_no_example(sent: Sending, headers: dict[str, str]) -> None:
    sent.part(1)
    (request,) = sent.by_botocore
    assert Example.of(request, "p/data/k") is not None
    assert Example.of(request, "p/data/other") is None
    for name, value in headers.items():
        request.headers[name] = value
    assert Example.of(request, "p/data/k") is None


def test_a_request_for_nobody_known_is_no_example(sent: Sending) -> None:
    sent.part(1)
    (request,) = sent.by_botocore
    asked = SimpleNamespace(headers=request.headers, url=request.url, context={})
    assert Example.of(asked, "p/data/k") is None


@pytest.mark.parametrize("name", ["swift", "s3rver"])
def test_a_server_that_verifies_signatures_takes_them(request: pytest.FixtureRequest, name: str) -> None:
    found = sending(request.getfixturevalue(name), prefix=f"a b/ü/{secrets.token_hex(8)}")
    upload = found.bucket.create_upload("data/k")
    found.count()
    parts = [found.bucket.upload_part("data/k", upload, number, Body(bytes(5 << 20))) for number in (1, 2, 3)]
    assert found.count() == 1
    found.bucket.complete_upload("data/k", upload, parts)
    assert found.bucket.head("data/k").size == 15 << 20


@pytest.mark.parametrize(
    ("answer", "pieces"),
    [(GOOD, 1), (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 9), (CHUNKED, 7)],
)
def test_an_answer_may_come_in_pieces(answer: bytes, pieces: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        step = -(-len(answer) // pieces)
        for begin in range(0, len(answer), step):
            theirs.sendall(answer[begin : begin + step])
        found = PlainAnswer.read(ours)
    assert found.is_success
    assert found.keeps_connection


def test_an_answer_that_is_too_long_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = Thread(target=theirs.sendall, args=(b"x" * (MOST_BYTES + 1),))
        thread.start()
        with pytest.raises(ValueError, match="too long"):
            PlainAnswer.read(ours)
        thread.join()
