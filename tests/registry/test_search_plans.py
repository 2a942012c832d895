"""Searches use an index for whatever grows with the number of runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

from modelyard.registry.engine import Database
from modelyard.registry.search.conditions import Scope
from modelyard.registry.search.pages import Section
from modelyard.registry.search.runs import ArtifactUris, View, run_sections
from modelyard.terms.filters import parse_filter, parse_orders
from tests.databases import migrated_sqlite

pytestmark = pytest.mark.sqlite


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    database = Database(migrated_sqlite(tmp_path_factory.mktemp("plans") / "db"))
    with database.engine.connect() as connection:
        yield connection
    database.close()


def plan(connection: Connection, section: Section) -> list[str]:
    orders = (key.expression.desc() if key.descending else key.expression for key in section.keys)
    statement = section.statement.order_by(*orders).limit(100)
    text = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


def plans(connection: Connection, text: str = "", order: str = "", *, rare: bool = False) -> list[list[str]]:
    scope = Scope([1], lambda _owners: rare)
    sections = run_sections(scope, View.ACTIVE_ONLY, parse_filter(text), parse_orders([order]), ArtifactUris("a:/"))
    return [plan(connection, section) for section in sections]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "metrics.m > 0.5",
        "params.p = 'x'",
        "params.p LIKE 'x%'",
        "tags.t = 'x'",
        "tags.t IS NULL",
        "status = 'FINISHED'",
        "run_id IN ('a', 'b')",
        "dataset.name = 'd'",
        "user_id != 'ada' AND artifact_uri LIKE '%:1'",
        "metrics.m > 0.5 AND params.p = 'x' AND tags.t != 'y'",
    ],
)
@pytest.mark.parametrize("order", ["", "metrics.m DESC", "params.p", "start_time ASC", "run_name"])
@pytest.mark.parametrize("rare", [False, True])
def test_no_search_of_runs_scans_what_runs_have(connection: Connection, text: str, order: str, rare: bool) -> None:
    for steps in plans(connection, text, order, rare=rare):
        assert [step for step in steps if step.startswith("SCAN")] == []


def test_the_usual_order_is_that_of_an_index(connection: Connection) -> None:
    (steps,) = plans(connection)
    assert any("ix_candidates_experiment_id_start_time_eid" in step for step in steps)
    assert not any("TEMP B-TREE" in step for step in steps)


def test_an_order_by_a_metric_is_that_of_its_index(connection: Connection) -> None:
    having, _nan, _lacking = plans(connection, order="metrics.m DESC")
    assert any("ix_candidate_latest_metrics_experiment_id_name_value_candidate_id" in step for step in having)
    assert not any(step == "USE TEMP B-TREE FOR ORDER BY" for step in having)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("metrics.m > 0.5", "ix_candidate_latest_metrics_experiment_id_name_value_candidate_id"),
        ("params.p = 'x'", "ix_candidate_params_experiment_id_key_head_candidate_id"),
        ("tags.t = 'x'", "ix_candidate_tags_experiment_id_key_head_candidate_id"),
    ],
)
def test_a_filter_that_few_match_is_answered_by_an_index_alone(connection: Connection, text: str, index: str) -> None:
    (steps,) = plans(connection, text, rare=True)
    assert any(f"COVERING INDEX {index}" in step for step in steps)
