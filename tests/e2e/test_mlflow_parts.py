"""MLflow's own client sends large artifacts in parts by itself, as server-info tells it to, and gets them back."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.databases import database_url
from tests.e2e.environments import client_python
from tests.e2e.processes import MIB, new_version, replicas, serving
from tests.waiting import eventually

LOG = """
import mlflow, sys
with mlflow.start_run() as run:
    mlflow.log_artifact(sys.argv[1], "a dir")
print(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="a dir/my model.bin", dst_path="back"))
print(run.info.artifact_uri)
"""
SIZE = 600 * MIB  # more than 500 MiB, from which on the client does so


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_client_sends_600_mb_in_parts_without_any_variable_and_gets_them_back(tmp_path: Path) -> None:
    local = tmp_path / "my model.bin"
    with local.open("wb") as file:
        file.write(os.urandom(MIB))
        file.truncate(SIZE)
    with serving(tmp_path) as server, server.client as client:
        new_version(client)
        token = (tmp_path / "data" / "root-token").read_text().strip()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | {
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server.port}/api/v4/projects/1/ml/mlflow",
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [str(client_python("mlflow3")), "-c", LOG, str(local)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert server.log().count("/parts/") >= 60
        back, uri = done.stdout.strip().splitlines()[-2:]
        candidate = uri.rpartition("/")[2]
        digest = hashlib.sha256()
        url = f"/projects/1/packages/ml_models/{candidate}/files/a%20dir/my%20model.bin"
        with client.stream("GET", url) as answer:
            assert answer.status_code == 200
            for block in answer.iter_bytes():
                digest.update(block)
        assert tmp_path / back != local
        for path in (local, tmp_path / back):
            with path.open("rb") as file:
                assert digest.hexdigest() == hashlib.file_digest(file, "sha256").hexdigest()
        incoming = tmp_path / "data" / "blobs" / "incoming"
        assert list(incoming.iterdir()) == []
        eventually(lambda: sum(path.is_file() for path in (tmp_path / "data/blobs/sha256").rglob("*")) == 1)


def test_another_replica_ends_who_joins_ahead_and_completes_the_upload(tmp_path: Path) -> None:
    parts = [os.urandom(MIB) * 20 for _ in range(5)]  # more than is joined at the end alone
    root = "/projects/1/ml/mlflow/api/2.0/mlflow-artifacts/mpu"
    with (
        replicas(tmp_path, 2, MODELYARD_DATABASE_URL=database_url(tmp_path)) as (one, two),
        one.client as first,
        two.client as second,
    ):
        new_version(first)
        upload = first.post(f"{root}/create/1", json={"path": "/w.bin", "num_parts": 5}).json()
        told = []
        for credential, content in zip(upload["credentials"], parts, strict=True):
            etag = httpx2.put(credential["url"], content=content, timeout=60).headers["ETag"]
            told.append({"part_number": credential["part_number"], "etag": etag})
        incoming = tmp_path / "data" / "blobs" / "incoming"
        eventually(lambda: any(path.suffix == ".upload" for path in incoming.iterdir()))  # in the first one's hands
        body = {"path": "/w.bin", "upload_id": upload["upload_id"], "parts": told}
        assert second.post(f"{root}/complete/1", json=body).status_code == 200
        assert first.post(f"{root}/complete/1", json=body).status_code == 200
        answer = first.get("/projects/1/packages/ml_models/1/files/w.bin")
        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(b"".join(parts)).digest()
        eventually(lambda: list(incoming.iterdir()) == [])
        assert "not joined ahead" not in one.log() + two.log()
