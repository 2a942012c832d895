"""The URIs that the server gives out, as the real MLflow client takes them apart."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient

from harness import Yard, project, run
from models import EXPECTED, FEATURES, NAMED, NEW, trained  # type: ignore[import-not-found]


def reads(uri: str, names: set[str]) -> None:
    """What lies at a URI is listed and downloaded, with a slash at its end and without."""
    for each in (uri, f"{uri.rstrip('/')}/"):
        listed = {os.path.basename(file.path) for file in mlflow.artifacts.list_artifacts(artifact_uri=each)}
        assert names <= listed, (each, listed)
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=each))
        assert names <= {path.name for path in local.iterdir()}, each
        one = mlflow.artifacts.download_artifacts(artifact_uri=f"{uri.rstrip('/')}/{min(names)}")
        assert Path(one).exists()


def loads(uri: str) -> None:
    """The model at a URI predicts, with a slash at its end and without."""
    for load, each in ((mlflow.sklearn.load_model, uri), (mlflow.pyfunc.load_model, f"{uri.rstrip('/')}/")):
        assert (load(each).predict(FEATURES) == EXPECTED).all(), each


def fails(uri: str) -> None:
    """What lies at a URI cannot be downloaded, and the client says so."""
    try:
        mlflow.artifacts.download_artifacts(uri)
    except Exception:
        return
    raise AssertionError(f"the download of {uri} succeeds")


def logged_run(*, at: str | None) -> Any:
    """A run that has a model among its artifacts, in a directory or at the top."""
    mlflow.set_experiment("e")
    with mlflow.start_run() as active, tempfile.TemporaryDirectory() as folder:
        mlflow.sklearn.save_model(trained(), f"{folder}/m", pip_requirements=["scikit-learn"])
        mlflow.log_artifacts(f"{folder}/m", at)
    return active


def registered(client: MlflowClient, **body: Any) -> Iterator[str]:
    """The URIs of a new version."""
    version = client.create_model_version("m", **body)
    yield version.source
    yield client.get_model_version("m", version.version).source
    yield client.get_model_version_download_uri("m", version.version)


def flow_a_runs_uri_is_read_loaded_and_written_to(yard: Yard) -> None:
    uri = logged_run(at="model").info.artifact_uri
    reads(uri, {"model"})
    reads(f"{uri}/model", {"MLmodel", "requirements.txt"})
    loads(f"{uri}/model")
    whole = logged_run(at=None)
    reads(whole.info.artifact_uri, {"MLmodel"})
    loads(whole.info.artifact_uri)
    with mlflow.start_run(run_id=whole.info.run_id):
        mlflow.log_text("later", "notes/n.txt")
    assert mlflow.artifacts.load_text(f"{whole.info.artifact_uri}/notes/n.txt") == "later"


def flow_a_versions_uris_are_read_and_loaded(yard: Yard) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    active, whole = logged_run(at="model"), logged_run(at=None)
    uris = [
        *registered(client, source=f"{active.info.artifact_uri}/model", run_id=active.info.run_id),
        *registered(client, source=whole.info.artifact_uri, run_id=whole.info.run_id),
    ]
    promoted = mlflow.get_run(whole.info.run_id).info.artifact_uri
    for uri in dict.fromkeys([*uris, promoted]):
        reads(uri, {"MLmodel"})
        loads(uri)
    again = client.create_model_version("m", whole.info.artifact_uri, whole.info.run_id)
    loads(f"models:/m/{again.version}")
    empty = client.create_model_version("m", "")
    yard.put(empty.version, "dir/f", b"content")
    reads(empty.source, {"dir"})
    reads(client.get_model_version_download_uri("m", empty.version), {"dir"})


def flow_a_versions_uris_work_in_gitlabs_form_of_runs_too(yard: Yard) -> None:
    """A run's `artifact_uri` may have GitLab's form; a version that is made from it has the client's own."""
    client = MlflowClient()
    client.create_registered_model("m")
    active = logged_run(at="model")
    iid = active.info.artifact_uri.rpartition("/")[2]
    gitlab = f"{yard.tracking_uri.removesuffix('/ml/mlflow')}/packages/ml_models/{iid}/files/"
    version = client.create_model_version("m", f"{gitlab}model", active.info.run_id)
    loads(version.source)
    loads(client.get_model_version_download_uri("m", version.version))
    loads(f"models:/m/{version.version}")


