"""Pages of experiments with thousands of runs and keys, and comparisons of as many runs as there may be."""

from __future__ import annotations

import gzip
import re
from functools import partial
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Request
from sqlalchemy import insert, literal, select

from modelyard.registry.engine import analyze
from modelyard.registry.tables import Candidate, CandidateMetric, CandidateParam, CandidateTag, LatestMetric
from tests.browsers import axe
from tests.databases import ON_POSTGRESQL
from tests.live import LiveServer
from tests.routes.pages.conftest import Open
from tests.routes.pages.test_experiments import names
from tests.routes.pages.tracked import World
from tests.statements import statements

# Runs, and keys of metrics; there are as many of parameters. Either number is above all bounds of the tables (2 000).
FEW, MANY, KEYS = 200, *((4_000, 2_400) if ON_POSTGRESQL else (10_000, 6_000))
ROWS = 100  # of a page
MOST_NODES = 3_500  # of any page
SORTS = (
    *("", "sort=start_time&dir=asc", "sort=run_name", "sort=run_name&dir=asc", "sort=status", "sort=end_time"),
    *(
        "sort=metric.all",
        "sort=metric.all&dir=asc",
        "sort=metric.m00007",
        "sort=param.all",
        "sort=param.p00007&dir=asc",
    ),
    *("sort=tag.team", "sort=metric.none", "filter=metrics.all+>=+0&sort=param.all"),
)
FILTERS = {  # and how many of MANY runs they find
    "metrics.all >= 0": MANY,
    "metrics.all > 0.5 AND params.all = 'v3'": MANY // 20,
    "params.all LIKE 'v%'": MANY,
    "params.all ILIKE 'V1%' AND metrics.all <= 0.5": MANY // 20,
    "attributes.run_name IN ('run-1', 'run-2') AND tags.team != 'none'": 2,
    "tags.team = 't1'": MANY // 10,
    "attributes.status = 'FINISHED'": MANY,
    "attributes.run_name LIKE 'run-99%'": sum(str(number).startswith("99") for number in range(MANY)),
    "attributes.start_time < 151": 150,
    "metrics.m00007 = 7": 2,
}


def seed(server: LiveServer, world: World, experiment: str, count: int) -> None:
    """So many runs in an experiment, with keys that all have and keys that few have, put in in bulk."""
    with server.app.state.database.writing() as registry:
        found = registry.experiments.by_iid(world.id, int(experiment))
        assert found is not None
        own = {"experiment_id": found.id}
        whole = own | {"project_id": world.id, "status": "FINISHED", "created_at": 0, "updated_at": 0}
        runs = [
            whole
            | {"iid": count + n, "eid": f"{found.id}-{n}", "name": f"run-{n}", "start_time": n + 1, "end_time": 2 * n}
            for n in range(count)
        ]
        registry.session.execute(insert(Candidate), runs)
        mine = select(Candidate.id).where(Candidate.experiment_id == found.id)
        rows: dict[Any, list[dict[str, Any]]] = {LatestMetric: [], CandidateParam: [], CandidateTag: []}
        for n, id_ in enumerate(registry.session.scalars(mine.order_by(Candidate.iid))):
            row = own | {"candidate_id": id_}
            for name, value in (("all", n * 7 % 1_000 / 999), (f"m{n % KEYS:05}", float(n % KEYS))):
                rows[LatestMetric].append(row | {"name": name, "value": value, "timestamp": 1, "step": 1})
            for key, text in (("all", f"v{n % 10}"), (f"p{n % KEYS:05}", str(n))):
                rows[CandidateParam].append(row | {"key": key, "value": text, "head": text})
            rows[CandidateTag].append(row | {"key": "team", "value": f"t{n % 10}", "head": f"t{n % 10}"})
        for table, added in rows.items():
            registry.session.execute(insert(table), added)
    analyze(server.app.state.database.engine)  # which PostgreSQL does by itself where rows do not come all at once


def nodes(text: str) -> int:
    return len(re.findall(r"<[a-z]", text))


def shown(
    server: LiveServer, visitor: httpx2.Client, url: str, query: str | dict[str, str]
) -> tuple[httpx2.Response, int, int]:
    """A view of a table, how many runs it is said to have, and how many statements it runs."""
    visitor.cookies.clear()  # which remember columns and order
    with statements(server) as ran:
        page = visitor.get(url, params=query)
    told = re.search(r"<p>([\d\u202f]+) runs?", page.text)
    assert told, (query, page.text)
    return page, int(told[1].replace("\u202f", "")), len(ran)


