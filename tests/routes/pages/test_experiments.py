"""Pages of experiments: the tree, tables of runs with their filters, orders and columns, bulk changes, CSV, curves."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import sqlite3
import struct
from array import array
from collections.abc import Callable
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import httpx2
import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from modelyard.departures import ClientGone
from modelyard.errors import ShortRead
from modelyard.registry.tracking import rings
from modelyard.routes.pages import run_exports
from modelyard.routes.pages.visit import Visit
from modelyard.services.tracking.run_tables import Wanted
from tests.conftest import Account
from tests.routes.pages.conftest import SignIn
from tests.routes.pages.tracked import NASTY, World


def names(answer: httpx2.Response) -> list[str]:
    """The runs of a table, in order."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'/candidates/\d+">([^<]*)</a>', answer.text)


def headings(answer: httpx2.Response) -> list[str]:
    found = re.findall(r'<th scope="col"[^>]*>(?:<a [^>]*>)?([^<]+?)\s*<', answer.text)
    return [name for name in found if name not in ("Run", "Status", "Started", "Duration")]


def test_experiments_are_a_tree_that_is_filtered_and_paged(world: World, visitor: httpx2.Client) -> None:
    for name in ("churn/base", "churn/deep/one", "zebra", NASTY + "/x"):
        iid = world.experiment(name)
    world.run(iid)
    page = visitor.get(f"{world.pages}/experiments")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    found = re.findall(r'class="name (?:folder )?in-(\d)"[^>]*>(?:<a [^>]*>)?([^<]+)', page.text)
    assert found[1:] == [
        ("0", "Default"),
        ("0", "churn/"),
        ("1", "base"),
        ("1", "deep/"),
        ("2", "one"),
        ("0", "zebra"),
    ] or (("0", "churn/") in found and found.index(("2", "one")) == found.index(("1", "deep/")) + 1)
    assert ">zebra</a>" not in visitor.get(f"{world.pages}/experiments?search=CHURN").text
    assert "No experiment matches" in visitor.get(f"{world.pages}/experiments?search=none").text
    assert visitor.get(f"{world.pages}/experiments?after=nonsense").status_code == 400


def test_an_experiment_is_made_changed_deleted_and_restored(world: World, admin: httpx2.Client) -> None:
    base = f"{world.pages}/experiments"
    assert admin.get(f"{base}/new").status_code == 200
    refused = admin.post(f"{base}/new", data={"name": "Default", "description": "kept as typed"})
    assert (refused.status_code, "already exists" in refused.text, "kept as typed" in refused.text) == (400, True, True)
    made = admin.post(f"{base}/new", data={"name": "mine", "description": "What it is for"})
    assert made.status_code == 303
    url = made.headers["location"]
    assert "What it is for" in admin.get(url).text
    assert admin.post(f"{url}/edit", data={"name": "Default"}).status_code == 400
    assert admin.post(f"{url}/edit", data={"name": "yours", "description": ""}).status_code == 303
    page = admin.get(url).text
    assert ("yours" in page, "What it is for" in page) == (True, False)
    assert 'value="yours"' in admin.get(f"{url}/edit").text
    assert admin.post(f"{url}/edit", data={"name": "yours", "description": "What it became"}).status_code == 303
    assert "What it became" in admin.get(url).text
    for _ in range(2):
        assert admin.post(f"{url}/edit", data={"name": "yours", "description": " "}).status_code == 303
    assert admin.post(f"{url}/delete").status_code == 303
    assert "yours" not in admin.get(base).text
    assert "yours" in admin.get(f"{base}?view=deleted").text
    assert admin.post(f"{url}/delete").status_code == 404
    assert admin.post(f"{url}/restore").status_code == 303
    assert "yours" in admin.get(base).text
    assert admin.get(f"{base}/999").status_code == 404


