"""The server as a process: how much memory it takes, and how several of them share a registry."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import new_version, serving, together

MIB = 1024 * 1024


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
