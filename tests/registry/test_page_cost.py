"""A later page costs about what the first one does, however many keys an order has: in steps of SQLite's machine, and
in what PostgreSQL expects and does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from modelyard.registry.engine import Database, analyze
from modelyard.registry.search.conditions import Scope
from modelyard.registry.search.logged_models import ModelOrder, model_section
from modelyard.registry.search.pages import Cursor, Section, _statement, read_page
from modelyard.registry.search.runs import ArtifactUris, View, run_sections
from modelyard.registry.tables import Candidate, CandidateMetric, Experiment, LatestMetric, LoggedModel, Project
from modelyard.terms.filters import MAX_ORDERS, parse_orders
from tests.databases import ON_POSTGRESQL, migrated_database

ROWS = 5_000
PAGE = 100
STEP = 100  # instructions of SQLite's machine between two calls


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Runs and logged models that have the first of twenty metrics, each with one of three values."""
    database = Database(migrated_database(tmp_path_factory.mktemp("costs")))
    with database.writing() as registry:
        project = registry.session.merge(
            Project(id=1, name="p", path="p", namespace_path="", path_key="p", visibility="private")
        )
        registry.session.flush()
        numbers, own = range(1, ROWS + 1), {"project_id": project.id, "experiment_id": 1}
        registry.session.execute(insert(Experiment), [{"id": 1, "project_id": 1, "iid": 1, "name": "e"}])
        runs = [{"id": n, "iid": n, "eid": f"r{n}", "name": "r", "status": "RUNNING", "start_time": 0} for n in numbers]
        registry.session.execute(insert(Candidate), [own | run for run in runs])
        models = [{"id": n, "eid": f"m-{n}", "name": "m", "status": "LOGGED_MODEL_READY"} for n in numbers]
        registry.session.execute(insert(LoggedModel), [own | model for model in models])
        point = {"name": "m0", "timestamp": 1, "step": 0}
        latest = [point | {"candidate_id": n, "experiment_id": 1, "value": n % 3} for n in numbers]
        registry.session.execute(insert(LatestMetric), latest)
        points = [point | {"candidate_id": 1, "logged_model_id": n, "value": n % 3, "is_nan": False} for n in numbers]
        registry.session.execute(insert(CandidateMetric), points)
    analyze(database.engine)
    with database.reading() as registry:
        yield registry.session
    database.close()


def models_by(text: str) -> Section:
    return model_section([LoggedModel.experiment_id == 1], [ModelOrder(order) for order in parse_orders([text])])


def runs_by(text: str) -> Section:
    return run_sections(Scope([1], lambda _: False), View.ALL, [], parse_orders([text]), ArtifactUris("a:"))[0]


METRICS = ", ".join(f"metrics.m{number} DESC" for number in range(MAX_ORDERS))
UNKNOWN = ", ".join(f"metrics.unknown{number}" for number in range(MAX_ORDERS))
SECTIONS: dict[str, Callable[[], Section]] = {
    "models by metrics": lambda: models_by(METRICS),
    "models by metrics that none has": lambda: models_by(UNKNOWN),
    "models by attributes": lambda: models_by("name, model_type DESC, status, source_run_id, creation_time DESC"),
    "runs by metrics": lambda: runs_by(f"status, {METRICS.rpartition(',')[0]}"),
    "runs by metrics that none has": lambda: runs_by(f"status, {UNKNOWN.rpartition(',')[0]}"),
}


def steps(session: Session, work: Callable[[], object]) -> int:
    """What SQLite's machine does meanwhile."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    driver: Any = session.connection().connection.driver_connection
    driver.set_progress_handler(count, STEP)
    work()
    driver.set_progress_handler(None, 0)
    return counted


def expected(session: Session, section: Section, cursor: Cursor) -> float:
    """What PostgreSQL expects a page to cost."""
    statement = _statement(section, cursor.after, PAGE + 1)
    compiled = statement.compile(session.connection().engine, compile_kwargs={"literal_binds": True})
    explained: Any = (
        session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}".replace("%", "%%")).scalar()
    )
    plan = json.loads(explained) if isinstance(explained, str) else explained
    return float(plan[0]["Plan"]["Total Cost"])


@pytest.mark.parametrize("name", SECTIONS)
def test_a_later_page_costs_what_the_first_does(session: Session, name: str) -> None:
    section, cursors, costs, seen = SECTIONS[name](), [Cursor()], [], []
    for _page in range(3):
        page = read_page(session, [section], cursors[-1], PAGE)
        if ON_POSTGRESQL:
            costs.append(expected(session, section, cursors[-1]))
        else:
            costs.append(steps(session, lambda: read_page(session, [section], cursors[-1], PAGE)))
        assert page.following is not None
        cursors.append(page.following)
        seen += page.ids
    assert len(set(seen)) == 3 * PAGE
    assert max(costs[1:]) <= 3 * costs[0], costs