def flow_a_logged_models_uris_are_read_and_loaded(yard: Yard) -> None:
    if not NEW:
        return
    mlflow.set_experiment("e")
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(trained(), registered_model_name="m", **NAMED)
    logged = mlflow.get_logged_model(info.model_id)
    (version,) = MlflowClient().search_model_versions("name='m'")
    for uri in (logged.artifact_location, info.artifact_path, version.source):
        loads(uri)
    reads(logged.artifact_location, {"MLmodel"})


def flow_a_version_follows_its_source(yard: Yard) -> None:
    from mlflow.models import infer_signature, set_signature, update_model_requirements

    client = MlflowClient()
    active = logged_run(at="model")
    uris = [f"runs:/{active.info.run_id}/model"]
    client.create_registered_model("m")
    client.create_model_version("m", f"{active.info.artifact_uri}/model", active.info.run_id)
    if NEW:
        with mlflow.start_run():
            uris.append(mlflow.sklearn.log_model(trained(), registered_model_name="m", **NAMED).model_uri)
    for uri, version in zip(uris, ("1.0.0", "1.0.1"), strict=False):
        set_signature(uri, infer_signature(FEATURES, trained().predict(FEATURES)))
        update_model_requirements(uri, "add", ["coolname==1.0"])
        loads(f"models:/m/{version}")
        assert mlflow.models.get_model_info(f"models:/m/{version}").signature is not None
        found = Path(mlflow.artifacts.download_artifacts(f"models:/m/{version}"))
        assert "coolname==1.0" in (found / "requirements.txt").read_text()
    with mlflow.start_run() as later:
        pass
    empty = client.create_model_version("m", f"{later.info.artifact_uri}/model", later.info.run_id)
    with mlflow.start_run(run_id=later.info.run_id), tempfile.TemporaryDirectory() as folder:
        mlflow.sklearn.save_model(trained(), f"{folder}/m", pip_requirements=["scikit-learn"])
        mlflow.log_artifacts(f"{folder}/m", "model")
    loads(f"models:/m/{empty.version}")


def flow_a_version_made_elsewhere_leads_there(yard: Yard) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    with tempfile.TemporaryDirectory() as folder:
        mlflow.sklearn.save_model(trained(), f"{folder}/m", pip_requirements=["scikit-learn"])
        first = client.create_model_version("m", f"file://{folder}/m")
        copy = client.copy_model_version(f"models:/m/{first.version}", "copied")
        assert client.get_model_version_download_uri("copied", copy.version) == f"file://{folder}/m"
        loads(f"models:/m/{first.version}")
        loads(f"models:/copied/{copy.version}")
    uris = (f"models:/m/{first.version}", f"models:/copied/{copy.version}")
    for uri in uris:
        fails(uri)
    yard.put(first.version, "own", b"content")
    for uri in uris:
        found = Path(mlflow.artifacts.download_artifacts(uri))
        assert [path.name for path in found.iterdir()] == ["own"], uri


def flow_the_registry_may_be_another_project_than_tracking(yard: Yard) -> None:
    registry = project()
    logged_run(at="model")  # so that ids of runs differ between the projects
    mlflow.set_tracking_uri(yard.tracking_uri)
    mlflow.tracking.fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    client = MlflowClient()
    active = logged_run(at="model")
    client.create_registered_model("m")
    made = [client.create_model_version("m", f"{active.info.artifact_uri}/model", active.info.run_id)]
    with mlflow.start_run() as another:
        mlflow.sklearn.log_model(trained(), registered_model_name="m", **NAMED)
    made.append(max(client.search_model_versions("name='m'"), key=lambda version: int(version.version)))
    made.append(mlflow.register_model(f"runs:/{another.info.run_id}/model", "m"))
    made.append(client.copy_model_version(f"models:/m/{made[0].version}", "copied"))
    client.set_registered_model_alias("m", "champion", made[0].version)
    assert [version.run_id for version in made] == [active.info.run_id, *[another.info.run_id] * 2, active.info.run_id]
    for version in made:
        assert b"sklearn" in registry.get(version.version, "MLmodel")
        loads(f"models:/{version.name}/{version.version}")
        uri = client.get_model_version_download_uri(version.name, version.version)
        reads(uri, {"MLmodel"})
        loads(uri)
        loads(version.source)
    loads("models:/m@champion")


if __name__ == "__main__":
    run(globals())