def test_thousands_of_runs_and_keys_are_sorted_and_filtered_by_anything(
    world: World, server: LiveServer, visitor: httpx2.Client
) -> None:
    few, many = (f"{world.pages}/experiments/{world.experiment(name)}" for name in ("few", "many"))
    seed(server, world, few.rpartition("/")[2], FEW)
    seed(server, world, many.rpartition("/")[2], MANY)
    asked: list[tuple[str | dict[str, str], int]] = [(query, MANY) for query in SORTS]
    asked += [({"filter": text}, count) for text, count in FILTERS.items()]
    for query, expected in asked:
        page, count, ran = shown(server, visitor, many, query)
        assert (count, len(set(names(page)))) == (expected, min(expected, ROWS)), query
        assert ran <= shown(server, visitor, few, query)[2], query
        assert len(gzip.compress(page.content)) <= 35_000, query
        assert nodes(page.text) <= MOST_NODES, query
    first = names(shown(server, visitor, many, "sort=metric.m00007")[0])
    both = [f"run-{KEYS + 7}", "run-7"]
    assert first[:2] == both
    assert names(shown(server, visitor, many, "sort=param.p00007&dir=asc")[0])[:2] == both
    for kind, key in (("metric", f"m{KEYS - 1:05}"), ("param", f"p{KEYS - 1:05}")):
        ask, keys = {"kind": kind, "search": key[1:]}, list[str]()
        while not keys:
            told = visitor.get(f"{many}/keys", params=ask).json()
            keys, ask["after"] = told["keys"], told["following"]
        assert keys == [key]


def compared(world: World, server: LiveServer, count: int) -> list[int]:
    """The iids of so many runs with fields that differ, fields that do not, and a field that one of them has."""
    experiment = world.experiment(f"compared-{count}")
    seed(server, world, experiment, count)
    with server.app.state.database.writing() as registry:
        found = registry.experiments.by_iid(world.id, int(experiment))
        assert found is not None
        mine = select(Candidate).where(Candidate.experiment_id == found.id).order_by(Candidate.iid)
        runs = list(registry.session.scalars(mine))
        own = [{"candidate_id": run.id, "experiment_id": found.id} for run in runs]
        metrics = [
            row | {"name": f"{name}{k:02}", "value": n * k / 7 if name == "d" else k, "timestamp": 1, "step": 1}
            for n, row in enumerate(own)
            for name in ("d", "same")
            for k in range(1, 16)
        ]
        registry.session.execute(insert(LatestMetric), metrics)
        columns = ["candidate_id", "name", "value", "timestamp", "step"]
        latest = select(*(getattr(LatestMetric, name) for name in columns), literal(False))
        points = latest.where(LatestMetric.experiment_id == found.id)
        registry.session.execute(insert(CandidateMetric).from_select([*columns, "is_nan"], points))
        return [run.iid for run in runs]


@pytest.mark.parametrize("count", [2, 200])
def test_as_many_runs_are_compared_as_may_be_within_the_budget_of_a_page(
    world: World, server: LiveServer, visitor: httpx2.Client, count: int
) -> None:
    iids = compared(world, server, count)
    base = f"{world.pages}/experiments/0/compare?runs={','.join(map(str, iids))}"
    found: dict[str, list[str]] = {}
    for query in ("", "&all=1", "&transpose=1", f"&baseline={iids[-1]}", f"&transpose=1&all=1&baseline={iids[1]}"):
        with statements(server) as ran:
            page = visitor.get(base + query)
        assert f"Compare {count} runs" in page.text
        assert len(ran) <= 12, query
        assert len(gzip.compress(page.content)) <= 60_000, query
        assert nodes(page.text) <= MOST_NODES, query
        found[query] = fields(page)
        while following := re.search(r'rel="next" href="([^"]+)"', page.text):
            page = visitor.get(base.partition("?")[0] + following[1].replace("&amp;", "&"))
            assert nodes(page.text) <= MOST_NODES, query
            found[query] += fields(page)
    differing = [f"d{k:02}" for k in range(1, 16)]
    same = [f"same{k:02}" for k in range(1, 16)]
    assert [name for name in found[""] if name[0] in "ds"] == differing
    assert [name for name in found["&all=1"] if name[0] in "ds"] == [*differing, *same]
    assert found["&transpose=1"] == found[""] == found[f"&baseline={iids[-1]}"]
    assert found[f"&transpose=1&all=1&baseline={iids[1]}"] == found["&all=1"]


