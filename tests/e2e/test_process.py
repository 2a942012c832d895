"""The server as a process: what it keeps when it is killed, how it stops, how much memory it takes."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import COMMAND, serving, together

MIB = 1024 * 1024


def new_version(client: httpx.Client) -> str:
    project = client.post("/projects", json={"name": "p"}).json()["id"]
    base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    client.post(f"{base}/registered-models/create", json={"name": "m"})
    version = client.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"


def upkeep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MODELYARD_GC_GRACE": "0"}
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def slowly(content: bytes, pause: float, begun: threading.Event | None = None) -> Iterator[bytes]:
    for start in range(0, len(content), MIB):
        yield content[start : start + MIB]
        if begun and start >= 3 * MIB:
            begun.set()
        time.sleep(pause)


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill_and_what_was_not_leaves_no_trace(tmp_path: Path) -> None:
    content = os.urandom(20 * MIB)
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        for name in ("a", "b"):
            assert client.put(f"{files}/{name}", content=name.encode() + content).status_code == 201
        begun = threading.Event()

        def upload() -> None:
            with pytest.raises(httpx.TransportError), server.client as other:
                other.put(f"{files}/lost", content=slowly(content, 0.05, begun))

        uploader = threading.Thread(target=upload)
        uploader.start()
        assert begun.wait(30)
        server.kill()
        uploader.join()
    assert len(list((tmp_path / "data" / "blobs" / "incoming").iterdir())) == 1
    with serving(tmp_path) as server, server.client as client:
        assert upkeep(tmp_path, "check", "--read").returncode == 0
        assert client.get(f"{files}/lost").status_code == 404
        for name in ("a", "b"):
            assert client.get(f"{files}/{name}").content == name.encode() + content
        assert upkeep(tmp_path, "gc").stdout.startswith("write\t")
        assert list((tmp_path / "data" / "blobs" / "incoming").iterdir()) == []
        assert client.put(f"{files}/lost", content=content).status_code == 201
        assert client.get(f"{files}/lost").content == content


@pytest.mark.slow
def test_a_stop_lets_transfers_finish(tmp_path: Path) -> None:
    content, answers = os.urandom(10 * MIB), []
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        begun = threading.Event()

        def upload() -> None:
            with server.client as other:
                answers.append(other.put(f"{files}/f", content=slowly(content, 0.1, begun)).status_code)

        uploader = threading.Thread(target=upload)
        uploader.start()
        assert begun.wait(30)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        uploader.join()
    assert answers == [201]
    with serving(tmp_path) as server, server.client as client:
        assert client.get(f"{files}/f").content == content


@pytest.mark.slow
def test_a_stop_waits_no_longer_than_its_limit(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MODELYARD_SHUTDOWN_TIMEOUT=1\n")
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        with socket.create_connection(("127.0.0.1", server.port)) as stalled:
            token = client.headers["authorization"]
            head = (
                f"PUT /api/v4{files}/f HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 9000000\r\n\r\n"
            )
            stalled.sendall(head.encode() + bytes(3 * MIB))
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(20)
    assert list((tmp_path / "data" / "blobs" / "incoming").iterdir()) == []


@pytest.mark.slow
def test_large_files_pass_through_little_memory(tmp_path: Path) -> None:
    source, size = tmp_path / "large", 512 * MIB
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(1024) * 1024
            digest.update(block)
            file.write(block)
    with serving(tmp_path) as server, server.client as client:
        url = f"http://127.0.0.1:{server.port}/api/v4{new_version(client)}"
        token = f"Authorization: {client.headers['authorization']}"
        curl = ["curl", "--fail", "--silent", "--header", token]
        for name, upload in (("form", ["--request", "PUT", "--form", f"file=@{source}"]), ("raw", ["-T", str(source)])):
            subprocess.run([*curl, *upload, f"{url}/{name}"], check=True, capture_output=True)
            with subprocess.Popen([*curl, f"{url}/{name}"], stdout=subprocess.PIPE) as download:
                assert download.stdout is not None
                assert hashlib.file_digest(download.stdout, "sha256").digest() == digest.digest()  # type: ignore[arg-type]
        assert server.peak_memory() < 150 * MIB


@pytest.mark.slow
def test_several_workers_share_one_registry(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, server.client as client:
        files = new_version(client)

        def upload(i: int) -> None:
            with server.client as other:
                assert other.put(f"{files}/{i}", content=b"%d" % i).status_code == 201

        together(upload, 8)
        for i in range(8):
            assert client.get(f"{files}/{i}").content == b"%d" % i


@pytest.mark.slow
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
