"""Clients that keep a connection waiting, over a real socket: who is cut off, how, and who is not."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from modelyard.blobs.memory import MemoryBlobStore, MemoryBlobWriter
from modelyard.connection import slow_clients
from modelyard.connection.slow_clients import Patience, WatchedProtocol
from tests.live import LiveServer, running
from tests.raw import Answer, put_head, read_answer
from tests.waiting import eventually

BODY_DID_NOT_COME = {"message": "408 Request Timeout - The request body did not come"}
HEAD_DID_NOT_COME = {"message": "408 Request Timeout - The request head did not come"}
LARGE = bytes(6 * 1024 * 1024)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that waits for a second at most, and thinks 1 KiB/s slow."""
    with running(tmp_path_factory.mktemp("impatient"), head_timeout=1, stall_timeout=1) as live:
        yield live


@pytest.fixture(scope="module")
def files(impatient: LiveServer) -> str:
    """The files of a version, below the API's base."""
    with impatient.client(impatient.root_token) as client:
        project = client.post("/projects", json={"name": "slow"}).json()["id"]
        mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        client.post(f"{mlflow}/registered-models/create", json={"name": "m"})
        version = client.post(f"{mlflow}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"


def dribble(connection: socket.socket, pieces: Iterator[bytes], pause: float = 0.05) -> Answer:
    """Send piece after piece until the server answers."""
    answered = threading.Event()

    def send() -> None:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                return
            if answered.wait(pause):
                return

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return read_answer(connection)
    finally:
        answered.set()
        sender.join()


def ended(connection: socket.socket) -> bool:
    """Whether the server closes without another byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_head_that_dribbles_in_is_answered_408(impatient: LiveServer) -> None:
    with impatient.connect() as connection:
        head = itertools.chain([b"GET /api/v4/version HTTP/1.1\r\nX: "], itertools.repeat(b"x"))
        answer = dribble(connection, head)
        assert (answer.status, answer.json(), answer.headers["Connection"]) == (408, HEAD_DID_NOT_COME, "close")
        assert len(answer.headers["X-Request-Id"]) == 32
        assert ended(connection)


def test_so_is_the_head_of_a_second_request(impatient: LiveServer) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /-/liveness HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(connection).status == 200
        connection.sendall(b"GET /-/liv")
        assert read_answer(connection).json() == HEAD_DID_NOT_COME


def test_a_connection_without_a_request_is_closed_without_a_word(impatient: LiveServer) -> None:
    with impatient.connect() as connection:
        assert ended(connection)


def test_empty_lines_keep_no_connection_open(impatient: LiveServer) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /-/liveness HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(connection).status == 200
        connection.sendall(b"\r\n")
        assert ended(connection)


def test_an_upload_that_stalls_is_answered_408_and_leaves_nothing(impatient: LiveServer, files: str) -> None:
    length, form = "Content-Length: 3000000", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    stalled = [
        ((length,), b""),
        ((length, "Expect: 100-continue"), b""),
        ((length, "Content-Type: multipart/form-data; boundary=b"), form),
        (("Transfer-Encoding: chunked",), b"2dc6c0\r\n"),
    ]
    with ExitStack() as stack:
        connections = [stack.enter_context(impatient.connect()) for _ in stalled]
        for connection, (headers, begun) in zip(connections, stalled, strict=True):
            connection.sendall(put_head(impatient, f"{files}/stalled", *headers) + begun + bytes(2_000_000))
            eventually(lambda: impatient.incoming() != [])
        for connection in connections:
            answer = read_answer(connection)
            assert (answer.status, answer.json()) == (408, BODY_DID_NOT_COME)
            assert ended(connection)
    eventually(lambda: impatient.incoming() == [])
    with impatient.client(impatient.root_token) as client:
        assert client.get(f"{files}/stalled").status_code == 404


def test_an_upload_that_stalls_is_logged_as_it_was_answered(impatient: LiveServer, files: str) -> None:
    head = put_head(impatient, f"{files}/stalled", "Content-Length: 3000000", "X-Request-Id: the-stalled-one")
    with capture_logs() as lines, impatient.connect() as connection:
        connection.sendall(head + bytes(100_000))
        assert read_answer(connection).headers["X-Request-Id"] == "the-stalled-one"
        eventually(lambda: any(line["event"] == "request" for line in lines))
    told = {line["event"]: line for line in lines}
    assert told["client timed out"]["request_id"] == "the-stalled-one"
    assert told["request"]["status"] == 408


def test_a_client_that_was_told_to_continue_and_does_not_is_answered_408(impatient: LiveServer, files: str) -> None:
    with impatient.connect() as connection:
        connection.sendall(put_head(impatient, f"{files}/silent", "Content-Length: 1", "Expect: 100-continue"))
        assert read_answer(connection).json() == BODY_DID_NOT_COME


def test_an_upload_below_the_least_rate_is_answered_408(impatient: LiveServer, files: str) -> None:
    with impatient.connect() as connection:
        head = put_head(impatient, f"{files}/trickle", "Content-Length: 3000000")
        answer = dribble(connection, itertools.chain([head], itertools.repeat(b"0123456789")))
        assert (answer.status, answer.json()) == (408, BODY_DID_NOT_COME)


def test_other_bodies_are_timed_as_well(impatient: LiveServer) -> None:
    head = f"POST /api/v4/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.root_token}\r\n"
    with impatient.connect() as connection:
        connection.sendall(head.encode() + b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
        assert read_answer(connection).json() == BODY_DID_NOT_COME


@pytest.mark.parametrize("kernel_tells", [True, False])
def test_a_slow_upload_takes_all_the_time_it_needs(
    impatient: LiveServer, files: str, monkeypatch: pytest.MonkeyPatch, kernel_tells: bool
) -> None:
    monkeypatch.setattr(slow_clients, "_KERNEL_TELLS", kernel_tells)
    with impatient.connect() as connection:
        head = put_head(impatient, f"{files}/steady", f"Content-Length: {12 * 1024}")
        answer = dribble(connection, itertools.chain([head], [bytes(1024)] * 12), pause=0.2)
        assert answer.status == 201


def test_the_rest_of_a_refused_body_is_not_awaited_forever(impatient: LiveServer, files: str) -> None:
    with impatient.connect() as connection:
        head = put_head(impatient, f"{files}/..", "Content-Length: 3000000")
        connection.sendall(head)
        assert read_answer(connection).status == 400
        assert ended(connection)


@pytest.mark.parametrize("kernel_tells", [True, False])
def test_a_reader_who_does_not_read_is_cut_off(
    impatient: LiveServer, files: str, monkeypatch: pytest.MonkeyPatch, kernel_tells: bool
) -> None:
    monkeypatch.setattr(slow_clients, "_KERNEL_TELLS", kernel_tells)
    with small_window(impatient, files) as connection:
        time.sleep(2.5)
        assert drained(connection) < len(LARGE)


def test_a_slow_reader_gets_all_of_it(impatient: LiveServer, files: str) -> None:
    with small_window(impatient, files) as connection:
        assert drained(connection, pause=0.03) > len(LARGE)


def small_window(server: LiveServer, files: str) -> socket.socket:
    """A connection over which a large file comes, with little room for it on this side."""
    with server.client(server.root_token) as client:
        assert client.put(f"{files}/large", content=LARGE).status_code == 201
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    head = put_head(server, f"{files}/large", "Connection: close")
    connection.sendall(head.replace(b"PUT", b"GET", 1))
    return connection


def drained(connection: socket.socket, pause: float = 0.0) -> int:
    """Bytes that come until the connection ends."""
    total = 0
    try:
        while block := connection.recv(65536):
            total += len(block)
            time.sleep(pause)
    except ConnectionResetError:
        pass
    return total


class _SlowWriter(MemoryBlobWriter):
    def _publish(self, digest: str) -> None:
        time.sleep(2.5)
        super()._publish(digest)


class _SlowStore(MemoryBlobStore):
    def begin(self) -> MemoryBlobWriter:
        return _SlowWriter(self)


def test_nobody_is_cut_off_because_the_server_is_slow(tmp_path: Path) -> None:
    with (
        running(tmp_path, _SlowStore(), head_timeout=1, stall_timeout=1) as live,
        live.client(live.root_token) as client,
    ):
        project = client.post("/projects", json={"name": "p"}).json()["id"]
        new_run = f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create"
        info = client.post(new_run, json={"experiment_id": "0"}).json()["run"]["info"]
        iid = info["artifact_uri"].rpartition(":")[2]
        url = f"/projects/{project}/packages/ml_models/candidate:{iid}/files/f"
        assert client.put(url, content=bytes(100)).status_code == 201


def test_too_many_connections_are_turned_away_with_503(tmp_path: Path) -> None:
    with running(tmp_path, max_connections=3) as live:
        held: list[socket.socket] = []

        def hold_another() -> bool:
            """Whether there was room; connections that were closed before may not have been noticed yet."""
            held.append(live.connect())
            held[-1].sendall(b"GET /-/liveness HTTP/1.1\r\nHost: x\r\n\r\n")
            if read_answer(held[-1]).status == 200:
                return True
            held.pop().close()
            return False

        for _ in range(3):
            eventually(hold_another)
        with live.connect() as another:
            another.sendall(b"GET /-/liveness HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = read_answer(another)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert answer.json() == {"message": "503 Service Unavailable - Too many connections"}
            assert ended(another)
        held.pop().close()
        eventually(lambda: httpx2.get(f"{live.url}/-/liveness").status_code == 200)
        for connection in held:
            connection.close()


def test_without_limits_nobody_is_timed(tmp_path: Path) -> None:
    with running(tmp_path, head_timeout=0, stall_timeout=0, max_connections=0) as live, live.connect() as connection:
        connection.sendall(b"GET /-/liv")
        time.sleep(1.5)
        connection.sendall(b"eness HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(connection).status == 200


def test_one_broken_connection_does_not_keep_the_others_from_being_watched(
    impatient: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WatchedProtocol, "_owed", lambda _connection: 1 / 0)
    with impatient.connect():
        time.sleep(0.6)
    monkeypatch.undo()
    with impatient.connect() as connection:
        assert ended(connection)


def test_bytes_earn_time_at_the_least_rate() -> None:
    assert Patience(30, 60, 1000).earned(2500) == 2.5
    assert Patience(30, 60, 0).earned(1) == 60
    assert Patience(30, 60, 0).earned(0) == 0
