"""Experiments and runs, by the real MLflow client."""

from __future__ import annotations

import math

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from harness import Yard, run


def flow_run_is_logged(yard: Yard) -> None:
    mlflow.set_experiment("exp one é")
    with mlflow.start_run(run_name="r1") as active:
        mlflow.log_param("p", 1)
        mlflow.log_params({"q": "x" * 3000, "r": "é"})
        mlflow.log_metric("m", 0.5, step=1)
        mlflow.log_metrics({"m": 0.25, "n": 2.0}, step=2)
        mlflow.log_metric("nan", math.nan)
        mlflow.log_metric("inf", math.inf)
        mlflow.set_tag("t", "1")
        mlflow.set_tag("t", "2")
        mlflow.set_tags({"u": "3", "gone": "4"})
        mlflow.delete_tag("gone")
    shown = mlflow.get_run(active.info.run_id)
    assert shown.info.status == "FINISHED"
    assert shown.info.end_time >= shown.info.start_time
    assert shown.data.params == {"p": "1", "q": "x" * 3000, "r": "é"}
    assert shown.data.metrics["m"] == 0.25
    assert math.isnan(shown.data.metrics["nan"])
    assert shown.data.metrics["inf"] == math.inf
    assert (shown.data.tags["t"], shown.data.tags["u"], shown.info.run_name) == ("2", "3", "r1")
    assert "gone" not in shown.data.tags


def flow_run_without_an_experiment_lands_in_the_default_one(yard: Yard) -> None:
    with mlflow.start_run() as active:
        mlflow.log_param("p", 1)
    assert mlflow.get_experiment(active.info.experiment_id).name == "Default"


def flow_the_default_experiment_is_found_by_id_by_name_and_by_search(yard: Yard) -> None:
    client = MlflowClient()
    default = client.get_experiment("0")
    assert (default.name, client.get_experiment_by_name("Default").experiment_id) == ("Default", "0")
    assert [e.experiment_id for e in client.search_experiments()] == ["0"]
    assert mlflow.set_experiment("Default").experiment_id == mlflow.set_experiment(experiment_id="0").experiment_id
    client.rename_experiment("0", "ours")
    with mlflow.start_run() as active:
        pass
    client.create_experiment("Default")
    assert mlflow.get_experiment(active.info.experiment_id).name == client.get_experiment("0").name == "ours"


def flow_failing_run_is_failed(yard: Yard) -> None:
    mlflow.set_experiment("e")
    try:
        with mlflow.start_run() as active:
            raise KeyError("on purpose")
    except KeyError:
        pass
    assert mlflow.get_run(active.info.run_id).info.status == "FAILED"


