"""What the real MLflow client gets as answers, told in words that any server can say: no ids, no times.

Run with the tracking URIs of two servers and the names of answers, it prints each answer of each server as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import mlflow
import pandas
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

NEW = int(mlflow.__version__.split(".")[0]) >= 3


def unique(name: str) -> str:
    """A name that the other version of the client does not take on the same server."""
    return f"{name} of {mlflow.__version__}"


def refusal(call: Any, *arguments: Any, **named: Any) -> str:
    """The code with which a call is refused."""
    try:
        call(*arguments, **named)
    except MlflowException as error:
        return str(error.error_code)
    return "taken"


def logged(client: MlflowClient, experiment: str, **files: str) -> Any:
    """A run with files."""
    run = client.create_run(experiment)
    for name, text in files.items():
        client.log_text(run.info.run_id, text, f"dir/{name}")
    return run


def answer_latest_versions(client: MlflowClient, experiment: str) -> Any:
    name = unique("latest")
    client.create_registered_model(name)
    versions = [client.create_model_version(name, "s3://bucket/path").version for _ in range(5)]
    for version, stage in zip(versions, ("Production", "Production", "Staging", "Archived"), strict=False):
        client.transition_model_version_stage(name, version, stage)
    numbers = {version: number for number, version in enumerate(versions)}

    def latest(*stages: Any) -> list[tuple[str, int]]:
        found = client.get_latest_versions(name, *stages)
        return sorted((each.current_stage, numbers[each.version]) for each in found)

    shown = client.get_registered_model(name).latest_versions
    asked = [latest(), latest([]), latest(["production"]), latest(["Staging", "None", "Staging"])]
    refused = refusal(client.get_latest_versions, name, ["nonsense"])
    return [*asked, refused, sorted((each.current_stage, numbers[each.version]) for each in shown)]


def answer_promoted_runs_registered_again(client: MlflowClient, experiment: str) -> Any:
    run_id = logged(client, experiment, f="content").info.run_id
    name = unique("again")
    client.create_registered_model(name)
    told = []
    for _ in range(3):
        uri = client.get_run(run_id).info.artifact_uri
        version = client.create_model_version(name, uri, run_id=run_id)
        folder = mlflow.artifacts.download_artifacts(f"models:/{name}/{version.version}")
        told.append([version.run_id == run_id, Path(folder, "dir", "f").read_text()])
    return [told, len(client.search_model_versions(f"run_id = '{run_id}'"))]


def answer_artifacts_of_deleted_runs(client: MlflowClient, experiment: str) -> Any:
    run = logged(client, experiment, f="content")
    client.delete_run(run.info.run_id)
    listed = [(each.path, each.is_dir, each.file_size) for each in client.list_artifacts(run.info.run_id, "dir")]
    downloaded = Path(client.download_artifacts(run.info.run_id, "dir/f")).read_text()
    uri = client.get_run(run.info.run_id).info.artifact_uri
    return [listed, downloaded, mlflow.artifacts.load_text(f"{uri}/dir/f")]


def answer_artifacts_that_are_not_there(client: MlflowClient, experiment: str) -> Any:
    run = logged(client, experiment, f="content")
    empty = client.create_run(experiment)
    gone = get_artifact_repository(run.info.artifact_uri)
    told = [gone.delete_artifacts(path) for path in ("nothing", "dir/nothing", "dir/f", "dir/f", "dir")]
    told.append(get_artifact_repository(empty.info.artifact_uri).delete_artifacts("nothing"))
    return [told, client.list_artifacts(run.info.run_id)]


def answer_the_default_experiment(client: MlflowClient, experiment: str) -> Any:
    def found() -> Any:
        by_id = client.get_experiment("0")
        by_name = client.get_experiment_by_name(by_id.name)
        searched = [each for each in client.search_experiments() if each.experiment_id == "0"]
        return [[each.experiment_id, each.name] for each in (by_id, by_name, *searched)]

    told = [found(), refusal(client.create_experiment, "Default")]
    client.rename_experiment("0", unique("ours"))
    told += [client.get_experiment_by_name("Default"), found(), client.create_run("0").info.experiment_id]
    client.rename_experiment(client.create_experiment("Default"), unique("other"))
    client.delete_experiment("0")
    told.append(client.get_experiment("0").lifecycle_stage)
    client.restore_experiment("0")
    client.rename_experiment("0", "Default")
    return [*told, found()]


def answer_searches(client: MlflowClient, experiment: str) -> Any:
    values = {"a": 1.0, "b": float("nan"), "c": float("inf"), "d": None}
    runs = {name: client.create_run(experiment, run_name=name, start_time=5) for name in values}
    for name, value in values.items():
        run_id = runs[name].info.run_id
        if value is not None:
            client.log_batch(run_id, metrics=[Metric("m", value, 1, 0)])
            client.log_param(run_id, "p", name)
            client.set_tag(run_id, "t", name)
    uri = runs["a"].info.artifact_uri
    texts = [
        *("metrics.m != 1", "metrics.m != 0", "metrics.m >= -9", "metrics.m < 9", "metrics.none != 1"),
        *("params.p != 'a'", "params.none != 'a'", "params.p IS NULL", "tags.t != 'a'", "tags.t IS NULL"),
        *("attributes.end_time != 5", f"artifact_uri = '{uri}'", f"attributes.artifact_uri != '{uri}'"),
        *("artifact_uri LIKE 'mlflow-artifacts:%'", "artifact_uri = 'x'", "user_id = 'x'", "status != 'RUNNING'"),
    ]
    told = [[text.replace(uri, "URI"), names(client, [experiment], text)] for text in texts]
    found = client.search_runs([experiment, "999999"], order_by=["metrics.none DESC"])
    ids = [run.info.run_id for run in found]
    return [told, len(ids), ids == sorted(ids), refusal(client.search_runs, [experiment], "metrics.m = NaN")]


def names(client: MlflowClient, experiments: list[str], text: str) -> list[str]:
    return sorted(run.info.run_name for run in client.search_runs(experiments, text))


def answer_runs_by_their_user(client: MlflowClient, experiment: str) -> Any:
    mlflow.set_experiment(unique("by user"))
    with mlflow.start_run(run_name="mine") as active:
        pass
    user = active.data.tags["mlflow.user"]
    experiments = [active.info.experiment_id]
    texts = (f"user_id = '{user}'", f"attributes.user_id LIKE '{user}'", f"user_id != '{user}'", "user_id != 'nobody'")
    return [names(client, experiments, text) for text in texts]


def answer_datasets(client: MlflowClient, experiment: str) -> Any:
    mlflow.set_experiment(unique("datasets"))
    with mlflow.start_run() as active:
        for name in "zamb":
            mlflow.log_input(mlflow.data.from_pandas(pandas.DataFrame({name: [1, 2]}), name=name), context="train")
    run = client.get_run(active.info.run_id)
    (found,) = client.search_runs([run.info.experiment_id])
    return [[each.dataset.name for each in shown.inputs.dataset_inputs] for shown in (run, found)]


def answer_names(client: MlflowClient, experiment: str) -> Any:
    told: list[Any] = []
    for name in ("a b", "küche", "+ & ( ,", "it's", "m" * 300, " lead", "100%"):
        client.create_registered_model(name)
        version = client.create_model_version(name, "s3://bucket/path")
        client.set_registered_model_alias(name, "prüfung", version.version)
        named = client.get_model_version_by_alias(name, "prüfung")
        quoted = name.replace("'", "''")
        found = client.search_registered_models(f"name LIKE '{quoted}'") if "%" not in name and "'" not in name else []
        told.append([named.name, named.version == version.version, [model.name for model in found]])
        client.delete_registered_model(name)
    client.create_registered_model(unique("plain"))
    for name in ("team/model", "a:b", "", " ", ".", ".."):
        told.append([name, refusal(client.create_registered_model, name)])
        told.append([name, refusal(client.rename_registered_model, unique("plain"), name)])
    return told


def answer_logged_models(client: MlflowClient, experiment: str) -> Any:
    if not NEW:
        return None
    model = mlflow.create_external_model(name="a b ü", source_run_id="nowhere", experiment_id=experiment)
    name = unique("of logged")
    client.create_registered_model(name)
    version = client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
    tag = json.loads(client.get_logged_model(model.model_id).tags["mlflow.modelVersions"])
    told = [[each["name"] == name, each["version"] == int(version.version)] for each in tag]
    found = client.search_logged_models([experiment, "999999"], filter_string="name = 'a b ü'")
    return [model.source_run_id, told, [each.model_id == model.model_id for each in found]]


def tell(uri: str, wanted: list[str]) -> None:
    """One server's answers, as they are to somebody who knows no other."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.tracking.fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)  # where `set_experiment` leaves its id
    client = MlflowClient()
    for name in wanted:
        try:
            answer = globals()[name](client, client.create_experiment(unique(name)))
        except Exception:
            answer = traceback.format_exc()
        print("RESULT " + json.dumps({"uri": uri, "name": name, "answer": answer}), flush=True)


if __name__ == "__main__":
    for server in sys.argv[1:3]:
        tell(server, sys.argv[3:])
