"""Page tokens that somebody has made up: refused wherever there are pages, whatever they hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.registry.search import pages
from modelyard.services.files import artifacts
from tests.routes.mlflow.conftest import Mlflow, code_of

DIGEST = "0123456789abcdef"
DEEP = json.loads("[" * 500 + "]" * 500)
NEVER = [None, True, [], {}, DEEP, 2**63, -(2**63) - 1, 10**400, float("nan"), "a\0b", "\ud800"]
MIXED = "status, end_time DESC, metrics.m DESC, tags.t, params.p, artifact_uri"

PAGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "experiments/search", {}),
    ("GET", "experiments/search", {"order_by": "name DESC"}),
    ("POST", "experiments/search", {"order_by": ["experiment_id", "creation_time"]}),
    ("POST", "runs/search", {"experiment_ids": ["1"]}),
    ("POST", "runs/search", {"experiment_ids": ["1"], "order_by": ["metrics.m"]}),
    ("POST", "runs/search", {"experiment_ids": ["1"], "order_by": ["tags.t DESC", "run_name"]}),
    ("POST", "runs/search", {"experiment_ids": ["1"], "order_by": [MIXED]}),
    ("GET", "registered-models/search", {"order_by": "name, last_updated_timestamp"}),
    ("POST", "registered-models/search", {}),
    ("GET", "model-versions/search", {}),
    ("POST", "model-versions/search", {"order_by": ["name", "version_number"]}),
    ("POST", "logged-models/search", {"experiment_ids": ["1"]}),
    ("POST", "logged-models/search", {"experiment_ids": ["1"], "order_by": [{"field_name": "metrics.m"}, "name"]}),
    ("GET", "metrics/get-history", {"metric_key": "m"}),
    ("GET", "artifacts/list", {}),
]


@pytest.fixture
def two(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> tuple[Mlflow, str]:
    """Two of everything, and the id of the last run; whoever makes up a token knows how its digest is made."""
    for number in range(2):
        mlflow.ok("POST", "experiments/create", name=f"e{number}")
        run = mlflow.run("1", start_time=number, tags=[{"key": "t", "value": "x"}])
        mlflow.model(f"m{number}")
        mlflow.version(f"m{number}")
        model = mlflow.logged_model(experiment_id="1", name=f"l{number}")["info"]["model_id"]
        for step in range(2):
            point = {"key": "m", "value": number, "timestamp": number, "step": step, "model_id": model}
            mlflow.ok("POST", "runs/log-metric", run_id=run, **point)
    for name in ("a", "b"):
        assert mlflow.client.put(mlflow.file("candidate:3", name), content=b"x").status_code == 201
    monkeypatch.setattr(artifacts, "MAX_CHILDREN", 1)
    monkeypatch.setattr(pages, "_digest", lambda *_: DIGEST)
    return mlflow, run


def made_up(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def forgeries(section: int, after: list[Any]) -> Iterator[object]:
    """Contents of a token that no page of the search ends with, from the content of one that a page ends with."""
    yield from ({}, {"a": 1}, 7, "text", None, [], [DIGEST], [DIGEST, 0], [DEEP, section, *after])
    yield [f"{DIGEST}0", section, *after]
    for other in (-1, 99, True, 0.0, "0", None, [0], 2**70, float("nan")):
        yield [DIGEST, other, *after]
    yield from ([DIGEST, section, *after[:-1]], [DIGEST, section, *after, 1], [DIGEST, section, *after * 100])
    for place, key in enumerate(after):
        others: list[object] = [7, 0.5] if isinstance(key, str) else ["x"]
        others += [0.5, float("inf")] if isinstance(key, int) else []
        for wrong in (*NEVER, *others):
            yield [DIGEST, section, *after[:place], wrong, *after[place + 1 :]]


@pytest.mark.parametrize(("method", "path", "query"), PAGES)
def test_made_up_tokens_are_refused(two: tuple[Mlflow, str], method: str, path: str, query: dict[str, Any]) -> None:
    mlflow, run = two
    asked = query | ({"run_id": run} if path in ("metrics/get-history", "artifacts/list") else {"max_results": 1})
    asked |= {"max_results": 1} if path == "metrics/get-history" else {}
    token = mlflow.ok(method, path, **asked)["next_page_token"]
    digest, section, *after = json.loads(base64.urlsafe_b64decode(token))
    assert digest == DIGEST
    sent = "params" if method == "GET" else "json"
    for content in forgeries(section, after):
        answer = mlflow.send(method, path, **{sent: asked | {"page_token": made_up(content)}})
        assert code_of(answer, 400) == "INVALID_PARAMETER_VALUE", content
    for text in ("!", "\u00e9", "A", "/" * 1_000, "W10=", made_up([DIGEST, section, *after])[:-5]):
        assert code_of(mlflow.send(method, path, **{sent: asked | {"page_token": text}}), 400), text
    assert mlflow.ok(method, path, **asked, page_token=token)


def test_keys_of_a_column_are_not_those_of_a_condition(two: tuple[Mlflow, str]) -> None:
    mlflow, _run = two
    asked = {"experiment_ids": ["1"], "order_by": ["end_time"], "max_results": 1}
    token = mlflow.ok("POST", "runs/search", **asked)["next_page_token"]
    _digest, section, lacking, *rest = json.loads(base64.urlsafe_b64decode(token))
    assert lacking == 1
    forged = made_up([DIGEST, section, 2**31, *rest])
    assert code_of(mlflow.post("runs/search", **asked, page_token=forged), 400) == "INVALID_PARAMETER_VALUE"


def test_no_files_have_no_pages(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_digest", lambda *_: DIGEST)
    run = mlflow.run()
    forged = made_up([DIGEST, 0, 1, "x"])
    assert code_of(mlflow.get("artifacts/list", run_id=run, page_token=forged), 400) == "INVALID_PARAMETER_VALUE"


def test_a_page_can_end_with_infinity(two: tuple[Mlflow, str]) -> None:
    mlflow, run = two
    for value in ("Infinity", "-Infinity", "NaN", 1e308):
        mlflow.ok("POST", "runs/log-metric", run_id=run, key="i", value=value, timestamp=1, step=1)
    found, token = [], ""
    while token is not None:
        asked = {"run_id": run, "metric_key": "i", "max_results": 1}
        page = mlflow.ok("GET", "metrics/get-history", **asked, page_token=token)
        found += [point["value"] for point in page["metrics"]]
        token = page["next_page_token"]
    assert found == ["NaN", "-Infinity", 1e308, "Infinity"]
