"""A project as a busy team leaves it: runs with metrics, parameters and tags, models and versions, put in in bulk."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.rest import Client

BEGUN = 1_795_448_441_014  # milliseconds since 1970, of the first run
METRICS = 20
PARAMS = {"lr": 1000, "optimizer": 5, "depth": 10, "batch": 4, "seed": 100}  # names, and how many values there are
TAGS = {"mlflow.user": 20, "mlflow.source.name": 50, "team": 1000}
VERSIONS_OF_MODEL = 10
EXPERIMENT = "busy"
RUNS = 2  # the id of the experiment of that name; 1 is the default one

Row = tuple[object, ...]


@dataclass(frozen=True)
class Sizes:
    """How much is put in."""

    runs: int = 100_000
    models: int = 1_000


def run_id(number: int) -> str:
    """The id of a seeded run, counted from 1."""
    return f"{number:032x}"


def seed(database: Path, project: int, sizes: Sizes) -> None:
    """Fill a migrated SQLite database in which the project is empty, and on which no server runs."""
    connection = sqlite3.connect(database, isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-262144"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    _runs(connection, project, sizes.runs)
    _models(connection, project, sizes)
    iids = (sizes.models + 1, sizes.runs + sizes.models * VERSIONS_OF_MODEL, project)
    connection.execute("UPDATE projects SET last_experiment_iid = ?, last_candidate_iid = ? WHERE id = ?", iids)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fresh_project(client: Client) -> int:
    """Make a project and return its id."""
    return int(client.call("POST", "/api/v4/projects", {"name": "tracking"})["id"])


def insert(connection: sqlite3.Connection, table: str, columns: str, rows: Iterator[Row]) -> None:
    """Add rows to a table."""
    marks = ", ".join("?" * len(columns.split(",")))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - our own names


def _runs(connection: sqlite3.Connection, project: int, runs: int) -> None:
    made = "created_at, updated_at"
    experiment = iter([(RUNS, project, 1, EXPERIMENT, 0, 0)])
    insert(connection, "experiments", f"id, project_id, iid, name, {made}", experiment)
    columns = f"id, project_id, iid, eid, experiment_id, name, status, start_time, end_time, {made}"
    insert(connection, "candidates", columns, (_run(project, number) for number in range(1, runs + 1)))
    points = "candidate_id, name, value, timestamp, step"
    insert(connection, "candidate_metrics", f"{points}, is_nan", ((*row, False) for row in _metrics(runs)))
    latest = ((*row, RUNS) for row in _metrics(runs))
    insert(connection, "candidate_latest_metrics", f"{points}, experiment_id", latest)
    for table, names in (("candidate_params", PARAMS), ("candidate_tags", TAGS)):
        columns = "candidate_id, key, experiment_id, value, head"
        insert(connection, table, columns, _values(runs, names))


def _run(project: int, number: int) -> Row:
    begun = BEGUN + number * 1000
    return number, project, number, run_id(number), RUNS, f"run-{number}", "FINISHED", begun, begun + 500, begun, begun


def _metrics(runs: int) -> Iterator[Row]:
    chance = random.Random(1)  # noqa: S311 - the same project each time
    for run in range(1, runs + 1):
        for metric in range(METRICS):
            yield run, f"m{metric}", chance.random(), BEGUN, 1


def _values(runs: int, names: dict[str, int]) -> Iterator[Row]:
    for run in range(1, runs + 1):
        for name, kinds in names.items():
            value = f"{name}-{run % kinds}"
            yield run, name, RUNS, value, value[:64]


def _models(connection: sqlite3.Connection, project: int, sizes: Sizes) -> None:
    models = range(1, sizes.models + 1)
    versions = [(model, number) for model in models for number in range(VERSIONS_OF_MODEL)]
    made = "created_at, updated_at"
    experiments = ((model + RUNS, project, model + 1, f"[model]model-{model}", 0, 0) for model in models)
    insert(connection, "experiments", f"id, project_id, iid, name, {made}", experiments)
    rows: Iterator[Row] = ((m, project, f"model-{m}", "", m + RUNS, m, m) for m in models)
    insert(connection, "models", f"id, project_id, name, description, default_experiment_id, {made}", rows)
    semantic = "version, major, minor, patch, prerelease, description, source, run_link, stage, run_id"
    rows = (
        (i, project, m, f"1.0.{n}", 1, 0, n, "", "", "", "", "None", f"v{i}", i, i)
        for i, (m, n) in enumerate(versions, start=1)
    )
    insert(connection, "model_versions", f"id, project_id, model_id, {semantic}, {made}", rows)
    columns = f"project_id, iid, eid, experiment_id, model_version_id, name, status, start_time, {made}"
    rows = (
        (project, sizes.runs + i, f"v{i}", m + RUNS, i, f"version-{i}", "RUNNING", 0, 0, 0)
        for i, (m, _n) in enumerate(versions, start=1)
    )
    insert(connection, "candidates", columns, rows)
    rows = ((i, "stage", f"s{n}") for i, (_m, n) in enumerate(versions, start=1))
    insert(connection, "model_version_tags", "model_version_id, key, value", rows)
