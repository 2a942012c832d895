"""The server as a process: how much memory it takes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.e2e.processes import MIB, new_version, serving, slowly, together
from tests.routes.hub.sending import Cas, chunk, commit, lfs_file, offered, sha256, shard

ADMINISTRATOR = "root"  # whose namespace it is
PIECE = b"\x07" * 32
# Begun by itself: a fork of the tests' preloaded process has all that any command imports.
BY_ITSELF = {"PYTHONUNBUFFERED": "as no other process has it"}


@pytest.mark.slow
def test_large_files_pass_through_little_memory(tmp_path: Path) -> None:
    source, size = tmp_path / "large", 512 * MIB
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(1024) * 1024
            digest.update(block)
            file.write(block)
    with serving(tmp_path, environment=BY_ITSELF) as server, server.client as client:
        url = f"http://127.0.0.1:{server.port}/api/v4{new_version(client)}"
        token = f"Authorization: {client.headers['authorization']}"
        curl = ["curl", "--fail", "--silent", "--header", token]
        for name, upload in (("form", ["--request", "PUT", "--form", f"file=@{source}"]), ("raw", ["-T", str(source)])):
            subprocess.run([*curl, *upload, f"{url}/{name}"], check=True, capture_output=True)
            with subprocess.Popen([*curl, f"{url}/{name}"], stdout=subprocess.PIPE) as download:
                assert download.stdout is not None
                assert hashlib.file_digest(download.stdout, "sha256").digest() == digest.digest()  # type: ignore[arg-type]
        archive = f"http://127.0.0.1:{server.port}/{ADMINISTRATOR}/p/-/ml/models/1/versions/1/archive.zip"
        with subprocess.Popen([*curl, archive], stdout=subprocess.PIPE) as download:
            assert download.stdout is not None
            sent = 0
            while block := download.stdout.read(MIB):
                sent += len(block)
        assert 2 * size < sent < 2 * size + MIB
        assert server.peak_memory() < 150 * MIB


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_of_hugging_faces_clients_at_once_pass_through_little_memory(tmp_path: Path) -> None:
    """By LFS, by xet, and down again, in that order; sizes are no matter as nothing is held whole."""
    clients, size, repo = 32, 16 * MIB, "root/m"
    contents = [os.urandom(1024) * 1024 * (size // MIB) for _ in range(2)]
    xorb = b"".join(chunk(contents[1][at : at + 64 * 1024]) for at in range(0, size, 64 * 1024))
    made = shard((sha256(contents[1]), [(PIECE, 0, size // (64 * 1024), size)]))
    with serving(tmp_path, environment=BY_ITSELF) as server, server.client as root:
        url, limits = f"http://127.0.0.1:{server.port}", httpx2.Limits(max_connections=clients)
        with (
            httpx2.Client(base_url=url, headers=root.headers, timeout=300, limits=limits) as hub,
            httpx2.Client(base_url=url, timeout=300, limits=limits) as stranger,
        ):
            hub.post("/api/repos/create", json={"name": "m"})
            href = offered(hub, repo, contents[0])["href"]

            def by_lfs(_number: int) -> None:
                assert stranger.put(href, content=slowly(contents[0], 0)).status_code == 200

            def by_xet(_number: int) -> None:
                cas = Cas(hub, stranger, repo)
                assert cas.xorb(PIECE, xorb).status_code == 200
                assert cas.shard(made).status_code == 200

            def down(number: int) -> None:
                with hub.stream("GET", f"/{repo}/resolve/main/{number % 2}") as answer:
                    digest = hashlib.sha256()
                    for block in answer.iter_bytes():
                        digest.update(block)
                assert digest.hexdigest() == sha256(contents[number % 2])

            for way in (by_lfs, by_xet):
                together(way, clients)
            commit(hub, repo, *(lfs_file(str(number), content) for number, content in enumerate(contents)))
            together(down, clients)
        assert server.peak_memory() < 150 * MIB


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_long_page_of_large_runs_takes_little_memory(tmp_path: Path) -> None:
    with serving(tmp_path, environment=BY_ITSELF) as server, server.client as client:
        project = client.post("/projects", json={"name": "p"}).json()["id"]
        mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        tags = [{"key": f"t{number}", "value": "x" * 60_000} for number in range(100)]
        for _ in range(50):
            made = client.post(f"{mlflow}/runs/create", json={"experiment_id": "0"}).json()
            body = {"run_id": made["run"]["info"]["run_id"], "tags": tags}
            assert client.post(f"{mlflow}/runs/log-batch", json=body).status_code == 200
        found, token, pages = 0, None, 0
        while token or not pages:
            body = {"experiment_ids": ["0"], "max_results": 50_000, "page_token": token}
            with client.stream("POST", f"{mlflow}/runs/search", json=body) as answer:
                tail = b""
                for block in answer.iter_bytes():
                    found += (tail[-12:] + block).count(b'"run_id":"') - tail[-12:].count(b'"run_id":"')
                    tail = tail[-200:] + block
            token, pages = json.loads(b"{" + tail.rpartition(b"],")[2])["next_page_token"], pages + 1
        assert (found, pages) == (50, 17)  # 300 MB of runs, of which a page ends after 16 MiB
        assert server.peak_memory() < 200 * MIB