def test_what_one_may_not_do_is_not_shown_and_refused(
    world: World, visitor: httpx2.Client, sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    run = world.run()
    guest = sign_in(make_user().token)
    base = f"{world.pages}/experiments"
    for client, status in ((visitor, 303), (guest, 403)):
        for page in (
            base,
            f"{base}/0",
            f"{world.pages}/candidates/{run['iid']}",
            f"{world.pages}/candidates/{run['iid']}?tab=tags",
        ):
            text = client.get(page).text
            assert not re.search(r'method="post" action="(?!/(?:users|-)/)(?![^"]*/runs\?)', text), page
            assert 'name="action"' not in text
        assert client.get(f"{base}/new").status_code == status
        for path, data in (
            ("experiments/new", {"name": "x"}),
            ("experiments/0/edit", {"name": "x"}),
            ("experiments/0/delete", {}),
            ("experiments/0/runs", {"action": "delete", "which": "matching"}),
            ("candidates/1/delete", {}),
            ("candidates/1/restore", {}),
            ("candidates/1/edit", {"name": "x"}),
            ("candidates/1/tags", {"key": "a", "value": "b"}),
            ("candidates/1/tags/delete", {"key": "a"}),
            ("candidates/1/promote", {"model": "m"}),
        ):
            answer = client.post(f"{world.pages}/{path}", data=data)
            assert answer.status_code == (401 if client is visitor else 403), path
    assert len(names(visitor.get(f"{base}/0"))) == 1


def test_private_experiments_are_pages_that_are_not_there(
    visitor: httpx2.Client,
    sign_in: SignIn,
    make_user: Callable[..., Account],
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
) -> None:
    hidden = World(root, make_project())
    run = hidden.run(metrics={"m": [1]})
    stranger = sign_in(make_user().token)
    for path in (
        "experiments",
        "experiments/0",
        "experiments/0.csv",
        "experiments/0/keys",
        f"experiments/0/compare?runs={run['iid']}",
        f"candidates/{run['iid']}",
        f"curves?metric=m&run={run['iid']}",
        f"runs/{run['run_id']}",
    ):
        assert stranger.get(f"{hidden.pages}/{path}").status_code == 404, path
        assert visitor.get(f"{hidden.pages}/{path}").status_code in (303, 404), path
    assert stranger.get(f"/api/v4/projects/{hidden.id}/ml/mlflow/").status_code == 404


def test_the_first_view_shows_metrics_and_parameters_and_columns_are_chosen_and_remembered(
    world: World, visitor: httpx2.Client
) -> None:
    for number in range(3):
        world.run(
            run_name=f"r{number}",
            metrics={"loss": [3, number], "acc": [0.123456]},
            params={"lr": "0.1"},
            tags={"team": "a"},
        )
    url = f"{world.pages}/experiments/0"
    first = visitor.get(url)
    assert headings(first) == ["acc", "loss", "loss (course)", "lr"]
    assert first.text.count("<polyline") == 3
    assert 'title="0.123456">0.1235</td>' in first.text
    chosen = visitor.get(
        url, params={"c": ["max.loss", "tag.team", "nonsense", "metric.none", "max.loss"], "more": "min.loss"}
    )
    assert headings(chosen) == ["loss (max)", "team", "none", "loss (min)"]
    assert ">3</td>" in chosen.text
    assert headings(visitor.get(url)) == ["loss (max)", "team", "none", "loss (min)"]
    again = visitor.get(f"{url}?sort=tag.team&dir=asc")
    assert headings(again) == ["loss (max)", "team", "none", "loss (min)"]
    assert "c=max.loss" in again.text
    assert headings(visitor.get(f"{world.pages}/experiments/0?columns=usual")) == ["acc", "loss", "loss (course)", "lr"]
    assert headings(visitor.get(url)) == ["acc", "loss", "loss (course)", "lr"]
    many = visitor.get(url, params={"c": [f"metric.m{number}" for number in range(60)]})
    assert len(headings(many)) == 40


def test_pinned_columns_come_first_and_are_remembered_until_they_are_let_go(
    world: World, visitor: httpx2.Client
) -> None:
    world.run(metrics={"a": [1], "b": [2], "c": [3]}, params={"lr": "0.1"})
    url = f"{world.pages}/experiments/0"
    assert headings(visitor.get(url)) == ["a", "b", "c", "lr"]
    held = visitor.get(url, params={"pin": ["param.lr", "metric.c", "param.lr", "nonsense"]})
    assert headings(held) == ["lr", "c", "a", "b"]
    assert re.findall(r'<td[^>]*class="[^"]*pin-(\d)', held.text) == ["0", "1"]
    assert headings(visitor.get(url)) == ["lr", "c", "a", "b"]
    links = re.findall(r'<a class="pin" href="([^"]+)" aria-pressed="true"', visitor.get(url).text)
    assert headings(visitor.get(url + links[0].replace("&amp;", "&"))) == ["c", "a", "b", "lr"]
    links = re.findall(r'<a class="pin" href="([^"]+)" aria-pressed="true"', visitor.get(url).text)
    assert headings(visitor.get(url + links[0].replace("&amp;", "&"))) == ["a", "b", "c", "lr"]
    assert headings(visitor.get(url)) == ["a", "b", "c", "lr"]
    many = visitor.get(url, params={"pin": [f"metric.m{number}" for number in range(9)]})
    assert headings(many)[:5] == ["m0", "m1", "m2", "m3", "a"]
    assert visitor.get(f"{url}.csv", params={"pin": "metric.c", "c": ["metric.a", "course.a"]}).text.startswith(
        "Run,Run ID,Number,Status,Started,Ended,metric.c,metric.a\r\n"
    )


def test_views_are_kept_shown_by_their_names_and_forgotten(
    world: World, visitor: httpx2.Client, admin: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (1, 2, 3):
        world.run(run_name=f"r{value}", metrics={"m": [value]}, params={"p": "x"})
    url = f"{world.pages}/experiments/0"
    table = "?c=metric.m&pin=param.p&filter=metrics.m+%3E+1&sort=metric.m&dir=asc"
    name = "best & <b>1"
    kept = admin.post(f"{url}/views{table}", data={"name": name})
    assert (kept.status_code, kept.headers["location"]) == (303, f"{url}?view=best+%26+%3Cb%3E1")
    seen = visitor.get(kept.headers["location"])
    assert headings(seen) == ["p", "m"]
    assert re.findall(r">(r\d)</a>", seen.text) == ["r2", "r3"]
    assert 'aria-current="page" dir="auto">best &amp; &lt;b&gt;1</a>' in seen.text
    assert "modelyard.view" not in seen.text
    assert headings(visitor.get(url)) == ["m", "p"]
    assert "sort=metric.m" in seen.text.replace("&amp;", "&")
    for wrong in ("", "deleted", "all", "x" * 101):
        refused = admin.post(f"{url}/views", data={"name": wrong})
        assert refused.status_code == 400, wrong
        assert refused.text.count(f'value="{wrong}"') >= 1
    monkeypatch.setattr("modelyard.routes.pages.run_views.MAX_VIEWS", 1)
    assert "at most 1 views" in admin.post(f"{url}/views", data={"name": "other"}).text
    assert admin.post(f"{url}/views{table}", data={"name": name}).status_code == 303
    assert admin.post(f"{url}/views", data={"name": name, "action": "forget"}).status_code == 303
    assert admin.post(f"{url}/views", data={"name": name, "action": "forget"}).status_code == 404
    assert len(re.findall(r">(r\d)</a>", visitor.get(f"{url}?view={name}").text)) == 3


def test_runs_are_filtered_and_faults_are_told_with_their_place(world: World, visitor: httpx2.Client) -> None:
    for number in range(4):
        world.run(run_name=f"r{number}", metrics={"loss": [number]}, params={"lr": str(number % 2)})
    url = f"{world.pages}/experiments/0"
    assert set(names(visitor.get(url, params={"filter": "metrics.loss > 1 AND params.lr = '1'"}))) == {"r3"}
    for text, place in (("metrics.loss >", 15), ("metrics.loss ! 3", 14), (f"{NASTY} = 1", 1)):
        page = visitor.get(url, params={"filter": text})
        assert page.status_code == 400
        assert f"(character {place})" in page.text, text
        assert "expected clauses such as" in page.text
        assert "<script>alert" not in page.text
    wrong = visitor.get(url, params={"filter": "attributes.nothing = 'x'"})
    assert (wrong.status_code, "Invalid attribute key" in wrong.text) == (400, True)
    assert "No run matches" in visitor.get(url, params={"filter": "run_name = 'none'"}).text
    assert visitor.get(url, params={"filter": "a\0"}).status_code == 400
    assert visitor.get(url, params={"filter": "x" * 10_001}).status_code == 400


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("metric.loss", ["r4", "r3", "r2", "r1", "r0"]),
        ("param.lr", ["r4", "r3", "r2", "r1", "r0"]),
        ("tag.t", ["r4", "r3", "r2", "r1", "r0"]),
        ("run_name", ["r4", "r3", "r2", "r1", "r0"]),
        ("start_time", ["r4", "r3", "r2", "r1", "r0"]),
    ],
)
def test_runs_are_sorted_by_anything_and_paged_in_that_order(
    world: World, visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch, sort: str, expected: list[str]
) -> None:
    monkeypatch.setattr("modelyard.services.tracking.run_tables.ROWS", 2)
    for n in range(5):
        world.run(run_name=f"r{n}", metrics={"loss": [n]}, params={"lr": str(n)}, tags={"t": str(n)}, start_time=n + 1)
    world.run(run_name="without", start_time=0)
    url = f"{world.pages}/experiments/0"
    turned = expected[::-1]
    if sort == "run_name":
        orders = {"desc": ["without", *expected], "asc": [*turned, "without"]}
    else:  # a run that lacks what is sorted by comes last in either direction
        first = sort == "start_time"
        orders = {"desc": [*expected, "without"], "asc": ["without", *turned] if first else [*turned, "without"]}
    for direction, order in orders.items():
        found, page = [], visitor.get(f"{url}?sort={sort}&dir={direction}")
        while True:
            found += names(page)
            following = re.search(r'rel="next" href="([^"]+)"', page.text)
            if following is None:
                break
            page = visitor.get(url + following[1].replace("&amp;", "&"))
        assert found == order