def flow_runs_are_nested_and_resumed(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        mlflow.log_metric("m", 1)
    tags = mlflow.get_run(child.info.run_id).data.tags
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    with mlflow.start_run(run_id=child.info.run_id):
        mlflow.log_metric("m", 2, step=1)
    found = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", output_format="list")
    assert [each.info.run_id for each in found] == [child.info.run_id]
    assert mlflow.get_run(child.info.run_id).data.metrics["m"] == 2


def flow_parameter_is_written_once(yard: Yard) -> None:
    mlflow.set_experiment("e")
    with mlflow.start_run():
        mlflow.log_param("p", 1)
        mlflow.log_param("p", 1)
        try:
            mlflow.log_param("p", 2)
        except MlflowException as error:
            assert error.error_code == "INVALID_PARAMETER_VALUE"
        else:
            raise AssertionError("another value was taken")


def flow_batch_is_kept_whole(yard: Yard) -> None:
    client = MlflowClient()
    active = client.create_run(client.create_experiment("e"))
    metrics = [Metric("m", i / 10, 1000 + i, i) for i in range(1000)]
    params = [Param(f"p{i}", str(i)) for i in range(100)]
    tags = [RunTag(f"t{i}", str(i)) for i in range(100)]
    for logged in ({"metrics": metrics}, {"params": params}, {"tags": tags}):
        client.log_batch(active.info.run_id, **logged)
    history = client.get_metric_history(active.info.run_id, "m")
    assert [(point.step, point.value) for point in history] == [(i, i / 10) for i in range(1000)]
    shown = client.get_run(active.info.run_id)
    assert len(shown.data.params) == 100
    assert client.get_metric_history(active.info.run_id, "other") == []


def flow_long_history_is_read_page_by_page(yard: Yard) -> None:
    client = MlflowClient()
    run_id = client.create_run(client.create_experiment("e")).info.run_id
    for start in (0, 1000, 2000):
        client.log_batch(run_id, metrics=[Metric("m", i, i, i) for i in range(start, start + 1000)])
    assert [point.step for point in client.get_metric_history(run_id, "m")] == list(range(3000))


def flow_run_is_renamed_deleted_and_restored(yard: Yard) -> None:
    client = MlflowClient()
    run_id = client.create_run(client.create_experiment("e"), run_name="old").info.run_id
    client.update_run(run_id, status="KILLED", name="new")
    shown = client.get_run(run_id)
    assert (shown.info.run_name, shown.info.status) == ("new", "KILLED")
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    client.restore_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"
    client.set_terminated(run_id)
    assert client.get_run(run_id).info.status == "FINISHED"


def flow_runs_are_searched(yard: Yard) -> None:
    client = MlflowClient()
    first, second = client.create_experiment("a"), client.create_experiment("b")
    for i in range(6):
        run_id = client.create_run(first if i < 4 else second, run_name=f"r{i}", start_time=1000 + i).info.run_id
        client.log_metric(run_id, "m", i / 10)
        client.log_param(run_id, "p", "x" if i % 2 else "y")
        client.set_tag(run_id, "t", str(i))

    def names(experiments: list[str], text: str = "", **query: object) -> list[str]:
        return [each.info.run_name for each in client.search_runs(experiments, text, **query)]

    assert names([first]) == ["r3", "r2", "r1", "r0"]
    assert names([first, second], "metrics.m > 0.1 and params.p = 'x'") == ["r5", "r3"]
    assert names([first, second], order_by=["metrics.m ASC"])[0] == "r0"
    assert names([first], "tags.t = '2'") == ["r2"]
    assert names([first], "attributes.status = 'RUNNING' AND attributes.run_name LIKE 'r%'")[0] == "r3"
    assert names([first], order_by=["params.p DESC", "metrics.m DESC"]) == ["r2", "r0", "r3", "r1"]
    assert names([first], run_view_type=ViewType.DELETED_ONLY) == []
    page = client.search_runs([first, second], max_results=4)
    rest = client.search_runs([first, second], max_results=4, page_token=page.token)
    assert (len(page), len(rest), rest.token) == (4, 2, None)
    frame = mlflow.search_runs([first], filter_string="metrics.m >= 0.2")
    assert list(frame["metrics.m"]) == [0.3, 0.2]
    try:
        names([first], "metrics.m >")
    except MlflowException as error:
        assert error.error_code == "INVALID_PARAMETER_VALUE"
    else:
        raise AssertionError("a broken filter was taken")


def flow_experiments_live_and_come_back(yard: Yard) -> None:
    client = MlflowClient()
    first = client.create_experiment("x1", tags={"team": "a"})
    client.create_experiment("x2")
    client.set_experiment_tag(first, "team", "b")
    client.set_experiment_tag(first, "other", "c")
    if hasattr(client, "delete_experiment_tag"):
        client.delete_experiment_tag(first, "other")
        assert client.get_experiment(first).tags == {"team": "b"}
    assert client.get_experiment_by_name("nothing") is None
    assert [e.name for e in client.search_experiments(filter_string="tags.team = 'b'")] == ["x1"]
    assert [e.name for e in client.search_experiments(order_by=["name DESC"], max_results=1)] == ["x2"]
    client.rename_experiment(first, "renamed")
    assert client.get_experiment(first).name == "renamed"
    client.delete_experiment(first)
    assert client.get_experiment(first).lifecycle_stage == "deleted"
    assert [e.name for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)] == ["renamed"]
    client.restore_experiment(first)
    assert mlflow.set_experiment("renamed").experiment_id == first
    try:
        client.create_experiment("renamed")
    except MlflowException as error:
        assert error.error_code == "RESOURCE_ALREADY_EXISTS"
    else:
        raise AssertionError("a name was given twice")


def flow_datasets_are_logged(yard: Yard) -> None:
    import pandas

    mlflow.set_experiment("e")
    dataset = mlflow.data.from_pandas(pandas.DataFrame({"a": [1, 2]}), name="frame")
    with mlflow.start_run() as active:
        mlflow.log_input(dataset, context="training")
    (found,) = mlflow.get_run(active.info.run_id).inputs.dataset_inputs
    assert found.dataset.name == "frame"
    assert found.tags[0].value == "training"
    named = mlflow.search_runs(filter_string="dataset.name = 'frame'", output_format="list")
    assert len(named) == 1


if __name__ == "__main__":
    run(globals())
