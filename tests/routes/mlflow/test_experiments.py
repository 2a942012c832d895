"""Experiments: making, finding, renaming, tagging, deleting and restoring them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.databases import execute
from tests.live import LiveServer
from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, TAKEN, INVALID = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE"


def test_ids_count_within_the_project(mlflow: Mlflow) -> None:
    assert mlflow.ok("POST", "experiments/create", name="a") == {"experiment_id": "1"}
    assert mlflow.ok("POST", "experiments/create", name="b") == {"experiment_id": "2"}


def test_a_name_is_taken_once(mlflow: Mlflow) -> None:
    mlflow.experiment("a")
    assert code_of(mlflow.post("experiments/create", name="a"), 400) == TAKEN


def test_a_name_is_needed(mlflow: Mlflow) -> None:
    answer = mlflow.post("experiments/create")
    assert (answer.status_code, answer.json()["error"]) == (400, "name is missing")


def test_an_experiment_is_shown_by_its_id(mlflow: Mlflow) -> None:
    mlflow.ok("POST", "experiments/create", name="a", tags=[{"key": "k", "value": "v"}])
    shown = mlflow.ok("GET", "experiments/get", experiment_id="1")["experiment"]
    assert (shown["experiment_id"], shown["name"], shown["lifecycle_stage"]) == ("1", "a", "active")
    assert shown["tags"] == [{"key": "k", "value": "v"}]
    assert isinstance(shown["creation_time"], int)


@pytest.mark.parametrize("query", [{"experiment_id": "999"}, {"experiment_id": "x"}, {}])
def test_an_unknown_experiment_does_not_exist(mlflow: Mlflow, query: dict[str, str]) -> None:
    assert code_of(mlflow.get("experiments/get", **query), 404) == MISSING


def shown(mlflow: Mlflow, **query: str) -> dict[str, Any]:
    """An experiment as it is shown, by its id or its name."""
    path = "experiments/get" if "experiment_id" in query else "experiments/get-by-name"
    return dict(mlflow.ok("GET", path, **query)["experiment"])


def searched(mlflow: Mlflow, **query: object) -> list[dict[str, Any]]:
    return list(mlflow.ok("POST", "experiments/search", **query)["experiments"])


def test_the_default_experiment_is_found_alike_by_its_id_by_its_name_and_by_a_search(mlflow: Mlflow) -> None:
    default = shown(mlflow, experiment_id="0")
    assert (default["experiment_id"], default["name"], default["lifecycle_stage"]) == ("0", "Default", "active")
    assert mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"] == []
    for _ in range(2):
        assert shown(mlflow, experiment_name="Default") == default
        assert searched(mlflow) == searched(mlflow, filter="name = 'Default'") == [default]
        assert searched(mlflow, filter="experiment_id = '0'") == mlflow.ok("GET", "experiments/list")["experiments"]
        for spelling in ("00", 0):
            assert mlflow.ok("GET", "experiments/get", experiment_id=spelling)["experiment"] == default
        run = mlflow.show_run(mlflow.run("0"))
        assert run["info"]["experiment_id"] == "0"
    assert code_of(mlflow.post("experiments/create", name="Default"), 400) == TAKEN
    assert mlflow.experiment("other") == "1"
    assert len(mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]) == 2
    mlflow.ok("POST", "experiments/set-experiment-tag", experiment_id="0", key="k", value="v")
    assert shown(mlflow, experiment_name="Default")["tags"] == [{"key": "k", "value": "v"}]


def test_the_default_experiment_stays_the_same_one_for_ever(mlflow: Mlflow) -> None:
    run = mlflow.run("0")
    mlflow.ok("POST", "experiments/update", experiment_id="0", new_name="ours")
    assert (shown(mlflow, experiment_id="0")["name"], shown(mlflow, experiment_name="ours")["experiment_id"]) == (
        "ours",
        "0",
    )
    assert code_of(mlflow.get("experiments/get-by-name", experiment_name="Default"), 404) == MISSING
    other = mlflow.experiment("Default")
    assert mlflow.show_run(mlflow.run("0"))["info"]["experiment_id"] == "0"
    assert [each["name"] for each in searched(mlflow, order_by="name")] == ["Default", "ours"]
    assert mlflow.ok("POST", "runs/search", experiment_ids=[other])["runs"] == []
    assert code_of(mlflow.post("experiments/update", experiment_id="0", new_name="Default"), 400) == TAKEN
    mlflow.ok("POST", "experiments/delete", experiment_id="0")
    assert shown(mlflow, experiment_id="0")["lifecycle_stage"] == "deleted"
    assert [each["experiment_id"] for each in searched(mlflow, view_type="DELETED_ONLY")] == ["0"]
    assert code_of(mlflow.post("runs/create", experiment_id="0"), 404) == MISSING
    assert code_of(mlflow.post("logged-models", experiment_id="0"), 404) == MISSING
    mlflow.ok("POST", "experiments/restore", experiment_id="0")
    assert shown(mlflow, experiment_id="0")["name"] == "ours"
    found = mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    assert run in {each["info"]["run_id"] for each in found}


def test_a_default_experiment_of_older_versions_keeps_its_id_and_is_found_by_0(
    mlflow: Mlflow, server: LiveServer
) -> None:
    forget = f"UPDATE projects SET default_experiment_id = NULL WHERE id = {mlflow.project}"
    execute(server.settings.data_dir, forget)
    execute(server.settings.data_dir, f"UPDATE experiments SET iid = 7 WHERE project_id = {mlflow.project}")
    assert [each["experiment_id"] for each in searched(mlflow)] == ["7"]
    for experiment in ("0", "7"):
        assert shown(mlflow, experiment_id=experiment) == shown(mlflow, experiment_name="Default")
        assert mlflow.show_run(mlflow.run(experiment))["info"]["experiment_id"] == "7"
    assert len(mlflow.ok("POST", "runs/search", experiment_ids=["0", "7"])["runs"]) == 2


def test_a_project_of_an_older_version_gets_its_default_experiment_by_the_first_run(
    mlflow: Mlflow, server: LiveServer
) -> None:
    execute(server.settings.data_dir, f"DELETE FROM experiments WHERE project_id = {mlflow.project}")
    forget = f"UPDATE projects SET default_experiment_id = NULL WHERE id = {mlflow.project}"
    execute(server.settings.data_dir, forget)
    assert code_of(mlflow.get("experiments/get", experiment_id="0"), 404) == MISSING
    assert searched(mlflow) == []
    mlflow.run("0")
    assert searched(mlflow) == [shown(mlflow, experiment_id="0")] == [shown(mlflow, experiment_name="Default")]


def test_the_experiment_of_a_model_is_not_found_by_a_search(mlflow: Mlflow) -> None:
    mlflow.model("m")
    mlflow.experiment("e")
    found = mlflow.ok("POST", "experiments/search", filter="name LIKE '%'")["experiments"]
    assert [each["name"] for each in found] == ["e", "Default"]


def test_another_projects_experiment_does_not_exist(
    mlflow: Mlflow, make_project: Callable[..., dict[str, Any]]
) -> None:
    mlflow.experiment()
    other = Mlflow(mlflow.client, make_project()["id"])
    assert code_of(other.get("experiments/get", experiment_id="1"), 404) == MISSING


def test_an_experiment_is_found_by_its_name(mlflow: Mlflow) -> None:
    mlflow.experiment("exp one")
    assert mlflow.send("GET", "experiments/get-by-name?experiment_name=exp+one").status_code == 200
    for query in ({"experiment_name": "exp"}, {}):
        assert code_of(mlflow.get("experiments/get-by-name", **query), 404) == MISSING


def test_a_list_has_all_of_them_newest_first(mlflow: Mlflow) -> None:
    for name in "abc":
        mlflow.experiment(name)
    assert [e["name"] for e in mlflow.ok("GET", "experiments/list")["experiments"]] == [*"cba", "Default"]


def test_a_search_is_read_page_by_page(mlflow: Mlflow) -> None:
    for name in "abc":
        mlflow.experiment(name)
    first = mlflow.ok("POST", "experiments/search", max_results=2)
    second = mlflow.ok("POST", "experiments/search", max_results=2, page_token=first["next_page_token"])
    assert [e["name"] for e in first["experiments"] + second["experiments"]] == [*"cba", "Default"]
    assert second["next_page_token"] is None


@pytest.mark.parametrize("order", ["name ASC", ["name ASC"], "name", "`name` asc", ["attribute.name"]])
def test_orders_come_as_text_or_as_array(mlflow: Mlflow, order: str | list[str]) -> None:
    for name in "bca":
        mlflow.experiment(name)
    found = mlflow.ok("POST", "experiments/search", order_by=order)["experiments"]
    assert [e["name"] for e in found] == ["Default", *"abc"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name = 'x1'", ["x1"]),
        ("name != 'x1'", ["Default", "x2", "y"]),
        ("name LIKE 'x%'", ["x1", "x2"]),
        ("name LIKE 'X%'", []),
        ("name ILIKE 'X%'", ["x1", "x2"]),
        ("name LIKE 'x_'", ["x1", "x2"]),
        ("tags.team = 'a'", ["x1"]),
        ("tags.team != 'a'", ["x2"]),
        ("tags.team IS NULL", ["Default", "y"]),
        ("tag.team IS NOT NULL AND name LIKE '%2'", ["x2"]),
        ("experiment_id IN ('1', '3')", ["x1", "y"]),
        ("creation_time > 0 AND last_update_time > 0", ["Default", "x1", "x2", "y"]),
        ("creation_time > 99999999999999", []),
    ],
)
def test_a_search_is_narrowed_by_a_filter(mlflow: Mlflow, text: str, names: list[str]) -> None:
    for name, tags in (("x1", {"team": "a"}), ("x2", {"team": "b"}), ("y", {})):
        mlflow.ok("POST", "experiments/create", name=name, tags=[{"key": k, "value": v} for k, v in tags.items()])
    found = mlflow.ok("POST", "experiments/search", filter=text, order_by=["name"])["experiments"]
    assert [e["name"] for e in found] == names


@pytest.mark.parametrize(
    "text",
    ["name", "name = x", "name > 'x'", "nonsense = 'x'", "metrics.m > 1", "a = 'x' OR b = 'y'", "tags.a = 1", "'x'"],
)
def test_a_wrong_filter_is_refused_with_a_reason(mlflow: Mlflow, text: str) -> None:
    answer = mlflow.post("experiments/search", filter=text)
    assert code_of(answer, 400) == INVALID
    assert len(answer.json()["message"]) > 20


@pytest.mark.parametrize("order", ["name SIDEWAYS", "nonsense", ["name", "name DESC"], "tags.a", "name name"])
def test_a_wrong_order_is_refused(mlflow: Mlflow, order: str | list[str]) -> None:
    assert code_of(mlflow.post("experiments/search", order_by=order), 400) == INVALID


def test_a_page_token_belongs_to_its_search(mlflow: Mlflow) -> None:
    for name in "abc":
        mlflow.experiment(name)
    token = mlflow.ok("POST", "experiments/search", max_results=1)["next_page_token"]
    assert code_of(mlflow.post("experiments/search", order_by="name", page_token=token), 400) == INVALID
    assert code_of(mlflow.post("experiments/search", page_token=token[:-8]), 400) == INVALID


def test_view_types_tell_the_deleted_from_the_living(mlflow: Mlflow) -> None:
    mlflow.experiment("kept")
    mlflow.ok("POST", "experiments/delete", experiment_id=mlflow.experiment("gone"))

    def names(view: str) -> list[str]:
        return [e["name"] for e in mlflow.ok("POST", "experiments/search", view_type=view)["experiments"]]

    assert (names("ACTIVE_ONLY"), names("DELETED_ONLY")) == (["kept", "Default"], ["gone"])
    assert names("ALL") == ["gone", "kept", "Default"]


def test_a_tag_is_set_again_and_deleted(mlflow: Mlflow) -> None:
    experiment = mlflow.experiment()
    for value in ("1", "2"):
        mlflow.ok("POST", "experiments/set-experiment-tag", experiment_id=experiment, key="k", value=value)
    shown = mlflow.ok("GET", "experiments/get", experiment_id=experiment)["experiment"]
    assert shown["tags"] == [{"key": "k", "value": "2"}]
    assert mlflow.ok("POST", "experiments/delete-experiment-tag", experiment_id=experiment, key="k") == {}
    gone = mlflow.post("experiments/delete-experiment-tag", experiment_id=experiment, key="k")
    assert code_of(gone, 404) == MISSING


def test_a_tag_may_be_long(mlflow: Mlflow) -> None:
    experiment = mlflow.experiment()
    fits = mlflow.post("experiments/set-experiment-tag", experiment_id=experiment, key="k", value="v" * 65_536)
    assert fits.status_code == 200
    over = mlflow.post("experiments/set-experiment-tag", experiment_id=experiment, key="k", value="v" * 65_537)
    assert code_of(over, 400) == INVALID


def test_a_deleted_experiment_comes_back_with_the_runs_that_went_with_it(mlflow: Mlflow) -> None:
    experiment = mlflow.experiment()
    kept, gone = mlflow.run(experiment), mlflow.run(experiment)
    mlflow.ok("POST", "runs/delete", run_id=gone)
    assert mlflow.ok("POST", "experiments/delete", experiment_id=experiment) == {}
    shown = mlflow.ok("GET", "experiments/get", experiment_id=experiment)["experiment"]
    assert shown["lifecycle_stage"] == "deleted"
    assert mlflow.show_run(kept)["info"]["lifecycle_stage"] == "deleted"
    assert code_of(mlflow.post("runs/create", experiment_id=experiment), 404) == MISSING
    assert code_of(mlflow.post("experiments/delete", experiment_id=experiment), 404) == MISSING
    assert code_of(mlflow.post("runs/restore", run_id=kept), 400) == INVALID
    assert code_of(mlflow.post("experiments/create", name="e"), 400) == TAKEN
    changed = mlflow.post("experiments/set-experiment-tag", experiment_id=experiment, key="k", value="v")
    assert code_of(changed, 400) == INVALID
    assert mlflow.ok("POST", "experiments/restore", experiment_id=experiment) == {}
    stages = [mlflow.show_run(run)["info"]["lifecycle_stage"] for run in (kept, gone)]
    assert stages == ["active", "deleted"]
    assert code_of(mlflow.post("experiments/restore", experiment_id=experiment), 404) == MISSING


def test_a_models_experiment_is_neither_deleted_nor_renamed(mlflow: Mlflow) -> None:
    mlflow.model("x")
    experiment = mlflow.ok("GET", "experiments/get-by-name", experiment_name="[model]x")["experiment"]
    deleted = mlflow.post("experiments/delete", experiment_id=experiment["experiment_id"])
    assert deleted.status_code == 400
    assert deleted.json()["message"] == "Cannot delete an experiment associated to a model"
    renamed = mlflow.post("experiments/update", experiment_id=experiment["experiment_id"], new_name="y")
    assert renamed.status_code == 400


def test_an_experiment_is_renamed(mlflow: Mlflow) -> None:
    experiment, _other = mlflow.experiment("old"), mlflow.experiment("other")
    assert mlflow.ok("POST", "experiments/update", experiment_id=experiment, new_name="new") == {}
    assert mlflow.get("experiments/get-by-name", experiment_name="new").status_code == 200
    assert code_of(mlflow.post("experiments/update", experiment_id=experiment, new_name="other"), 400) == TAKEN
    assert code_of(mlflow.post("experiments/update", experiment_id=experiment, new_name=" "), 400) == INVALID
    assert mlflow.post("experiments/update", experiment_id=experiment, new_name="new").status_code == 200