def test_children_are_below_their_parents_and_unfold(world: World, visitor: httpx2.Client) -> None:
    parent = world.run(run_name="parent")
    for number in range(3):
        world.run(run_name=f"child{number}", tags={"mlflow.parentRunId": parent["run_id"]}, metrics={"m": [number]})
    orphan = world.run(run_name="orphan", tags={"mlflow.parentRunId": "gone"})
    own = world.run(run_name="own")
    world.call("runs/set-tag", run_id=own["run_id"], key="mlflow.parentRunId", value=own["run_id"])
    url = f"{world.pages}/experiments/0"
    assert set(names(visitor.get(url))) == {"parent", "orphan", "own"}
    opened = visitor.get(f"{url}?open={parent['iid']},{orphan['iid']}")
    found = names(opened)
    at = found.index("parent")
    assert sorted(found[at : at + 4]) == ["child0", "child1", "child2", "parent"]
    assert 'aria-expanded="true"' in opened.text
    assert len(names(visitor.get(f"{url}?children=flat"))) == 6
    assert set(names(visitor.get(f"{url}?parent={parent['iid']}"))) == {"child0", "child1", "child2"}
    assert names(visitor.get(f"{url}?parent=999999")) == []
    assert len(names(visitor.get(f"{url}?filter=metrics.m>=1"))) == 2
    tab = visitor.get(f"{world.pages}/candidates/{parent['iid']}?tab=children&sort=metric.m&dir=asc")
    assert [name for name in names(tab) if name.startswith("child")] == ["child0", "child1", "child2"]
    assert "parent</a>" in visitor.get(f"{world.pages}/candidates/{orphan['iid'] - 1}").text


