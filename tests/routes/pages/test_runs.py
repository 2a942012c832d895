"""Pages of runs: their parts, changes, files, and what is bounded of a run with thousands of keys."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from sqlalchemy import insert, select

from modelyard.registry.tables import Candidate, CandidateMetric, CandidateParam, LatestMetric
from tests.browsers import LOOKS, axe
from tests.live import LiveServer
from tests.routes.pages.conftest import Open
from tests.routes.pages.tracked import NASTY, World
from tests.statements import statements


@dataclass
class Shown:
    """What a browser is shown."""

    parent: dict[str, Any]
    live: dict[str, Any]
    cookie: Any


def test_a_run_is_shown_whole(world: World, visitor: httpx2.Client) -> None:
    parent = world.run(run_name="parent")
    long = "z" * 3000
    run = world.run(
        run_name=NASTY[:60],
        metrics={"loss": [3, 2, 1], "odd": ["NaN"], NASTY: [1, 2]},
        params={"lr": "0.1", "long": long, NASTY: NASTY},
        tags={"mlflow.parentRunId": parent["run_id"], "mlflow.note.content": "About it", "t": NASTY},
        status="FINISHED",
    )
    dataset = {"name": NASTY, "digest": "d1", "source_type": "local", "source": NASTY, "schema": NASTY}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    world.call("runs/log-inputs", run_id=run["run_id"], datasets=[{"dataset": dataset, "tags": tags}])
    model = world.call("logged-models", experiment_id="0", name="logged", source_run_id=run["run_id"])
    model_id = model["model"]["info"]["model_id"]
    world.call("runs/outputs", run_id=run["run_id"], models=[{"model_id": model_id, "step": 3}])
    url = f"{world.pages}/candidates/{run['iid']}"
    page = visitor.get(url)
    assert page.status_code == 200
    for text in ("About it", "finished", "after 1 min 5 s", run["run_id"], "training", model_id, ">parent</a>", "root"):
        assert text in page.text, text
    assert long not in page.text
    assert "all 3000 characters" in page.text
    assert page.text.count("<polyline") == 2
    assert long in visitor.get(f"{url}?tab=params&key=long").text
    assert visitor.get(f"{url}?tab=params&key=none").status_code == 404
    assert visitor.get(f"{url}?tab=tags&key=%00").status_code == 400
    points = visitor.get(f"{url}?tab=metrics&key=loss")
    assert re.findall(r'<td class="num">(\d)</td><td class="num" title="([\d.]+)"', points.text) == [
        ("0", "3.0"),
        ("1", "2.0"),
        ("2", "1.0"),
    ]
    assert "no metric of that name" in visitor.get(f"{url}?tab=metrics&key=none").text
    assert ">odd</a>" in visitor.get(f"{url}?tab=metrics&search=OD").text
    assert ">loss</a>" not in visitor.get(f"{url}?tab=metrics&search=OD").text
    assert "Nothing matches" in visitor.get(f"{url}?tab=params&search=none").text
    for tab in ("overview", "metrics", "params", "tags", "files", "children", "nonsense"):
        answer = visitor.get(f"{url}?tab={tab}")
        assert answer.status_code == 200, tab
        assert "<script>alert" not in answer.text, tab
    for query in ("tab=metrics&after=" + "x" * 300, "tab=metrics&key=loss&after=x", "tab=files&path=a%00"):
        assert visitor.get(f"{url}?{query}").status_code == 400, query
    assert visitor.get(f"{world.pages}/candidates/99999").status_code == 404


def test_a_run_s_files_are_listed_by_folder_and_downloaded(world: World, visitor: httpx2.Client) -> None:
    run = world.run()
    base = f"/projects/{world.id}/packages/ml_models/candidate:{run['iid']}/files"
    for name in ("model.bin", "plots/a b%23#.txt", "plots/deep/c.txt"):
        quoted = name.replace("%", "%25").replace(" ", "%20").replace("#", "%23")
        assert world.root.put(f"{base}/{quoted}", content=name.encode()).status_code == 201
    url = f"{world.pages}/candidates/{run['iid']}?tab=files"
    top = visitor.get(url)
    assert re.findall(r'<th scope="row" class="name" dir="auto"><a [^>]*>([^<]+)', top.text) == ["model.bin", "plots/"]
    inner = visitor.get(f"{url}&path=plots")
    assert "deep/</a>" in inner.text
    (href,) = re.findall(r'<a href="([^"]+)" download>', inner.text)
    assert visitor.get(href).content == b"plots/a b%23#.txt"
    assert "There is nothing here" in visitor.get(f"{url}&path=none").text


def test_a_run_is_changed_deleted_restored_and_promoted(world: World, admin: httpx2.Client) -> None:
    run = world.run(run_name="before", metrics={"m": [1]})
    url = f"{world.pages}/candidates/{run['iid']}"
    assert admin.post(f"{url}/edit", data={"name": "after", "description": "A note"}).status_code == 303
    page = admin.get(url).text
    assert (">after</h1>" in page, "A note" in page) == (True, True)
    refused = admin.post(f"{url}/edit", data={"name": "x" * 300, "description": "kept"})
    assert (refused.status_code, ">\nkept</textarea>" in refused.text) == (400, True)
    (base,) = re.findall(r'name="base" value="(\w+)"', page)
    first = admin.post(f"{url}/edit", data={"name": "after", "description": "Mine", "base": base})
    second = admin.post(f"{url}/edit", data={"name": "other", "description": "Theirs", "base": base})
    assert (first.status_code, second.status_code) == (303, 400)
    for text in ("Somebody else has changed the run", ">Mine</p>", ">\nTheirs</textarea>", 'value="other"'):
        assert text in second.text, text
    (base,) = re.findall(r'name="base" value="(\w+)"', second.text)
    assert admin.post(f"{url}/edit", data={"name": "after", "description": "", "base": base}).status_code == 303
    assert "A note" not in admin.get(url).text
    assert admin.post(f"{url}/tags", data={"key": "k", "value": "v1"}).status_code == 303
    assert "v1" in admin.get(f"{url}?tab=tags").text
    bad = admin.post(f"{url}/tags?tab=tags", data={"key": "k" * 251, "value": "kept"})
    assert (bad.status_code, 'value="kept"' in bad.text) == (400, True)
    assert admin.post(f"{url}/tags/delete", data={"key": "k"}).status_code == 303
    assert admin.post(f"{url}/tags/delete", data={"key": "k"}).status_code == 404
    assert admin.post(f"{url}/delete").status_code == 303
    deleted = admin.get(url).text
    assert ("Restore run" in deleted, "Promote" in deleted) == (True, False)
    assert admin.post(f"{url}/edit", data={"name": "x"}).status_code == 400
    assert admin.post(f"{url}/restore").status_code == 303
    missing = admin.post(f"{url}/promote", data={"model": "none", "version": "1.2.3"})
    assert (missing.status_code, 'value="none"' in missing.text) == (404, True)
    world.call("registered-models/create", name="m")
    made = admin.post(f"{url}/promote", data={"model": "m", "version": "1.2.3"})
    assert made.status_code == 303
    assert "1.2.3" in admin.get(made.headers["location"]).text
    assert "m 1.2.3</a>" in admin.get(url).text
    assert admin.post(f"{url}/delete").status_code == 400


def test_a_run_with_thousands_of_keys_stays_bounded(world: World, server: LiveServer, visitor: httpx2.Client) -> None:
    run = world.run(run_name="wide")
    with server.app.state.database.writing() as registry:
        row = registry.runs.by_eid(world.id, run["run_id"])
        own = {"candidate_id": row.id, "experiment_id": row.experiment_id}
        metrics = [own | {"name": f"m{n:05}", "value": n, "timestamp": 1, "step": n} for n in range(5_000)]
        params = [own | {"key": f"p{n:05}", "value": "x" * 60, "head": "x" * 60} for n in range(12_000)]
        registry.session.execute(insert(LatestMetric), metrics)
        registry.session.execute(insert(CandidateParam), params)
    for place in (
        "experiments/0",
        "experiments/0?tab=charts",
        f"experiments/0/compare?runs={run['iid']}",
        f"candidates/{run['iid']}",
        f"candidates/{run['iid']}?tab=metrics",
        f"candidates/{run['iid']}?tab=params",
    ):
        answer = visitor.get(f"{world.pages}/{place}")
        assert answer.status_code == 200
        assert len(answer.content) <= 90_000, place
        assert answer.text.count("<") <= 5_000, place
    following = re.search(
        r'rel="next" href="([^"]+)"', visitor.get(f"{world.pages}/candidates/{run['iid']}?tab=metrics").text
    )
    assert following is not None
    assert ">m00100</a>" in visitor.get(following[1].replace("&amp;", "&")).text
    keys = visitor.get(f"{world.pages}/experiments/0/keys?kind=param&search=p119").json()
    while not keys["keys"]:
        keys = visitor.get(f"{world.pages}/experiments/0/keys?kind=param&search=p119&after={keys['following']}").json()
    assert keys["keys"][0] == "p11900"


def test_pages_ask_as_often_however_many_runs_there_are(
    world: World, server: LiveServer, visitor: httpx2.Client
) -> None:
    parent = world.run(run_name="p")
    places = [
        "experiments", "experiments/0", "experiments/0?sort=metric.m0", "experiments/0?filter=metrics.m0>=0",
        "experiments/0?tab=charts", "experiments/0?c=min.m0&c=param.p0&c=tag.t",
        f"candidates/{parent['iid']}?tab=children",
        f"candidates/{parent['iid']}", "experiments/0/keys", "experiments/0/compare?runs={runs}",
        "curves?metric=m0&run={first}&run={second}",
    ]  # fmt: skip
    counts: list[list[int]] = []
    made: list[int] = []
    for more in (3, 60):
        for _ in range(more):
            tags = {"t": "v", "mlflow.parentRunId": parent["run_id"]}
            metrics = {f"m{n}": [n, 1] for n in range(more)}
            made.append(world.run(metrics=metrics, params={f"p{n}": "1" for n in range(more)}, tags=tags)["iid"])
            made.append(world.run(metrics=metrics, params={f"p{n}": "1" for n in range(more)})["iid"])
        counts.append([])
        for place in places:
            visitor.cookies.clear()  # which remember columns and order
            path = place.format(runs=",".join(map(str, made)), first=made[-1], second=made[-2])
            with statements(server) as ran:
                assert visitor.get(f"{world.pages}/{path}").status_code == 200, path
            counts[-1].append(len(ran))
    assert all(many <= few for few, many in zip(*counts, strict=True)), counts
    assert max(counts[0]) <= 25


@pytest.fixture
def shown(world: World, server: LiveServer, admin: httpx2.Client) -> Shown:
    """A parent with a long curve, its child, a run that goes on, and the cookie of somebody who may change them."""
    parent = world.run(
        run_name="parent", metrics={"loss": [n % 9 for n in range(5000)]}, params={"lr": "0.1"}, status="FINISHED"
    )
    world.run(
        run_name="child", tags={"mlflow.parentRunId": parent["run_id"]}, metrics={"loss": [1, 2]}, status="FAILED"
    )
    live = world.run(run_name="live", metrics={"loss": [5, "NaN", 4]})
    cookie: Any = {"name": "modelyard_session", "value": admin.cookies["modelyard_session"], "url": server.url}
    return Shown(parent, live, cookie)


def test_runs_are_filtered_unfolded_drawn_and_followed_in_a_browser(world: World, shown: Shown, browse: Open) -> None:
    parent, live = shown.parent, shown.live
    with browse(viewport={"width": 1280, "height": 900}) as watched:
        watched.context.add_cookies([shown.cookie])
        page = watched.page()
        page.clock.install()
        page.goto(f"{world.pages}/experiments/0")
        page.get_by_role("link", name="1 child of parent").click()
        page.get_by_role("link", name="child", exact=True).wait_for()
        assert f"open={parent['iid']}" in page.url
        page.locator("#filter").press_sequentially("metrics.lo")
        page.clock.run_for(500)
        page.locator('#completions option[value="metrics.loss"]').wait_for(state="attached")
        page.goto(f"{world.pages}/experiments/0?tab=charts")
        chart = page.locator("metric-chart .chart").first
        page.locator(".chart[data-drawn]").first.wait_for()
        told = page.locator("metric-chart [role=status]").first
        assert "of 5\u202f003 points: the least and greatest of each part; 1 are NaN" in told.inner_text()
        over = chart.locator(".u-over").bounding_box()
        assert over is not None
        page.mouse.move(over["x"] + over["width"] * 0.2, over["y"] + 50)
        page.mouse.down()
        page.mouse.move(over["x"] + over["width"] * 0.3, over["y"] + 60, steps=4)
        page.mouse.up()
        page.get_by_role("button", name="Whole curve").wait_for()
        page.locator("metric-chart [role=status]", has_text="a part of the curve").wait_for()
        page.get_by_role("button", name="Whole curve").click()
        page.get_by_role("button", name="All points").click()
        page.locator("metric-chart [role=status]", has_text="5\u202f003 points").wait_for()
        page.get_by_label("log").check()
        page.get_by_label("smooth").fill("0.6")
        chart.press("ArrowRight")
        page.reload()
        page.locator(".chart[data-drawn]").first.wait_for()
        assert (page.get_by_label("log").is_checked(), page.get_by_label("smooth").input_value()) == (True, "0.6")
        chart.press("ArrowRight")
        assert "step 0" in page.locator("metric-chart [aria-live=polite]").first.inner_text()
        page.goto(f"{world.pages}/candidates/{live['iid']}")
        page.get_by_text("running").wait_for()
        page.get_by_text("Edit run").click()
        world.call("runs/update", run_id=live["run_id"], status="FINISHED", end_time=1_700_000_065_000)
        page.clock.run_for(10_500)
        page.get_by_text("finished").wait_for()
        assert page.locator("[data-live]").count() == 0
        assert page.get_by_label("Name").is_visible()
        page.goto(f"/api/v4/projects/{world.id}/ml/mlflow/#/experiments/0/runs/{live['run_id']}")
        page.wait_for_url(f"**/candidates/{live['iid']}")


def add_runs(world: World, server: LiveServer, count: int, metrics: int) -> None:
    """So many runs in the default experiment, the first of them by the API, with some metrics of two points each."""
    first = world.run(run_name="run-0", metrics={"m0": [0]})
    with server.app.state.database.writing() as registry:
        made = registry.runs.by_eid(world.id, first["run_id"])
        assert made is not None
        own = {"project_id": world.id, "experiment_id": made.experiment_id, "status": "FINISHED"}
        own |= {"created_at": 0, "updated_at": 0}
        runs = [
            {"iid": n, "eid": f"{world.id}-{n}", "name": f"run-{n}", "start_time": n} for n in range(1_000, 999 + count)
        ]
        registry.session.execute(insert(Candidate), [own | run for run in runs])
        mine = select(Candidate.id).where(Candidate.experiment_id == made.experiment_id, Candidate.id != made.id)
        points = [
            {
                "candidate_id": id_,
                "name": f"m{number}",
                "value": (n * 7 + number) % 2_003 / 7,
                "timestamp": 1,
                "step": 1,
            }
            for n, id_ in enumerate(registry.session.scalars(mine), start=1)
            for number in range(metrics)
        ]
        registry.session.execute(
            insert(LatestMetric), [point | {"experiment_id": made.experiment_id} for point in points]
        )
        registry.session.execute(
            insert(CandidateMetric), [point | {"step": step, "is_nan": False} for point in points for step in (0, 1)]
        )


def test_a_full_page_of_runs_is_within_its_budget(world: World, server: LiveServer, visitor: httpx2.Client) -> None:
    add_runs(world, server, 250, 20)
    pins = "&".join(f"pin=metric.m{number}" for number in range(4))
    for query in ("", "?sort=metric.m3", "?c=course.m1&c=course.m2&c=min.m1&c=max.m2", f"?{pins}"):
        visitor.cookies.clear()
        with visitor.stream("GET", f"{world.pages}/experiments/0{query}") as answer:
            compressed = b"".join(answer.iter_raw())
        text = gzip.decompress(compressed).decode()
        assert text.count('id="run-') == 100, query
        assert len(compressed) <= 35_000, query
        assert len(re.findall(r"<[a-z]", text)) <= 3_500, query
    with visitor.stream("GET", f"{world.pages}/experiments/0/grid") as answer:
        compressed = b"".join(answer.iter_raw())
    columns = json.loads(gzip.decompress(compressed).partition(b"\n")[0])["columns"]
    assert sum(column["id"].startswith("metric.") for column in columns) >= 8
    assert len(compressed) - 1_000 <= 30 * 250  # of 300 kB for ten thousand


def test_all_rows_are_in_a_grid_of_few_nodes_that_keys_move_in(
    world: World, browse: Open, server: LiveServer, admin: httpx2.Client
) -> None:
    add_runs(world, server, 2_000, 1)
    cookie: Any = {"name": "modelyard_session", "value": admin.cookies["modelyard_session"], "url": server.url}
    with browse(viewport={"width": 1280, "height": 900}) as watched:
        watched.context.add_cookies([cookie])
        watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = watched.page()
        page.goto(f"{world.pages}/experiments/0")
        page.get_by_role("button", name="All rows at once").click()
        grid = page.locator(".grid[data-rows='2000']")
        grid.wait_for()
        assert "grid=1" in page.url
        assert page.evaluate("document.querySelectorAll('.grid *').length") <= 1_000
        assert grid.get_attribute("aria-rowcount") == "2001"
        grid.get_by_role("button", name="m0", exact=True).click()
        best = grid.get_by_role("row").nth(1)
        assert "286" in best.inner_text()
        grid.focus()
        for key in ("End", "ArrowUp", "x", "Home", " "):
            grid.press(key)
        page.keyboard.press("Control+c")
        copied = page.evaluate("navigator.clipboard.readText()").split("\n")
        assert [len(line.split("\t")) for line in copied] == [5, 5, 5]
        assert axe(page) == []
        page.get_by_role("button", name="Compare selected").click()
        page.get_by_role("heading", name="Compare 2 runs").wait_for()
        page.go_back()
        page.locator(".grid[data-rows='2000']").wait_for()
        page.locator(".grid").press("Enter")
        page.wait_for_url("**/candidates/*")


def test_cells_filter_keys_select_and_charts_are_exported(world: World, shown: Shown, browse: Open) -> None:
    odd = world.run(run_name="=odd", metrics={"a 'b": [0.1, 0.25]}, params={"p q": "it's"})
    with browse(viewport={"width": 1280, "height": 900}) as watched:
        watched.context.add_cookies([shown.cookie])
        page = watched.page()
        page.goto(f"{world.pages}/experiments/0?c=metric.a+'b&c=param.p+q&pin=param.p+q")
        page.get_by_role("cell", name="it's").click()
        page.wait_for_url("**filter=params*")
        page.get_by_role("cell", name="0.25").click()
        page.wait_for_url("**metrics*")
        page.get_by_role("cell", name="running").click()
        page.wait_for_url("**attributes.status*")
        assert page.locator("tbody tr").count() == 1
        assert page.locator("td.pinned").evaluate("cell => getComputedStyle(cell).left") != "auto"
        page.locator("main").press("j")
        page.keyboard.press("x")
        assert page.locator(f"input[name=runs][value='{odd['iid']}']").is_checked()
        page.keyboard.press("c")
        page.get_by_role("heading", name="Compare 1 run").wait_for()
        page.goto(f"{world.pages}/candidates/{odd['iid']}?tab=metrics&key=a 'b")
        page.locator(".chart[data-drawn]").wait_for()
        got = {}
        for kind in ("PNG", "SVG", "CSV"):
            with page.expect_download() as download:
                page.get_by_role("button", name=kind).click()
            got[kind] = (download.value.suggested_filename, download.value.path().read_bytes())
        assert got["PNG"][1].startswith(b"\x89PNG")
        assert got["CSV"] == (
            "a_b.csv",
            f'number,run,step,value\r\n{odd["iid"]},"\'=odd",0,0.1\r\n{odd["iid"]},"\'=odd",1,0.25\r\n'.encode(),
        )
        picture = ElementTree.fromstring(got["SVG"][1])
        assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 1
        assert "=odd" in [each.text for each in picture.findall("{http://www.w3.org/2000/svg}text")]


def test_axe_and_the_browser_find_nothing_against_pages_of_runs(world: World, shown: Shown, browse: Open) -> None:
    parent, live = shown.parent, shown.live
    places = (
        "experiments", "experiments/0", "experiments/0?tab=charts", "experiments/0?filter=nonsense", "experiments/new",
        f"experiments/0/compare?runs={parent['iid']},{live['iid']}", f"candidates/{live['iid']}",
        *(f"candidates/{parent['iid']}?tab={tab}" for tab in ("metrics", "params", "tags", "files", "children")),
        f"candidates/{parent['iid']}?tab=metrics&key=loss",
    )  # fmt: skip
    for theme, width in LOOKS:
        with browse(color_scheme=theme, viewport={"width": width, "height": 800}) as watched:
            watched.expected = ("status of 400",)
            watched.context.add_cookies([shown.cookie])
            page = watched.page()
            for place in places:
                page.goto(f"{world.pages}/{place}")
                assert axe(page) == [], (theme, width, place)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, place)


def test_runs_are_unfolded_compared_and_deleted_without_any_script(world: World, shown: Shown, browse: Open) -> None:
    with browse(java_script_enabled=False) as watched:
        watched.context.add_cookies([shown.cookie])
        page = watched.page()
        page.goto(f"{world.pages}/experiments/0")
        page.get_by_role("link", name="1 child of parent").click()
        page.get_by_label("Select parent").check()
        page.get_by_label("Select child").check()
        page.get_by_role("button", name="Compare selected").click()
        assert page.get_by_role("heading", name="Compare 2 runs").count() == 1
        page.go_back()  # with the boxes as they were
        page.get_by_role("button", name="Delete", exact=True).click()
        assert "2 runs have been deleted" in page.get_by_role("status").inner_text()


def test_a_live_table_keeps_what_is_unfolded_typed_and_seen_and_waits_for_who_selects(
    world: World, shown: Shown, browse: Open
) -> None:
    parent, live = shown.parent, shown.live

    def renamed(name: str) -> None:
        world.call("runs/update", run_id=live["run_id"], run_name=name)

    with browse(viewport={"width": 1280, "height": 400}) as watched:
        watched.context.add_cookies([shown.cookie])
        page = watched.page()
        page.clock.install()
        page.goto(f"{world.pages}/experiments/0?open={parent['iid']}")
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.locator("#filter").fill("metrics.")
        page.evaluate("scrollTo(0, 150)")
        renamed("second name")
        page.clock.run_for(10_500)
        page.get_by_role("link", name="second name").wait_for()
        assert page.get_by_role("link", name="child", exact=True).count() == 1
        assert (page.evaluate("document.activeElement.id"), page.locator("#filter").input_value()) == (
            "filter",
            "metrics.",
        )
        assert page.evaluate("scrollY") == 150
        page.get_by_label("Select parent").check()
        asked.clear()
        renamed("third name")
        page.clock.run_for(20_500)
        assert page.get_by_label("Select parent").is_checked()
        assert asked == []
        page.get_by_label("Select parent").uncheck()
        page.locator("h1").click()
        hide = "state => Object.defineProperty(document, 'visibilityState', { value: state, configurable: true })"
        page.evaluate(hide, "hidden")
        page.clock.run_for(20_500)
        assert asked == []
        page.evaluate(hide, "visible")
        page.clock.run_for(10_500)
        page.get_by_role("link", name="third name").wait_for()
        world.call("runs/update", run_id=live["run_id"], status="FINISHED", end_time=1_700_000_065_000)
        page.clock.run_for(10_500)
        page.locator("#runs:not([data-live])").wait_for()
        page.clock.run_for(10_500)  # which is the last look at it
        asked.clear()
        page.clock.run_for(60_000)
        assert asked == []
