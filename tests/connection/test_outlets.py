"""Large files that go from the page cache to the socket: the same answers as ever, whatever happens on the way."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from modelyard.blobs._posix import send_at
from modelyard.wire.send import DIRECT_BYTES, PIECE_BYTES
from tests.live import LiveServer, running
from tests.raw import put_head, read_answer
from tests.waiting import eventually

ROOT = "root"
MIB = 1 << 20
LARGE = os.urandom(MIB) * 18 + b"the end"
Send = Callable[[int, int, int, int], int]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the way past the transport is opened on Linux alone")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("outlets")) as server:
        yield server


@pytest.fixture(scope="module")
def files(live: LiveServer) -> str:
    """The files of a version, below the API's base, with a large one among them."""
    with live.client(live.root_token) as client:
        project = client.post("/projects", json={"name": "large"}).json()["id"]
        mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        client.post(f"{mlflow}/registered-models/create", json={"name": "m"})
        version = client.post(f"{mlflow}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
        found = f"/projects/{project}/packages/ml_models/{version}/files"
        assert client.put(f"{found}/large", content=LARGE).status_code == 201
    return found


@pytest.fixture
def root(live: LiveServer) -> Iterator[httpx2.Client]:
    with live.client(live.root_token) as client:
        yield client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each piece that the thread sent."""
    calls: list[int] = []

    def noted(out: int, file: int, offset: int, count: int) -> int:
        size = send_at(out, file, offset, count)
        calls.append(size)
        return size

    monkeypatch.setattr("modelyard.blobs.local.send_at", noted)
    return calls


def get_head(live: LiveServer, path: str, *headers: str) -> bytes:
    return put_head(live, path, *headers).replace(b"PUT", b"GET", 1)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_large_file_is_sent_by_the_thread_that_reads_it(root: httpx2.Client, files: str, sent: list[int]) -> None:
    assert len(LARGE) > PIECE_BYTES
    answer = root.get(f"{files}/large")
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(LARGE).digest()
    eventually(lambda: sum(sent) == len(LARGE))


@pytest.mark.parametrize("start", [0, 1, 5 * MIB + 3])
@pytest.mark.parametrize("length", [DIRECT_BYTES - 1, DIRECT_BYTES, 3 * MIB + 1])
def test_a_range_goes_so_if_it_is_large(
    root: httpx2.Client, files: str, sent: list[int], start: int, length: int
) -> None:
    answer = root.get(f"{files}/large", headers={"Range": f"bytes={start}-{start + length - 1}"})
    assert (answer.status_code, answer.content) == (206, LARGE[start : start + length])
    eventually(lambda: sum(sent) == (length if length >= DIRECT_BYTES else 0))


def test_several_ranges_stand_between_their_heads(root: httpx2.Client, files: str, sent: list[int]) -> None:
    ranges = ((0, 2 * MIB), (3 * MIB, 3 * MIB + 9), (7 * MIB, 9 * MIB))
    asked = ",".join(f"{start}-{stop - 1}" for start, stop in ranges)
    answer = root.get(f"{files}/large", headers={"Range": f"bytes={asked}"})
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n")[2][:-2] for part in answer.content.split(b"--" + boundary)[1:-1]]
    assert parts == [LARGE[start:stop] for start, stop in ranges]
    eventually(lambda: sum(sent) == 4 * MIB)


def test_conditions_hold(root: httpx2.Client, files: str, sent: list[int]) -> None:
    url, some = f"{files}/large", {"Range": f"bytes=0-{2 * MIB - 1}"}
    etag = root.head(url).headers["etag"]
    assert root.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert root.get(url, headers={"If-Match": '"another"'}).status_code == 412
    assert root.get(url, headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
    assert sent == []
    assert root.get(url, headers=some | {"If-Range": etag}).content == LARGE[: 2 * MIB]
    assert root.get(url, headers=some | {"If-Range": '"another"'}).content == LARGE


def test_no_body_follows_where_only_the_head_was_asked_for(
    live: LiveServer, root: httpx2.Client, sent: list[int]
) -> None:
    """Of a route that knows only GET."""
    project = root.post("/projects", json={"name": "seen", "visibility": "public"}).json()["id"]
    root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    stored = root.put(f"/projects/{project}/packages/ml_models/candidate:1/files/large", content=LARGE)
    assert stored.status_code == 201
    page = (
        f"/{ROOT}/seen/-/ml/candidates/1/raw/large HTTP/1.1\r\nHost: 127.0.0.1:{live.port}\r\nConnection: close\r\n\r\n"
    )
    answers = {}
    for method in ("HEAD", "GET"):
        with live.connect() as connection:
            connection.sendall(f"{method} {page}".encode())
            answers[method] = b"".join(iter(lambda: connection.recv(MIB), b"")).partition(b"\r\n\r\n")
        assert answers[method][0].startswith(b"HTTP/1.1 200")
        assert f"content-length: {len(LARGE)}".encode() in answers[method][0].lower()
        length = len(LARGE) if method == "GET" else 0
        eventually(lambda expected=length: sum(sent) == expected)  # type: ignore[misc] # of the default
    assert (answers["HEAD"][2], answers["GET"][2]) == (b"", LARGE)


def test_answers_on_one_connection_follow_each_other(live: LiveServer, files: str) -> None:
    some, last = get_head(live, f"{files}/large", "Range: bytes=-7"), "Connection: close"
    with live.connect() as connection:
        connection.sendall(get_head(live, f"{files}/large") + some + get_head(live, f"{files}/large", last))
        answer = b"".join(iter(lambda: connection.recv(MIB), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert rest.startswith(LARGE)
    head, _, rest = rest[len(LARGE) :].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206")
    assert rest[:7] == LARGE[-7:]
    head, _, rest = rest[7:].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert rest == LARGE


def test_what_was_sent_is_counted(root: httpx2.Client, files: str) -> None:
    with capture_logs() as lines:
        root.get(f"{files}/large")
        root.get(f"{files}/large", headers={"Range": f"bytes=0-{2 * MIB - 1}"})
        eventually(lambda: len([line for line in lines if line["event"] == "request"]) == 2)
    assert [line["bytes"] for line in lines if line["event"] == "request"] == [len(LARGE), 2 * MIB]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO, errno.ENOSYS])
@pytest.mark.parametrize("after", [0, 1])
def test_what_cannot_be_sent_so_is_read(
    root: httpx2.Client, files: str, monkeypatch: pytest.MonkeyPatch, code: int, after: int
) -> None:
    calls: list[int] = []

    def failing(out: int, file: int, offset: int, count: int) -> int:
        calls.append(offset)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))
        return send_at(out, file, offset, count)

    monkeypatch.setattr("modelyard.blobs.local.send_at", failing)
    assert root.get(f"{files}/large").content == LARGE
    assert len(calls) > after


def test_without_a_descriptor_to_spare_a_file_is_read(
    root: httpx2.Client, files: str, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", refuse)
    answer = root.get(f"{files}/large")
    monkeypatch.undo()
    assert answer.content == LARGE
    assert sent == []


def test_a_client_that_leaves_costs_nothing_more(live: LiveServer, files: str) -> None:
    with live.client(live.root_token) as client:
        client.get(f"{files}/large")
    before = descriptors()
    for _ in range(5):
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.connect(("127.0.0.1", live.port))
            connection.sendall(get_head(live, f"{files}/large"))
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: descriptors() <= before)
    with live.connect() as connection:  # and the next one gets what is his
        connection.sendall(get_head(live, f"{files}/large"))
        assert read_answer(connection).body == LARGE
