"""Web pages beside MLflow's, in a browser that has never been there; and what pages of many runs take."""

from __future__ import annotations

import shutil
import sqlite3
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import seed_tracking
from bench.contenders.modelyard import MLFLOW, PROJECT, Modelyard, make_project, migrate
from bench.load import browser as browsers
from bench.metrics import Metrics
from bench.process import HOST
from bench.rest import Client
from bench.rows.tracking import Tracker
from bench.stage import Contender, Stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROWS = "tbody th a, [role=row] a"  # names of runs, here and there
ADMINISTRATOR = "root"  # whose namespace it is
PAGES = f"/{ADMINISTRATOR}/bench/-/ml"
CURVES = 10
NAMED = {"tree": "folder-{folder}/part/shard-{number:05}.bin", "flat": "shard-{number:05}.bin"}  # models, of files
LONG = "long"  # the experiment of the long curves
VIEWS = {
    "plain": "",
    "filter": "?filter=metrics.m1+%3E+0.5+AND+params.optimizer+%3D+%27optimizer-3%27",
    "sort by a metric": "?sort=metric.m3",
    "filter and sort": "?filter=metrics.m1+%3E+0.5&sort=metric.m2",
    "a page within": "?sort=metric.m3&after={middle}",
}


def first_view(stage: Stage) -> list[Contender]:
    """The runs of an experiment, opened for the first time."""
    browser = stage.enter(browsers.running())
    yard = stage.modelyard()
    client = yard.client()
    make_project(client)
    experiment = Tracker(client, MLFLOW, stage.scale.runs).experiment
    base = f"http://{HOST}:{yard.port}"
    sign_in = (f"{base}/users/sign_in", yard.token)
    contenders = [_opening("modelyard", browser, f"{base}{PAGES}/experiments/{experiment}", stage.scale.runs, sign_in)]
    if mlflow := stage.mlflow():
        experiment = Tracker(mlflow.client(), "", stage.scale.runs).experiment
        url = f"http://{HOST}:{mlflow.port}/#/experiments/{experiment}/runs"
        contenders.append(_opening("mlflow", browser, url, stage.scale.runs))
    return contenders