@pytest.mark.parametrize("length", [1, 2, 4, 5, 12])
def test_runs_that_are_each_other_s_parents_are_shown(world: World, visitor: httpx2.Client, length: int) -> None:
    ring = [world.run(run_name=f"ring-{number}") for number in range(length)]
    for run, parent in zip(ring, [*ring[1:], ring[0]], strict=True):
        world.call("runs/set-tag", run_id=run["run_id"], key="mlflow.parentRunId", value=parent["run_id"])
    below = world.run(run_name="below", tags={"mlflow.parentRunId": ring[0]["run_id"]})
    page = visitor.get(f"{world.pages}/experiments/0").text
    assert set(re.findall(r">(ring-\d+|below)</a>", page)) == {f"ring-{number}" for number in range(length)}
    opened = visitor.get(f"{world.pages}/experiments/0?open={ring[0]['iid']}").text
    assert ">below</a>" in opened
    for run in (*ring, below):
        shown = visitor.get(f"{world.pages}/candidates/{run['iid']}").text
        assert ("leads back to this run" in shown) == (run is not below)


def test_a_ring_is_one_only_as_far_as_a_view_goes_and_a_long_way_up_is_none(
    world: World, visitor: httpx2.Client
) -> None:
    ring = [world.run(run_name=f"ring-{number}") for number in range(6)]
    for run, parent in zip(ring, [*ring[1:], ring[0]], strict=True):
        world.call("runs/set-tag", run_id=run["run_id"], key="mlflow.parentRunId", value=parent["run_id"])
    above = ring[0]
    world.call("runs/delete", run_id=above["run_id"])
    url = f"{world.pages}/experiments/0"
    assert names(visitor.get(url)) == ["ring-5"]  # whose parent is deleted, and below which are all others
    assert names(visitor.get(f"{url}?view=deleted")) == ["ring-0"]
    assert len(names(visitor.get(f"{url}?view=all"))) == 6
    elsewhere = world.experiment("elsewhere")
    far = world.run(elsewhere, run_name="far", tags={"mlflow.parentRunId": ring[3]["run_id"]})
    world.call("runs/set-tag", run_id=ring[3]["run_id"], key="mlflow.parentRunId", value=far["run_id"])
    assert names(visitor.get(f"{world.pages}/experiments/{elsewhere}")) == ["far"]
    assert "leads back to this run" in visitor.get(f"{world.pages}/candidates/{far['iid']}").text


