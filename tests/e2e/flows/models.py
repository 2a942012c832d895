"""Logging, registering and loading real models, by the real MLflow client."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import numpy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression

from harness import Yard, run

FEATURES = numpy.array([[0.0], [1.0], [2.0], [3.0]])
LABELS = numpy.array([0, 0, 1, 1])
NEW = int(mlflow.__version__.split(".")[0]) >= 3
# Requirements are named, since to infer them takes the client ten seconds a model.
NAMED: dict[str, Any] = {"name" if NEW else "artifact_path": "model", "pip_requirements": ["scikit-learn"]}


class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model in plain Python."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input * 2


def trained() -> LogisticRegression:
    return LogisticRegression().fit(FEATURES, LABELS)


EXPECTED = trained().predict(FEATURES)


def holds(uri: str) -> None:
    """The model at a URI predicts as the one that was trained."""
    assert (mlflow.sklearn.load_model(uri).predict(FEATURES) == EXPECTED).all(), uri


def flow_a_model_is_logged_registered_and_loaded_by_every_uri(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(trained(), registered_model_name="sk", input_example=FEATURES, **NAMED)
    client = MlflowClient()
    (version,) = client.search_model_versions("name='sk'")
    client.set_registered_model_alias("sk", "champion", version.version)
    uris = [
        info.model_uri,
        f"runs:/{active.info.run_id}/model",
        f"models:/sk/{version.version}",
        "models:/sk/1.0.0",
        "models:/sk@champion",
        "models:/sk/latest",
    ]
    for uri in uris:
        holds(uri)
    assert version.run_id == active.info.run_id
    mlmodel = yard.get(version.version, "MLmodel")
    assert b"sklearn" in mlmodel


def flow_a_model_of_any_name_is_loaded_by_every_uri(yard: Yard) -> None:
    mlflow.set_experiment("e ü")
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(trained(), **NAMED)
    client = MlflowClient()
    for name in ("a b", "küche", "+ & ( ,", "it's", "m" * 300):
        version = mlflow.register_model(info.model_uri, name)
        client.set_registered_model_alias(name, "prüfung", version.version)
        for suffix in (f"/{version.version}", "/1.0.0", "/latest", "@prüfung"):
            holds(f"models:/{name}{suffix}")
        copied = client.copy_model_version(f"models:/{name}/{version.version}", f"copy of {name[:200]}")
        holds(f"models:/{copied.name}/{copied.version}")
        text = name.replace("'", "''")
        assert [model.name for model in client.search_registered_models(f"name = '{text}'")] == [name]
        client.rename_registered_model(name, f"{name} ü")
        holds(f"models:/{name} ü/{version.version}")
    try:
        mlflow.register_model(info.model_uri, "team/model")
    except MlflowException as error:
        assert "Names cannot contain '/' or ':'" in str(error)
    else:
        raise AssertionError("a name that no URI can hold was taken")


def flow_the_version_that_is_asked_for_is_loaded(yard: Yard) -> None:
    mlflow.set_experiment("e")
    for number in (1, 2):
        with mlflow.start_run():
            model = trained()
            model.number = number
            mlflow.sklearn.log_model(model, registered_model_name="sk", **NAMED)
    assert mlflow.sklearn.load_model("models:/sk/1.0.0").number == 1
    assert mlflow.sklearn.load_model("models:/sk/1.0.1").number == 2
    assert mlflow.sklearn.load_model("models:/sk/latest").number == 2


def flow_a_python_model_is_logged_and_loaded(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as active:
        info = mlflow.pyfunc.log_model(python_model=Doubler(), registered_model_name="py", **NAMED)
    for uri in (info.model_uri, f"runs:/{active.info.run_id}/model", "models:/py/1.0.0", "models:/py/latest"):
        assert mlflow.pyfunc.load_model(uri).predict(numpy.array([1, 2])).tolist() == [2, 4]


def flow_a_logged_model_is_registered_afterwards(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(trained(), **NAMED)
    first = mlflow.register_model(info.model_uri, "sk")
    second = mlflow.register_model(f"runs:/{active.info.run_id}/model", "sk")
    for version in (first, second):
        holds(f"models:/sk/{version.version}")
    copied = MlflowClient().copy_model_version(f"models:/sk/{first.version}", "copy")
    holds(f"models:/copy/{copied.version}")


def flow_autolog_logs_everything(yard: Yard) -> None:
    mlflow.set_experiment("e")
    mlflow.sklearn.autolog()
    try:
        with mlflow.start_run() as active:
            trained()
    finally:
        mlflow.sklearn.autolog(disable=True)
    shown = mlflow.get_run(active.info.run_id)
    assert "C" in shown.data.params
    assert shown.data.metrics["training_score"] == 1.0
    holds(f"runs:/{active.info.run_id}/model")


def flow_logged_models_are_searched(yard: Yard) -> None:
    if not NEW:
        return
    experiment = mlflow.set_experiment("e").experiment_id
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(trained(), params={"a": 1}, tags={"t": "x"}, **NAMED)
        mlflow.log_metric("acc", 0.9, model_id=info.model_id)
    found = mlflow.search_logged_models(
        [experiment], filter_string="params.a = '1' AND metrics.acc > 0.5", output_format="list"
    )
    assert [model.model_id for model in found] == [info.model_id]
    model = mlflow.get_logged_model(info.model_id)
    assert (model.status.value, model.tags["t"], model.metrics[0].value) == ("READY", "x", 0.9)
    mlflow.set_logged_model_tags(info.model_id, {"t": "y"})
    mlflow.delete_logged_model_tag(info.model_id, "t")
    ordered = mlflow.search_logged_models(
        [experiment], order_by=[{"field_name": "creation_timestamp", "ascending": False}], output_format="list"
    )
    assert len(ordered) == 1
    with mlflow.start_run():
        worse = mlflow.sklearn.log_model(trained(), **NAMED)
        mlflow.log_metric("acc", 0.2, model_id=worse.model_id)
    ordered = mlflow.search_logged_models(
        [experiment], order_by=[{"field_name": "metrics.acc", "ascending": False}], output_format="list"
    )
    assert [model.model_id for model in ordered] == [info.model_id, worse.model_id]
    external = mlflow.create_external_model(name="elsewhere")
    mlflow.finalize_logged_model(external.model_id, "READY")
    MlflowClient().delete_logged_model(external.model_id)


def flow_a_metric_that_belongs_to_a_model_is_one_point(yard: Yard) -> None:
    if not NEW:
        return
    mlflow.set_experiment("e")
    with mlflow.start_run() as active:
        mlflow.log_metric("acc", 0.9, step=3)
        models = [mlflow.sklearn.log_model(trained(), step=3, **NAMED) for _ in range(2)]
        mlflow.log_metrics({"loss": 0.1}, step=3)  # which the client sends for each model
    for name, value in (("acc", 0.9), ("loss", 0.1)):
        assert [point.value for point in MlflowClient().get_metric_history(active.info.run_id, name)] == [value]
        for model in models:
            found = mlflow.get_logged_model(model.model_id).metrics
            assert [metric.value for metric in found if metric.key == name] == [value], name


def flow_a_models_files_are_the_same_everywhere(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run():
        mlflow.sklearn.log_model(trained(), registered_model_name="sk", **NAMED)
    client = MlflowClient()
    (version,) = client.search_model_versions("name='sk'")
    packages = json.loads(yard.call("GET", f"/projects/{yard.project}/packages"))
    (package,) = [each for each in packages if each["name"] == "sk"]
    files = json.loads(yard.call("GET", f"/projects/{yard.project}/packages/{package['id']}/package_files"))
    local = mlflow.artifacts.download_artifacts(f"models:/sk/{version.version}")
    for file in files:
        name = file["file_name"].replace("%2F", "/")
        with open(f"{local}/{name}", "rb") as downloaded:
            assert downloaded.read() == yard.get(version.version, name)
    assert any(file["file_name"] == "MLmodel" for file in files)


if __name__ == "__main__":
    run(globals())