def many_runs(stage: Stage) -> list[Contender]:
    """Views of a table of many runs, each its server's answer as a client reads it; and all rows for a grid."""
    yard = _filled(stage)
    middle = stage.scale.page_runs // 2
    paths = {f"{name} ms": f"{PAGES}/experiments/1{query.format(middle=middle)}" for name, query in VIEWS.items()}
    grid, times = "all rows for a grid ms", stage.scale.page_requests

    def run() -> Metrics:
        of_views = _timed(yard, paths, times)
        return of_views | {grid: _timed(yard, {grid: f"{PAGES}/experiments/1/grid"}, max(times // 10, 1))[grid]}

    return [Contender("modelyard", run)]


def long_curves(stage: Stage) -> list[Contender]:
    """Curves of a metric, as a chart asks for them, over all of them and over a part."""
    yard = _filled(stage)
    first = _first_curve(stage.scale.page_runs)
    ask = f"{PAGES}/curves?metric=loss" + "".join(f"&run={first + number}" for number in range(CURVES))
    paths = {
        "by step ms": ask,
        "by time ms": f"{ask}&x=time",
        "a tenth of them ms": f"{ask}&from=0&to={stage.scale.curve_points // 10}",
    }
    return [Contender("modelyard", partial(_timed, yard, paths, stage.scale.page_requests))]


def folders(stage: Stage) -> list[Contender]:
    """Pages of a version's files: as a tree of folders, and all in one."""
    yard = stage.modelyard("files")
    client = yard.client()
    make_project(client)
    for kind in NAMED:
        for call in ("registered-models", "model-versions"):
            client.call("POST", f"{MLFLOW}/api/2.0/mlflow/{call}/create", {"name": kind})
    for version, _ in enumerate(NAMED, start=1):
        client.send("PUT", yard.file_of(PROJECT, str(version), "seed").path, b"x")
    yard.server.stop()
    connection = sqlite3.connect(yard.folder / "modelyard.db")
    for version, named in enumerate(NAMED.values(), start=1):
        names = ((named.format(number=number, folder=number % 50), version) for number in range(stage.scale.page_files))
        connection.executemany(
            "INSERT INTO package_files (package_id, name, sha256, size, created_at)"
            " SELECT package_id, ?, sha256, size, file.created_at FROM package_files file"
            " JOIN packages ON packages.id = package_id WHERE model_version_id = ? AND file.name = 'seed'",
            names,
        )
    connection.commit()
    connection.close()
    yard = stage.modelyard("files")
    paths = {
        f"{kind} ms": f"{PAGES}/models/{number}/versions/{number}/tree" for number, kind in enumerate(NAMED, start=1)
    } | {"a folder of it ms": f"{PAGES}/models/1/versions/1/tree/folder-7"}
    return [Contender("modelyard", partial(_timed, yard, paths, stage.scale.page_requests))]


def _opening(name: str, browser: Browser, url: str, runs: int, sign_in: tuple[str, str] | None = None) -> Contender:
    return Contender(name, lambda: browsers.opened(browser, url, ROWS, f"run-{runs - 1}", sign_in))


def _timed(yard: Modelyard, paths: dict[str, str], times: int) -> Metrics:
    client: Client = yard.client()

    def work() -> Metrics:
        found = {name: median(client.timed(path) for _ in range(times)) for name, path in paths.items()}
        return found | {"requests": len(paths) * times}

    return yard.server.watched(work)


def _filled(stage: Stage) -> Modelyard:
    """A server whose one project has many runs in its experiment 1, and an experiment of long curves; the database is
    kept for the next rows.
    """
    scale = stage.scale
    kept = stage.work / f"pages-{scale.page_runs}-{scale.curve_points}"
    folder = stage.folder("filled")
    if not kept.exists():
        migrate(stage.program, folder)
        yard = stage.modelyard("filled")
        make_project(yard.client())
        yard.server.stop()
        database = folder / "modelyard.db"
        seed_tracking.seed(database, 1, seed_tracking.Sizes(scale.page_runs, 1))
        _add_curves(database, scale.page_runs, scale.curve_points)
        shutil.copytree(folder, kept.with_suffix(".unfinished"), dirs_exist_ok=True)
        kept.with_suffix(".unfinished").replace(kept)
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)  # with the token that the database knows
    return stage.modelyard("filled")


def _first_curve(runs: int) -> int:
    """The iid of the first run with a long curve, behind those of the model's versions."""
    return runs + seed_tracking.VERSIONS_OF_MODEL + 1


def _add_curves(database: Path, runs: int, points: int) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN")
    experiment = connection.execute("SELECT max(id) + 1, max(iid) + 1 FROM experiments").fetchone()
    first = connection.execute("SELECT max(id) + 1 FROM candidates").fetchone()[0]
    seed_tracking.insert(
        connection,
        "experiments",
        "id, project_id, iid, name, created_at, updated_at",
        iter([(experiment[0], 1, experiment[1], LONG, 0, 0)]),
    )
    columns = "id, project_id, iid, eid, experiment_id, name, status, start_time, created_at, updated_at"
    seed_tracking.insert(
        connection,
        "candidates",
        columns,
        (
            (first + n, 1, _first_curve(runs) + n, f"long-{n}", experiment[0], f"long-{n}", "FINISHED", n, 0, 0)
            for n in range(CURVES)
        ),
    )
    rows = (
        (first + n, "loss", ((step * 7919) % 1000) / (step + 1000), seed_tracking.BEGUN + step, step, False)
        for begin in range(0, points, 1000)  # as clients write them, one after the other
        for n in range(CURVES)
        for step in range(begin, begin + 1000)
    )
    seed_tracking.insert(connection, "candidate_metrics", "candidate_id, name, value, timestamp, step, is_nan", rows)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
