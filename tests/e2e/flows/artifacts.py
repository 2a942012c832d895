"""Artifacts, by the real MLflow client, beside the file API."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import mlflow
import numpy
from mlflow import MlflowClient

from harness import Yard, owner_of, run

MANY = 600  # more than one statement names


def flow_artifacts_go_up_and_come_back(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as active, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sub dir").mkdir()
        (Path(folder) / "sub dir" / "ünïcode 😀.txt").write_text("hello")
        (Path(folder) / "empty").touch()
        mlflow.log_artifacts(folder, "a dir")
        mlflow.log_artifact(str(Path(folder) / "empty"))
        mlflow.log_text("text", "notes/n.txt")
        mlflow.log_dict({"a": 1}, "notes/d.json")
    client, run_id, owner = MlflowClient(), active.info.run_id, owner_of(active.info.artifact_uri)
    assert [(f.path, f.is_dir) for f in client.list_artifacts(run_id)] == [
        ("a dir", True),
        ("empty", False),
        ("notes", True),
    ]
    assert [f.path for f in client.list_artifacts(run_id, "a dir")] == ["a dir/empty", "a dir/sub dir"]
    assert [f.file_size for f in client.list_artifacts(run_id, "notes") if f.path.endswith(".txt")] == [4]
    assert client.list_artifacts(run_id, "notes/n.txt") == []
    assert yard.get(owner, "a dir/sub dir/ünïcode 😀.txt") == b"hello"
    assert yard.get(owner, "empty") == b""
    local = Path(client.download_artifacts(run_id, "a dir"))
    assert (local / "sub dir" / "ünïcode 😀.txt").read_text() == "hello"
    assert (local / "empty").read_bytes() == b""
    assert mlflow.artifacts.load_text(f"{active.info.artifact_uri}/notes/n.txt") == "text"
    assert mlflow.artifacts.load_dict(f"{active.info.artifact_uri}/notes/d.json") == {"a": 1}


def flow_files_of_the_file_api_are_artifacts(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as active:
        pass
    content = os.urandom(100_000)
    yard.put(owner_of(active.info.artifact_uri), "dir/weights.bin", content)
    local = mlflow.artifacts.download_artifacts(run_id=active.info.run_id, artifact_path="dir/weights.bin")
    assert Path(local).read_bytes() == content


def flow_names_with_percent_signs_go_up_and_come_back(yard: Yard) -> None:
    # By its path: for a name with a lone `%`, requests encodes each `%` of the URL once more, the project's too.
    mlflow.set_tracking_uri(yard.tracking_uri_by_path)
    mlflow.set_experiment("e")
    image, names = [[0.5] * 8] * 8, ("100% sure.txt", "dogs%step%0%timestamp%1795932854708%g1b2.png", "50%")
    decoded = {
        "d%step%0%timestamp%1795932854708%a1b2": "d%step%0%timestamp%1795932854708\ufffdb2",
        "im%25.50%": "im%.50%",
    }
    with mlflow.start_run() as active, tempfile.TemporaryDirectory() as folder:
        mlflow.log_image(numpy.array(image), key="dogs", step=0)
        for name in names:
            (Path(folder) / name).write_text(name)
            mlflow.log_artifact(str(Path(folder) / name), "dir")
    client, run_id, owner = MlflowClient(), active.info.run_id, owner_of(active.info.artifact_uri)
    images = [f.path for f in client.list_artifacts(run_id, "images")]
    assert len(images) == 2
    assert all(path.startswith("images/dogs") for path in images)
    assert Path(client.download_artifacts(run_id, images[0])).read_bytes() == yard.get(owner, images[0])
    assert [f.path for f in client.list_artifacts(run_id, "dir")] == sorted(f"dir/{name}" for name in names)
    for name in names:
        assert yard.get(owner, f"dir/{name}") == name.encode()
        assert Path(client.download_artifacts(run_id, f"dir/{name}")).read_text() == name
    local = Path(client.download_artifacts(run_id, ""))
    assert {path.name for path in (local / "dir").iterdir()} == set(names)
    with mlflow.start_run() as active, tempfile.TemporaryDirectory() as folder:
        for name in decoded:
            (Path(folder) / name).write_text(name)
        mlflow.log_artifacts(folder, "a dir%")
    local = Path(client.download_artifacts(active.info.run_id, ""))
    # Clients decode the names that are listed.
    assert {path.name: path.read_text() for path in (local / "a dir%").iterdir()} == {
        shown: name for name, shown in decoded.items()
    }


def flow_hundreds_of_small_files(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as active, tempfile.TemporaryDirectory() as folder:
        for i in range(MANY):
            (Path(folder) / f"f{i:04}").write_bytes(f"content of {i}".encode())
        mlflow.log_artifacts(folder, "many")
    listed = MlflowClient().list_artifacts(active.info.run_id, "many")
    assert len(listed) == MANY
    local = Path(mlflow.artifacts.download_artifacts(run_id=active.info.run_id, artifact_path="many"))
    for i in range(MANY):
        assert (local / f"f{i:04}").read_bytes() == f"content of {i}".encode()


def flow_artifacts_are_deleted(yard: Yard) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    mlflow.set_experiment("e")
    with mlflow.start_run() as active:
        mlflow.log_text("1", "keep.txt")
        mlflow.log_text("2", "dir/gone.txt")
    get_artifact_repository(active.info.artifact_uri).delete_artifacts("dir")
    assert [f.path for f in MlflowClient().list_artifacts(active.info.run_id)] == ["keep.txt"]


if __name__ == "__main__":
    run(globals())
