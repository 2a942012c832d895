"""Every endpoint takes whatever protobuf's JSON mapping allows: with the same answer, and the same effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, get_args

import httpx2
import pytest
from pydantic import BaseModel, TypeAdapter

from modelyard.routes.http.routing import Route
from modelyard.routes.mlflow import (
    artifacts,
    bulk,
    experiments,
    logged_models,
    model_versions,
    registered_models,
    run_artifacts,
    run_logging,
    runs,
)
from modelyard.routes.mlflow.common import REST, ROOT
from modelyard.routes.mlflow.messages import Message, OfRun
from tests.beginnings import Beginnings
from tests.routes.mlflow.conftest import Mlflow, code_of
from tests.routes.mlflow.endpoints import ENDPOINTS, Endpoint
from tests.routes.mlflow.spellings import SPELLINGS, Body, leaves, with_enums_by_number
from tests.routes.mlflow.world import World, filled

MODULES = (
    *(artifacts, bulk, experiments, logged_models, model_versions),
    *(registered_models, run_artifacts, run_logging, runs),
)
PREFIX = ROOT + REST
ROUTES = [route for module in MODULES for route in module.router.routes if isinstance(route, Route)]
INVALID = "INVALID_PARAMETER_VALUE"


@pytest.fixture
def make_world(root: httpx2.Client, beginnings: Beginnings) -> Callable[[], World]:
    return lambda: filled(Mlflow(root, beginnings.project()), beginnings)


def each_world(make_world: Callable[[], World], endpoint: Endpoint) -> Callable[[], World]:
    """Makes the world that each request meets: a new one, or one for all where they only read."""
    return cache(make_world) if endpoint.only_reads else make_world


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_a_request_means_the_same_however_it_is_written(make_world: Callable[[], World], endpoint: Endpoint) -> None:
    world = each_world(make_world, endpoint)
    plain = world().ask(endpoint, endpoint.body)
    asked = [endpoint.body]
    for write in SPELLINGS:
        written = write(endpoint.model, endpoint.body)
        if endpoint.method == "GET":
            written = {name: value for name, value in written.items() if value is not None}  # a query has no null
        if written not in asked:
            assert world().ask(endpoint, written) == plain, write.__name__
            asked.append(written)
    if endpoint.method != "GET":
        assert world().ask(endpoint, endpoint.body, prefix=b"\xef\xbb\xbf") == plain


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_an_answer_has_the_fields_that_are_declared_and_no_others(
    make_world: Callable[[], World], endpoint: Endpoint
) -> None:
    path = f"{PREFIX}/{endpoint.path.replace('{logged}', '{model_id}')}"
    (route,) = (each for each in ROUTES if each.path == path and endpoint.method in (each.methods or ()))
    route.complete()  # which otherwise only the document asks for
    answer = make_world().send(endpoint, endpoint.body).json()
    TypeAdapter(route.all_shapes()[200]).validate_python(answer, strict=True, extra="forbid")


def test_every_endpoint_with_parameters_is_asked() -> None:
    told = {
        (method, route.path.removeprefix(f"{PREFIX}/").replace("{model_id}", "{logged}"))
        for route in ROUTES
        for method in route.methods or ()
        if route.reads and route.include_in_schema and route.path.startswith(f"{PREFIX}/")
    }
    assert told == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


def messages() -> list[type[BaseModel]]:
    classes = (each for module in MODULES for each in vars(module).values() if isinstance(each, type))
    return [each for each in classes if issubclass(each, BaseModel)]


def test_all_parameters_are_read_by_one_rule() -> None:
    """So that no endpoint that is to come has numbers or enums that only Python's clients can write."""
    assert len(messages()) > 40
    for model in messages():
        assert issubclass(model, Message), model
        for name, field in model.model_fields.items():
            if {int, float} & set(leaves(field.annotation)):
                assert "_Spelled" in _marks(field), f"{model.__name__}.{name}"
            if any(issubclass(kind, StrEnum) for kind in leaves(field.annotation)):
                assert "_Numbered" in _marks(field), f"{model.__name__}.{name}"


def _marks(field: Any) -> str:
    return repr((field.metadata, [getattr(each, "__metadata__", ()) for each in get_args(field.annotation)]))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/create", {"experiment_id": "0", "experimentId": "0"}),
        ("runs/create", {"experiment_id": "0", "start_time": True}),
        ("runs/create", {"experiment_id": "0", "start_time": 1.5}),
        ("runs/create", {"experiment_id": "0", "start_time": "1.5"}),
        ("runs/create", {"experiment_id": "0", "start_time": ""}),
        ("runs/create", {"experiment_id": "0", "start_time": "9" * 5000}),
        ("runs/create", {"experiment_id": "0", "start_time": "1e999999999"}),
        ("runs/create", {"experiment_id": "0", "start_time": 2**63}),
        ("runs/create", {"experiment_id": "0", "start_time": -(2**63) - 1}),
        ("runs/create", {"experiment_id": "0", "tags": [None]}),
        ("runs/create", {"experiment_id": "0", "tags": {}}),
        ("runs/create", {"experiment_id": "0", "tags": [{"key": None}]}),
        ("runs/create", {"experiment_id": None}),
        ("runs/update", {"status": 0}),
        ("runs/update", {"status": 6}),
        ("runs/update", {"status": -1}),
        ("runs/update", {"status": "6"}),
        ("runs/update", {"status": 1.5}),
        ("runs/update", {"status": True}),
        ("runs/log-metric", {"key": "k", "timestamp": 1, "value": None}),
        ("runs/log-metric", {"key": "k", "timestamp": 1, "value": True}),
        ("runs/log-metric", {"key": "k", "timestamp": 1, "value": ""}),
        ("runs/log-metric", {"key": "k", "timestamp": 1, "value": "much"}),
        ("runs/log-metric", {"key": "k", "timestamp": "NaN", "value": 1}),
        ("runs/log-metric", {"run_id": None, "run_uuid": None, "key": "k", "timestamp": 1, "value": 1}),
        ("runs/log-metric", {"run_id": "", "key": "k", "timestamp": 1, "value": 1, "step": {}}),
    ],
)
def test_what_the_mapping_does_not_allow_is_refused(mlflow: Mlflow, path: str, body: Body) -> None:
    run = {} if path == "runs/create" or "run_id" in body else {"run_id": mlflow.run()}
    assert code_of(mlflow.post(path, **(run | body)), 400) == INVALID