def fields(page: httpx2.Response) -> list[str]:
    """The fields of a comparison, as columns or as rows."""
    turned = re.findall(r'<th scope="col"(?: class="num")? dir="auto">(\w+)</th>', page.text)
    return turned or re.findall(r'<th scope="row" class="name" dir="auto">(\w+) <span', page.text)


def test_a_baseline_is_first_and_all_others_tell_how_far_they_are_from_it(
    world: World, server: LiveServer, visitor: httpx2.Client
) -> None:
    iids = compared(world, server, 200)
    base = f"{world.pages}/experiments/0/compare?runs={','.join(map(str, iids))}"
    page = visitor.get(f"{base}&baseline={iids[140]}&transpose=1")
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", page.text, re.DOTALL)[:200]
    assert [re.findall(r">(run-\d+)</a>", row)[0] for row in rows[:3]] == ["run-140", "run-0", "run-1"]
    assert ("baseline</span>" in rows[0], [row.count("baseline</span>") for row in rows[1:]]) == (True, [0] * 199)
    cells = [re.findall(r'<td class="num"[^>]*>([^<]*)</td>', row)[fields(page).index("d03")] for row in rows]
    assert cells[:3] == ["60", "0 (-60)", "0.4286 (-59.57)"]


def test_the_first_runs_of_a_table_are_compared_as_it_has_them(
    world: World, server: LiveServer, visitor: httpx2.Client
) -> None:
    experiment = world.experiment("table")
    seed(server, world, experiment, 300)
    url = f"{world.pages}/experiments/{experiment}"
    in_order = sorted(range(1, 300, 10), key=lambda n: n * 7 % 1_000)
    for query, expected in (
        ("", [f"run-{n}" for n in range(299, 99, -1)]),
        ("?sort=start_time&dir=asc", [f"run-{n}" for n in range(200)]),
        ("?filter=tags.team+%3D+%27t1%27&sort=metric.all", [f"run-{n}" for n in reversed(in_order)]),
    ):
        visitor.cookies.clear()
        page = visitor.get(url + query).text
        (led,) = re.findall(r'href="([^"]+which=matching)">Compare (?:all|the first 200)<', page)
        compared = visitor.get(led.replace("&amp;", "&"), follow_redirects=True)
        assert f"Compare {len(expected)} runs" in compared.text
        assert names(compared)[: len(expected)] == expected
    assert "which=matching" not in visitor.get(f"{url}?filter=attributes.start_time+%3D+1").text
    none = visitor.get(f"{url}/compare?which=matching&filter=metrics.all+%3E+2", follow_redirects=True)
    assert none.status_code == 404
    assert visitor.get(f"{url}/compare?which=matching&filter=nonsense").status_code == 400


def note(sent: list[str], request: Request) -> None:
    sent.append(request.url)


def test_two_hundred_runs_are_compared_in_a_browser(world: World, server: LiveServer, browse: Open) -> None:
    iids = compared(world, server, 200)
    place = f"{world.pages}/experiments/0/compare?runs={','.join(map(str, iids))}"
    for scripts, theme, width in ((True, "dark", 1280), (True, "light", 360), (False, "light", 1280)):
        with browse(
            java_script_enabled=scripts, color_scheme=theme, viewport={"width": width, "height": 800}
        ) as watched:
            page = watched.page()
            sent: list[str] = []
            page.on("request", partial(note, sent))
            page.goto(place)
            if scripts:
                page.locator("metric-chart").first.scroll_into_view_if_needed()
                page.locator(".chart[data-drawn]").first.wait_for()
                assert len({url for url in sent if "/curves" not in url}) <= 8
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert axe(page) == []
            page.get_by_role("link", name="Make run-7 the baseline", exact=True).click()
            page.get_by_role("button", name="Transpose").click()
            first = page.locator("tbody tr").first
            assert ("run-7" in first.inner_text(), "baseline" in first.inner_text()) == (True, True)
            page.get_by_role("link", name="Next page").click()
            page.get_by_role("button", name="Only what differs").click()
            page.get_by_role("button", name="Only what differs", pressed=False).wait_for()
            assert page.locator("tbody tr").first.inner_text().startswith("run-7")
