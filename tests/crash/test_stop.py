"""SIGTERM: what is under way ends well or is refused, what was acknowledged stays, and nothing new is begun."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.crash.contents import MIB
from tests.crash.verify import errors_logged
from tests.e2e.processes import ServerProcess, new_version, serving, slowly, together

pytestmark = pytest.mark.slow

CONTENT = os.urandom(10 * MIB)


@contextmanager
def request(server: ServerProcess, client: httpx2.Client, head: str) -> Iterator[socket.socket]:
    """A connection on which a request was sent, but perhaps for its body."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        token = client.headers["authorization"]
        connection.sendall(f"{head}\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        yield connection


def read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    while block := connection.recv(MIB):
        received += block
    return bytes(received)


def stop(server: ServerProcess) -> None:
    server.process.send_signal(signal.SIGTERM)


def refuses_connections(server: ServerProcess) -> bool:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_transfers_under_way_end_well_and_nothing_new_begins(tmp_path: Path, workers: str) -> None:
    """A slow upload, a slow download, and a keep-alive connection on which nothing is under way."""
    with serving(tmp_path, "--workers", workers) as server, server.client as client:
        files = new_version(client)
        assert client.put(f"{files}/kept", content=CONTENT).status_code == 201
        begun, answers = threading.Event(), list[int]()

        def upload() -> None:
            with server.client as other:
                answers.append(other.put(f"{files}/slow", content=slowly(CONTENT, 0.1, begun)).status_code)

        uploader = threading.Thread(target=upload)
        with request(server, client, f"GET /api/v4{files}/kept HTTP/1.1") as download:
            head = download.recv(1000)
            uploader.start()
            assert begun.wait(30)
            stop(server)
            assert refuses_connections(server)
            socket.create_server(("127.0.0.1", server.port)).close()  # a successor need not wait
            received = head + read_all(download)
        uploader.join()
        assert server.process.wait(30) == 0
    assert received.endswith(CONTENT[-1000:])
    assert len(received.partition(b"\r\n\r\n")[2]) == len(CONTENT)
    assert answers == [201]
    assert errors_logged((tmp_path / "server.log").read_text()) == []
    with serving(tmp_path) as server, server.client as client:
        for name in ("kept", "slow"):
            assert client.get(f"{files}/{name}").content == CONTENT


def test_many_fast_transfers_are_acknowledged_and_kept_or_refused(tmp_path: Path) -> None:
    acknowledged: dict[str, bytes] = {}
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        started = threading.Barrier(9)

        def upload(worker: int) -> None:
            started.wait(30)
            with server.client as other:
                for number in range(10_000):
                    name, content = f"{worker}-{number}", os.urandom(20_000)
                    try:
                        answer = other.put(f"{files}/{name}", content=content)
                    except httpx2.TransportError:
                        return
                    assert answer.status_code == 201
                    acknowledged[name] = content

        def end(worker: int) -> None:
            if worker == 8:
                started.wait(30)
                while len(acknowledged) < 20:
                    time.sleep(0.01)
                stop(server)
                assert server.process.wait(30) == 0
            else:
                upload(worker)

        together(end, 9)
    assert acknowledged
    assert errors_logged((tmp_path / "server.log").read_text()) == []
    with serving(tmp_path) as server, server.client as client:
        for name, content in acknowledged.items():
            assert client.get(f"{files}/{name}").content == content


def test_a_stop_waits_no_longer_than_its_limit(tmp_path: Path) -> None:
    """Who sends or reads too slowly is told so, or cut short of the Content-Length; nothing of it stays."""
    (tmp_path / ".env").write_text("MODELYARD_SHUTDOWN_TIMEOUT=1\n")
    content = CONTENT * 4
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        assert client.put(f"{files}/kept", content=content).status_code == 201
        with (
            request(server, client, f"PUT /api/v4{files}/stalled HTTP/1.1\r\nContent-Length: 9000000") as upload,
            request(server, client, f"GET /api/v4{files}/kept HTTP/1.1") as download,
        ):
            upload.sendall(bytes(3 * MIB))
            received = download.recv(1000)
            time.sleep(0.5)
            stop(server)
            assert server.process.wait(30) == 0
            answer, received = read_all(upload), received + read_all(download)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body) == {"message": "503 Service Unavailable"}
    assert f"content-length: {len(content)}".encode() in received
    assert len(received.partition(b"\r\n\r\n")[2]) < len(content)
    assert list((tmp_path / "data" / "blobs" / "incoming").iterdir()) == []