def test_where_too_many_may_be_in_rings_all_runs_are_shown(
    world: World, visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = [world.run(run_name="top")]
    for number in range(3):
        chain.append(world.run(run_name=f"below-{number}", tags={"mlflow.parentRunId": chain[-1]["run_id"]}))
    url = f"{world.pages}/experiments/0"
    assert names(visitor.get(url)) == ["top"]
    monkeypatch.setattr(rings, "MAX_BETWEEN", 1)
    rings._between.cache_clear()
    assert len(names(visitor.get(url))) == 4
    monkeypatch.undo()
    rings._between.cache_clear()


def test_only_what_differs_is_shown_if_wanted(world: World, visitor: httpx2.Client) -> None:
    long = "x" * 500
    for number in range(2):
        world.run(metrics={"same": [1], "other": [number]}, params={"p": "1", "text": f"{long}{number}"})
    page = visitor.get(f"{world.pages}/experiments/0?differing=1")
    assert headings(page) == ["other", "text"]
    assert "2 columns with the same" in page.text


def test_many_runs_are_changed_at_once(world: World, admin: httpx2.Client) -> None:
    runs = [world.run(run_name=f"r{n}", metrics={"m": [n]}) for n in range(4)]
    url = f"{world.pages}/experiments/0"
    assert "all 4 runs of this table" in admin.get(url).text
    none = admin.post(f"{url}/runs", data={"action": "delete", "which": "selected"})
    assert (none.status_code, "No run is selected" in none.text) == (400, True)
    tagged = admin.post(
        f"{url}/runs", data={"action": "tag", "runs": [runs[0]["iid"], runs[1]["iid"]], "key": "k", "value": "v"}
    )
    assert tagged.status_code == 303
    assert "2 runs have been tagged" in admin.get(tagged.headers["location"]).text
    assert set(names(admin.get(url, params={"filter": "tags.k = 'v'"}))) == {"r0", "r1"}
    kept = admin.post(f"{url}/runs", data={"action": "tag", "runs": [runs[0]["iid"]], "key": "", "value": "typed"})
    assert (kept.status_code, 'value="typed"' in kept.text) == (400, True)
    gone = admin.post(f"{url}/runs?filter=metrics.m>=2", data={"action": "delete", "which": "matching"})
    assert "2 runs have been deleted" in admin.get(gone.headers["location"]).text
    assert set(names(admin.get(url))) == {"r0", "r1"}
    assert set(names(admin.get(f"{url}?view=deleted"))) == {"r2", "r3"}
    back = admin.post(f"{url}/runs?view=deleted", data={"action": "restore", "which": "matching"})
    assert back.status_code == 303
    assert len(names(admin.get(url))) == 4
    world.call("registered-models/create", name="m")
    promoted = admin.post(f"{world.pages}/candidates/{runs[0]['iid']}/promote", data={"model": "m"})
    assert promoted.status_code == 303
    assert admin.get(promoted.headers["location"]).status_code == 200
    some = admin.post(f"{url}/runs", data={"action": "delete", "which": "matching"})
    assert "3 runs have been deleted; 1 stay as they were" in admin.get(some.headers["location"]).text
    assert admin.post(f"{url}/runs", data={"action": "explode", "runs": "1"}).status_code == 400
    other = world.experiment("other")
    stranger = admin.post(f"{world.pages}/experiments/{other}/runs", data={"action": "delete", "runs": runs[0]["iid"]})
    assert "0 runs have been deleted" in admin.get(stranger.headers["location"]).text


def test_csv_has_all_runs_as_the_table_has_them_and_no_formula(
    world: World, visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.services.tracking.run_tables.ROWS", 2)
    long = "y" * 3000
    for n, text in enumerate(("=1+1", "+x", "-0.5", "@a", 'a"b,c', f"{long}\nz")):
        world.run(run_name=f"=r{n}", metrics={"m": [n], "odd": ["NaN"]}, params={"p": text}, status="FINISHED")
    answer = visitor.get(f"{world.pages}/experiments/0.csv?sort=metric.m&dir=asc&c=metric.m&c=param.p&c=metric.odd")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="experiment-0.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["Run", "Run ID", "Number", "Status", "Started", "Ended", "metric.m", "param.p", "metric.odd"]
    assert [row[0] for row in rows[1:]] == [f"'=r{n}" for n in range(6)]
    assert [row[7] for row in rows[1:]] == ["'=1+1", "'+x", "-0.5", "'@a", 'a"b,c', f"{long}\nz"]
    assert {row[8] for row in rows[1:]} == {"NaN"}
    usual = list(csv.reader(io.StringIO(visitor.get(f"{world.pages}/experiments/0.csv?columns=usual").text)))
    assert (usual[0][6:], len(usual)) == (["metric.m", "metric.odd", "param.p"], 7)
    assert visitor.get(f"{world.pages}/experiments/0.csv?filter=nonsense").status_code == 400


def test_a_grid_is_told_all_rows_in_portions(
    world: World, visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.routes.pages.run_exports.PORTION", 2)
    made = []
    for number in range(5):
        value = ("NaN", "Infinity", 1 / 3, 123456.7, -2)[number]
        params = {"p": "x" * 100} if number else {}
        made.append(world.run(run_name=f"r{number}", metrics={"m": [value]}, params=params)["iid"])
    url = f"{world.pages}/experiments/0/grid"
    answer = visitor.get(url, params={"sort": "run_name", "dir": "asc", "c": ["metric.m", "param.p", "course.m"]})
    assert answer.headers["content-encoding"] == "gzip"
    head, *portions = map(json.loads, answer.text.splitlines())
    assert head["count"] == 5
    assert [column["id"] for column in head["columns"]][4:] == ["metric.m", "param.p"]
    assert [len(portion["iid"]) for portion in portions] == [2, 2, 1]
    fields = [[value for portion in portions for value in portion["fields"][number]] for number in (0, 4, 5)]
    assert fields[0] == [f"r{number}" for number in range(5)]
    assert fields[1] == ["NaN", "Infinity", 0.3333, 123500.0, -2.0]
    numbers = [list(accumulate(portion["iid"])) for portion in portions]
    begun = [list(accumulate(portion["fields"][2])) for portion in portions]
    assert [each for part in numbers for each in part] == made
    assert {each for part in begun for each in part} == {1_700_000_000_000}
    assert fields[2] == [None, *["x" * 64] * 4]
    monkeypatch.setattr("modelyard.routes.pages.run_exports.GRID_ROWS", 3)
    assert [len(json.loads(each)["iid"]) for each in visitor.get(url).text.splitlines()[1:]] == [2, 1]
    plain = visitor.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text.startswith('{"columns":')
    assert visitor.get(url, params={"filter": "nonsense"}).status_code == 400


def test_keys_come_in_portions(world: World, visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.services.tracking.run_columns.MAX_KEYS", 3)
    monkeypatch.setattr("modelyard.services.tracking.run_columns.MAX_WALKED", 5)
    for _ in range(2):
        world.run(metrics={f"m{n}": [1] for n in range(8)} | {"Loss": [1]}, params={"lr": "1"}, tags={"t": "1"})
    url = f"{world.pages}/experiments/0/keys"
    found, after = [], ""
    while after is not None:
        answer = visitor.get(url, params={"kind": "metric", "search": "M", "after": after}).json()
        found += answer["keys"]
        after = answer["following"]
    assert found == [f"m{n}" for n in range(8)]
    assert visitor.get(url, params={"search": "loss"}).json()["keys"] == ["Loss"]
    assert visitor.get(url, params={"kind": "param"}).json() == {"keys": ["lr"], "following": None}
    assert "t" in visitor.get(url, params={"kind": "tag"}).json()["keys"]
    assert visitor.get(url, params={"kind": "none"}).status_code == 400
    assert visitor.get(url, params={"search": "\0"}).status_code == 400


def curves_of(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    (length,) = struct.unpack_from("<I", answer.content)
    found, at = json.loads(answer.content[4 : 4 + length]), 4 + length
    for each in found:
        x, y = array("d"), array("f")
        x.frombytes(answer.content[at : at + 8 * each["shown"]])
        at += 8 * each["shown"]
        y.frombytes(answer.content[at : at + 4 * each["shown"]])
        at += 4 * each["shown"]
        each["points"] = list(zip(x, y, strict=True))
    assert at == len(answer.content)
    return list(found)


def test_curves_keep_extremes_tell_how_many_points_there_are_and_go_into_detail(
    world: World, visitor: httpx2.Client
) -> None:
    values: list[float | str] = [n % 7 for n in range(3000)]
    values[1234], values[2000], values[2001], values[2002] = 99, -99, "NaN", "Infinity"
    run, other = world.run(metrics={"m": values}, run_name="a"), world.run(metrics={"m": [5, 6]}, run_name="b")
    url = f"{world.pages}/curves"
    ask: dict[str, Any] = {"metric": "m", "run": [run["iid"], other["iid"], 10**9], "points": 100}
    many, few = curves_of(visitor.get(url, params=ask))
    assert (many["total"], many["odd"], many["name"], few["total"]) == (3000, 2, "a", 2)
    assert 90 <= many["shown"] <= 110
    assert {99.0, -99.0} <= {y for _, y in many["points"]}
    assert [x for x, _ in many["points"]] == sorted(x for x, _ in many["points"])
    assert few["points"] == [(0, 5), (1, 6)]
    zoomed = curves_of(visitor.get(url, params=ask | {"from": 1230, "to": 1239}))[0]
    assert zoomed["points"] == [(float(n), 99 if n == 1234 else n % 7) for n in range(1230, 1240)]
    assert curves_of(visitor.get(url, params=ask | {"points": "all"}))[0]["shown"] == 2998
    by_time = curves_of(visitor.get(url, params=ask | {"x": "time"}))[0]
    assert by_time["points"][0][0] == 1_700_000_000_000
    assert curves_of(visitor.get(url, params={"metric": "none", "run": run["iid"]}))[0]["total"] == 0
    wrongs: tuple[dict[str, Any], ...] = (
        {"metric": ""},
        {"run": []},
        {"run": list(range(1, 12))},
        {"x": "y"},
        {"points": "1"},
        {"from": "2", "to": "1"},
        {"from": "a", "to": "b"},
    )
    for wrong in wrongs:
        assert visitor.get(url, params=ask | wrong).status_code == 400, wrong


@pytest.mark.parametrize("steps", [[-(2**63), 2**63 - 1, 0], [5, 5, 5, 5], [2**62, 2**62 + 1, 2**62 + 2, 2**62 + 3]])
def test_curves_of_any_steps_are_drawn(world: World, visitor: httpx2.Client, steps: list[int]) -> None:
    run = world.run()
    points = [{"key": "m", "value": n, "timestamp": n, "step": step} for n, step in enumerate(steps)]
    world.call("runs/log-batch", run_id=run["run_id"], metrics=points)
    ask: dict[str, Any] = {"metric": "m", "run": run["iid"], "points": 2}
    (curve,) = curves_of(visitor.get(f"{world.pages}/curves", params=ask))
    assert curve["total"] == len(steps)
    assert {y for _, y in curve["points"]} >= {0.0, float(len(steps) - 1)} - (
        {2.0} if len(steps) == 3 else set()
    ) or curve["shown"]
    assert visitor.get(f"{world.pages}/candidates/{run['iid']}").status_code == 200


@pytest.mark.parametrize("axis", ["step", "time"])
@pytest.mark.parametrize(
    "steps",
    [
        *([7] * 400, list(range(400)), list(range(400, 0, -1)), [n % 5 for n in range(400)]),
        *([n * 50 for n in range(400)], [2**62 * (-1) ** n for n in range(400)]),
    ],
    ids=["one", "rising", "falling", "again", "sparse", "far"],
)
def test_long_curves_are_right_wherever_their_steps_and_times_lie(
    world: World, visitor: httpx2.Client, steps: list[int], axis: str
) -> None:
    """Each part has its extremes, drawn where it lies; nothing is told that is not there."""
    values: list[float | str] = [n % 3 for n in range(400)]
    values[100], values[200], values[300], values[301] = 50, -50, "NaN", "-Infinity"
    run, times = world.run(), [10 * n for n in range(400)]
    points = [
        {"key": "m", "value": value, "timestamp": time, "step": step}
        for value, time, step in zip(values, times, steps, strict=True)
    ]
    world.call("runs/log-batch", run_id=run["run_id"], metrics=points)
    ask: dict[str, Any] = {"metric": "m", "run": run["iid"], "points": 40, "x": axis}
    (curve,) = curves_of(visitor.get(f"{world.pages}/curves", params=ask))
    places = times if axis == "time" else steps
    assert (curve["total"], curve["odd"]) == (400, 2)
    assert curve["shown"] <= 42
    xs = [x for x, _ in curve["points"]]
    assert xs == sorted(xs)
    assert set(xs) <= {float(place) for place in places}
    part = (max(places) - min(places)) / 20 + 1
    for number, value in ((100, 50.0), (200, -50.0)):
        assert [abs(x - places[number]) <= part for x, y in curve["points"] if y == value] == [True]
    low, high = sorted(places)[100], sorted(places)[250]
    (zoomed,) = curves_of(visitor.get(f"{world.pages}/curves", params=ask | {"from": low, "to": high}))
    assert zoomed["total"] == sum(1 for place in places if low <= place <= high)
    assert all(low <= x <= high for x, _ in zoomed["points"])


def test_curves_of_many_runs_come_in_their_order_and_each_once(world: World, visitor: httpx2.Client) -> None:
    runs = [world.run(metrics={"m": [n, n + 1]})["iid"] for n in range(8)]
    asked = [runs[5], runs[0], runs[7], runs[0], 10**9, runs[2], runs[6], runs[1]]
    ask: dict[str, Any] = {"metric": "m", "run": asked}
    expected = [5, 0, 7, 2, 6, 1]
    for points in ({}, {"points": "all"}):
        found = curves_of(visitor.get(f"{world.pages}/curves", params=ask | points))
        assert [each["run"] for each in found] == [runs[n] for n in expected]
        assert [each["points"] for each in found] == [[(0, n), (1, n + 1)] for n in expected]


def test_too_many_points_at_once_are_refused(
    world: World, visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.services.tracking.curves.MOST_IN_ALL", 3)
    run = world.run(metrics={"m": [1, 2, 3, 4]})
    refused = visitor.get(f"{world.pages}/curves", params={"metric": "m", "run": run["iid"], "points": "all"})
    assert (refused.status_code, "choose fewer runs" in refused.text) == (400, True)


def test_charts_have_a_table_and_a_course_without_a_script(world: World, visitor: httpx2.Client) -> None:
    run = world.run(run_name="r", metrics={"loss": [3, 2, 1], NASTY: [1, 2]})
    page = visitor.get(f"{world.pages}/experiments/0?tab=charts")
    assert page.status_code == 200
    assert page.text.count("<metric-chart") == 2
    assert f'data-runs="{run["iid"]}"' in page.text
    assert page.text.count("<polyline") == 2
    assert "<script>alert" not in page.text
    chosen = visitor.get(f"{world.pages}/experiments/0?tab=charts&metric=loss")
    assert chosen.text.count("<metric-chart") == 1
    assert (
        "There is no metric to draw"
        in visitor.get(f"{world.pages}/experiments/{world.experiment('e')}?tab=charts").text
    )


def test_runs_are_compared(world: World, visitor: httpx2.Client) -> None:
    runs = [
        world.run(
            run_name=f"r{n}", metrics={"m": [n], "same": [1]}, params={"lr": str(n / 10), "p": NASTY, "b": f"v{n}"}
        )
        for n in range(3)
    ]
    iids = [str(run["iid"]) for run in runs]
    base = f"{world.pages}/experiments/0/compare"
    sent = visitor.get(base, params={"runs": iids, "which": "selected"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{base}?runs={','.join(iids)}")
    matching = visitor.get(base, params={"which": "matching", "filter": "metrics.m < 2"})
    led = {f"{base}?runs={','.join(order)}" for order in ((iids[0], iids[1]), (iids[1], iids[0]))}
    assert (matching.status_code, matching.headers["location"] in led) == (303, True)
    page = visitor.get(sent.headers["location"])
    assert page.status_code == 200
    rows = re.findall(r'<th scope="row" class="name" dir="auto">(\w+) <span', page.text)
    assert rows == ["m", "b", "lr"]
    assert "2 fields with the same" in page.text
    assert page.text.count("<polyline points") == 3
    assert re.findall(r"</span> (r\d)</li>", page.text.partition('aria-label="Lines"')[2]) == ["r0", "r1", "r2"]
    whole = visitor.get(f"{sent.headers['location']}&all=1")
    assert "same <span" in whole.text
    assert "<script>alert" not in whole.text
    baseline = visitor.get(f"{sent.headers['location']}&baseline={iids[2]}")
    assert "(-2)" in baseline.text
    assert baseline.text.index(">r2</a>") < baseline.text.index(">r0</a>")
    turned = visitor.get(f"{sent.headers['location']}&transpose=1")
    assert re.findall(r'<th scope="col"[^>]*>(\w+)</th>', turned.text)[:5] == ["Run", "Status", "m", "b", "lr"]
    assert "1 of them do not exist" in visitor.get(f"{base}?runs={iids[0]},999999").text
    assert visitor.get(f"{base}?runs=").status_code == 404
    assert visitor.get(f"{base}?runs=9999999999999999999").status_code == 404
    assert visitor.get(base).status_code == 404


def test_links_of_mlflow_s_client_lead_to_the_pages(world: World, visitor: httpx2.Client) -> None:
    run = world.run()
    for url in (
        f"/api/v4/projects/{world.id}/ml/mlflow/",
        f"/api/v4/projects/{world.path.replace('/', '%2F')}/ml/mlflow",
    ):
        page = visitor.get(url)
        assert page.status_code == 200
        assert f'data-there="{world.pages}"' in page.text
        assert f'href="{world.pages}/experiments"' in page.text
    made = world.call("logged-models", experiment_id="0", name="logged", source_run_id=run["run_id"])
    logged = made["model"]["info"]["model_id"]
    world.call("registered-models/create", name="a b é")
    version = world.call("model-versions/create", name="a b é", source="s3://b/m")["model_version"]["version"]
    of_run, of_model = f"{world.pages}/candidates/{run['iid']}", f"{world.pages}/models/"
    for fragment, place in {
        f"experiments/0/runs/{run['run_id']}": of_run,
        f"experiments/0/runs/{run['run_id']}/artifacts/model": f"{of_run}?tab=files",
        f"runs/{run['run_id']}": of_run,
        f"experiments/0/models/{logged}": of_run,
        "experiments/0": f"{world.pages}/experiments/0",
        "experiments/0/runs": f"{world.pages}/experiments/0",
        "experiments": f"{world.pages}/experiments",
        "models": f"{world.pages}/models",
        "models/a%20b%20%C3%A9": of_model,
        f"models/a%20b%20%C3%A9/versions/{version}": f"/versions/{version}",
    }.items():
        found = visitor.get(f"{world.pages}/mlflow/{fragment}")
        assert found.status_code == 303, fragment
        assert place in found.headers["location"], fragment
        assert visitor.get(found.headers["location"]).status_code == 200, fragment
    for missing in ("runs/nothing", "experiments/999", "models/none", "models/none/versions/1", "prompts/p", ""):
        assert visitor.get(f"{world.pages}/mlflow/{missing}").status_code == 404, missing
    assert visitor.get(f"{world.pages}/mlflow/models/%zz").status_code == 400


@pytest.mark.parametrize(
    ("error", "told"),
    [(ClientGone(), []), (OperationalError("SELECT 1", {}, sqlite3.OperationalError("gone")), ["export cut off"])],
    ids=["client", "database"],
)
def test_an_export_that_cannot_go_on_is_cut_off(error: Exception, told: list[str]) -> None:
    async def find(_work: object, *, begun: bool) -> NoReturn:
        assert begun
        raise error

    got = list[bytes]()

    async def read() -> None:
        visit = cast(Visit, SimpleNamespace(find=find))
        pieces = run_exports._Pieces(visit, cast(Wanted, None), lambda _rows: b"", whole=True)
        async for piece in pieces.all(b"first", 7):
            got.append(piece)

    with capture_logs() as logs, pytest.raises(ShortRead):
        asyncio.run(read())
    assert got == [b"first"]
    assert [each["event"] for each in logs] == told
