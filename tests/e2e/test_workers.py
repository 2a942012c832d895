"""Several server processes on one port: how they share a registry, its numbers, connections and the address."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest
from uvicorn.config import STARTUP_FAILURE

from tests.e2e.processes import MIB, ServerProcess, launched, new_version, serving, slowly, together, wait_until_ready
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.slow

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it looks at the workers in /proc")


def test_several_workers_share_one_registry(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, server.client as client:
        files = new_version(client)

        def upload(i: int) -> None:
            with server.client as other:
                assert other.put(f"{files}/{i}", content=b"%d" % i).status_code == 201

        together(upload, 8)
        for i in range(8):
            assert client.get(f"{files}/{i}").content == b"%d" % i


@pytest.mark.once
@LINUX
def test_connections_are_spread_over_the_workers_and_wait_for_the_next_where_one_dies(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, ExitStack() as connections:
        workers = server.workers(2)
        eventually(lambda: _listening(server.port) == 2)
        time.sleep(0.5)  # until the connections are closed that asked whether the server is ready
        before = [_open_sockets(pid) for pid in workers]
        for _ in range(64):
            connections.enter_context(socket.create_connection(("127.0.0.1", server.port)))

        def taken() -> list[int]:
            return [_open_sockets(pid) - count for pid, count in zip(workers, before, strict=True)]

        eventually(lambda: sum(taken()) == 64)
        assert min(taken()) >= 12  # as good as certain among sockets of their own
        os.kill(workers[0], signal.SIGKILL)
        for _ in range(16):
            assert httpx2.get(f"http://127.0.0.1:{server.port}/-/health", timeout=60).status_code == 200
        assert _listening(server.port) == 2


def _listening(port: int) -> int:
    """How many sockets listen on a port of IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def _open_sockets(pid: int) -> int:
    """How many sockets a process has; none when it is dead."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            count += os.readlink(descriptor).startswith("socket:")
    return count


@pytest.mark.once
@pytest.mark.parametrize("seconds", [0, 1, 4])
def test_of_two_servers_of_several_workers_one_gets_the_address(tmp_path: Path, seconds: float) -> None:
    """Also while no worker of the first one listens yet."""
    folders, port = [tmp_path / "one", tmp_path / "two"], free_port()
    servers: list[ServerProcess] = []
    try:
        for folder in folders:
            folder.mkdir()
            servers.append(launched(folder, port, ("--workers", "2")))
            time.sleep(seconds)
        eventually(lambda: [server.process.poll() is None for server in servers].count(False) == 1)
        winner, loser = sorted(servers, key=lambda server: server.process.poll() is not None)
        wait_until_ready(winner)
        assert loser.process.returncode in (1, STARTUP_FAILURE)
        assert "ddress already in use" in (loser.folder / "server.log").read_text()
        with winner.client as client:
            assert [client.get("/user").status_code for _ in range(8)] == [200] * 8
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.kill()


@pytest.mark.once
@LINUX
def test_nobody_takes_the_address_while_all_workers_are_dead(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        for pid in server.workers(2):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", server.port))
        wait_until_ready(server)


@pytest.mark.once
@LINUX
def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    """But not before what they are at: the upload that is under way, and with it the address for the next server."""
    content, begun = os.urandom(8 * MIB), threading.Event()
    with serving(tmp_path, "--workers", "2") as server, server.client as client:
        files, workers = new_version(client), server.workers(2)
        answers: list[int] = []

        def upload() -> None:
            with server.client as other:
                answers.append(other.put(f"{files}/slow", content=slowly(content, 0.3, begun)).status_code)

        uploader = threading.Thread(target=upload)
        uploader.start()
        assert begun.wait(30)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        eventually(lambda: _listening(server.port) == 0)
        again = launched(tmp_path, server.port, ("--workers", "2"))
        try:
            wait_until_ready(again)
            uploader.join()
            assert answers == [201]
            assert client.get(f"{files}/slow").content == content
            eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        finally:
            again.process.terminate()
            assert again.process.wait(30) == 0


@pytest.mark.once
@LINUX
def test_whichever_worker_is_asked_tells_the_metrics_of_all(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, server.client as client:
        files, workers = new_version(client), server.workers(2)
        eventually(lambda: _listening(server.port) == 2)
        label = f'route="{FILE_ROUTE}"'

        def answered() -> float:
            return _value(_metrics(server), "modelyard_http_requests_total{", label)

        together(lambda i: _download_nothing(server, files, i), 16)
        eventually(lambda: answered() == 16)
        samples = [_metrics(server) for _ in range(8)]  # each on a connection of its own
        for name, value in (("requests_total", 16), ("request_duration_seconds_count", 16)):
            counted = [_value(each, f"modelyard_http_{name}{{", label) for each in samples]
            assert counted == [value] * 8
        assert _value(samples[0], "modelyard_transfers_in_flight{", 'direction="up"') == 0
        assert [each.count("modelyard_build_info{") for each in samples] == [1] * 8
        memory = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") for pid in workers]
        assert _value(samples[-1], "process_resident_memory_bytes ") > 0.9 * sum(memory)
        os.kill(workers[0], signal.SIGKILL)
        eventually(lambda: workers[0] not in server.workers(2))
        # What the dead one has counted stays, and the next one goes on with it.
        assert [answered() for _ in range(8)] == [16] * 8
        together(lambda i: _download_nothing(server, files, i), 16)
        eventually(lambda: answered() == 32)
        assert [answered() for _ in range(8)] == [32] * 8


FILE_ROUTE = "/api/v4/projects/{project}/packages/ml_models/{model_version_id}/files/{name:path}"


def _download_nothing(server: ServerProcess, files: str, i: int) -> None:
    with server.client as other:
        assert other.get(f"{files}/none-{i}").status_code == 404


def _metrics(server: ServerProcess) -> str:
    return httpx2.get(f"http://127.0.0.1:{server.port}/metrics", timeout=30).text


def _value(text: str, start: str, *labels: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith(start) and all(each in line for each in labels)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_numbers_are_given_once_however_many_ask_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, server.client as client:
        project = client.post("/projects", json={"name": "p"}).json()["id"]
        base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        client.post(f"{base}/registered-models/create", json={"name": "m"})
        versions: list[str] = []
        runs: list[str] = []

        def make(_i: int) -> None:
            with server.client as other:
                for _ in range(5):
                    made = other.post(f"{base}/model-versions/create", json={"name": "m"}).json()
                    versions.append(made["model_version"]["aliases"][0])
                    run = other.post(f"{base}/runs/create", json={"experiment_id": "0"}).json()
                    runs.append(run["run"]["info"]["artifact_uri"])

        together(make, 6)
        assert sorted(versions) == sorted(f"1.0.{i}" for i in range(30))
        assert len(set(runs)) == 30