def test_the_least_and_the_greatest_integer_are_kept(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for step in (-(2**63), 2**63 - 1):
        for written in (step, str(step)):
            mlflow.ok("POST", "runs/log-metric", run_id=run, key="m", value=1, timestamp=step, step=written)
    points = mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="m")["metrics"]
    assert {(point["step"], point["timestamp"]) for point in points} == {(s, s) for s in (-(2**63), 2**63 - 1)}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_comes_in_any_encoding_of_unicode(mlflow: Mlflow, encoding: str) -> None:
    headers = {"Content-Type": "application/json"}
    content = json.dumps({"name": "Größe \U0001f600"}, ensure_ascii=False).encode(encoding)
    assert mlflow.send("POST", "experiments/create", content=content, headers=headers).status_code == 200
    assert mlflow.get("experiments/get-by-name", experiment_name="Größe \U0001f600").status_code == 200


@pytest.mark.parametrize("body", [b'{"name": "\\u0000"}', b'{"name": "\\ud800"}'])
def test_what_cannot_be_stored_is_refused_in_any_encoding(mlflow: Mlflow, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b"\xef\xbb\xbf" + body, body.decode().encode("utf-16"), b"\xff\xfe\x00", b"\xef\xbb\xbf"):
        answer = mlflow.send("POST", "experiments/create", content=content, headers=headers)
        assert code_of(answer, 400) == INVALID


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b" "])
def test_an_empty_message_has_many_forms(mlflow: Mlflow, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert mlflow.send("POST", "experiments/search", content=body, headers=headers).status_code == 200


def test_enums_come_by_number_in_a_query_and_in_a_form(mlflow: Mlflow) -> None:
    deleted, run = mlflow.experiment(), mlflow.run()
    mlflow.ok("POST", "experiments/delete", experiment_id=deleted)
    (found,) = mlflow.ok("GET", "experiments/search", view_type=2)["experiments"]
    assert found["experiment_id"] == deleted
    ended = mlflow.send("POST", "runs/update", data={"run_uuid": run, "status": "3"}).json()["run_info"]
    assert (ended["run_id"], ended["status"]) == (run, "FINISHED")


def test_lists_in_a_query_go_by_either_name(mlflow: Mlflow) -> None:
    for name in "ab":
        mlflow.experiment(name)
    both = ["name DESC", "experiment_id"]
    queries: list[dict[str, Any]] = [{spelling: both} for spelling in ("order_by", "orderBy", "order_by[]")]
    one_by_one = [("order_by[0]", "order_by[1]"), ("order_by", "order_by[]"), ("order_by[]", "order_by")]
    for query in queries + [dict(zip(names, both, strict=True)) for names in one_by_one]:
        found = mlflow.get("experiments/search", **query).json()["experiments"]
        assert [each["name"] for each in found] == ["b", "a", "Default"], query


@pytest.mark.parametrize("name", ["order_by]", "order_by[a]", "order_by[0][1]", "[]", "]"])
def test_a_name_that_is_no_lists_is_an_unknown_one(mlflow: Mlflow, name: str) -> None:
    assert mlflow.get("experiments/search", **{name: "nonsense"}).status_code == 200


def test_a_field_of_several_kinds_is_named_once_in_a_refusal(mlflow: Mlflow) -> None:
    refused = mlflow.get("experiments/search", view_type=7)
    assert code_of(refused, 400) == INVALID
    assert refused.json()["message"] == "view_type does not have a valid value"


RUN_ENDPOINTS = [endpoint for endpoint in ENDPOINTS if issubclass(endpoint.model, OfRun)]


@pytest.mark.parametrize("endpoint", RUN_ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_a_run_goes_by_its_older_name_alone(make_world: Callable[[], World], endpoint: Endpoint) -> None:
    world = each_world(make_world, endpoint)
    plain = world().ask(endpoint, endpoint.body)
    others = {key: value for key, value in endpoint.body.items() if key != "run_id"}
    for names in ({"run_uuid": "{run}"}, {"runUuid": "{run}"}, {"run_id": "", "run_uuid": "{run}"}):
        assert world().ask(endpoint, others | names) == plain, names


def test_the_newer_name_of_a_run_wins(mlflow: Mlflow) -> None:
    first, second = mlflow.run(), mlflow.run()
    shown = mlflow.ok("GET", "runs/get", run_id=first, run_uuid=second)["run"]["info"]["run_id"]
    assert shown == first


def test_numbers_of_enums_count_as_they_are_declared() -> None:
    numbered = with_enums_by_number(runs.UpdateRun, {"run_id": "r", "status": "KILLED"})
    assert runs.UpdateRun.model_validate(numbered).status == "KILLED"
