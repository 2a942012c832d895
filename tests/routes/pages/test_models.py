"""Models and versions in a browser: what is shown, and what forms change; the same through both ways in."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from modelyard.registry.files import overview
from modelyard.services.files import folders
from modelyard.services.models import differing
from tests.conftest import MLFLOW, Account
from tests.routes.pages.conftest import SignIn
from tests.routes.pages.yard import Yard, rows

CARD = """---
license: mit
tags: [vision, tiny]
---
# Iris

Text with **bold**, `code` and a [link](https://example.com/).

| a | b |
|---|---|
| 1 | 2 |

- [x] done

![picture](https://example.com/x.png) [up](#iris)
"""
ODD_NAMES = (
    "a b.txt",
    "50%.txt",
    "hash#.txt",
    "what?.txt",
    "q'\"uo.te",
    "ключ/модель.bin",
    "emoji-🦊.bin",
    "<b>.txt",
    "&amp;.txt",
    "+.txt",
    ";x=1",
)


def test_a_project_a_model_a_version_and_its_labels_are_made_by_forms(yard: Yard) -> None:
    browser = yard.browser
    made = browser.post("/projects/new", data={"name": "By forms", "visibility": "internal", "description": "what for"})
    assert made.status_code == 303
    place = made.headers["location"]
    assert place == f"/{yard.owner.username}/by-forms"
    assert "There is no model here yet" in browser.get(place).text
    model = browser.post(f"{place}/-/ml/models/new", data={"name": "iris", "description": CARD}).headers["location"]
    version = browser.post(f"{model}/versions/new", data={"version": "2.0.0-rc.1", "description": "first"})
    assert version.headers["location"].endswith("/tree") or version.headers["location"].endswith("?tab=files")
    base = version.headers["location"].partition("?")[0]
    for rest, data in (
        ("/aliases", {"alias": "champion"}),
        ("/tags", {"key": "team", "value": "vision"}),
        ("/stage", {"stage": "Production"}),
        ("/edit", {"description": "second\n"}),
    ):
        assert browser.post(f"{base}{rest}", data=data).status_code == 303, rest
    shown = browser.get(base).text
    for text in ("2.0.0-rc.1", "champion", "team", "vision", "Production", "<p>second</p>"):
        assert text in shown
    assert "iris" in browser.get(place).text
    (_head, row) = rows(browser.get(f"{place}/-/ml/models").text)
    assert row[:3] == ["iris", "2.0.0-rc.1", "champion"]
    for rest, data in (("/aliases", {"alias": "champion", "remove": "1"}), ("/tags", {"key": "team", "remove": "1"})):
        assert browser.post(f"{base}{rest}", data=data).status_code == 303
    shown = browser.get(base).text
    assert "champion" not in shown.replace('placeholder="champion"', "")
    assert "vision" not in shown


def test_the_api_sees_what_forms_made_and_pages_what_the_api_made(yard: Yard) -> None:
    model, version = yard.model("iris", description="by API"), yard.version("iris", description="first")
    yard.put(version, "sub/model.bin", b"weights")
    assert "by API" in yard.browser.get(yard.url(f"/-/ml/models/{model}")).text
    yard.browser.post(yard.url(f"/-/ml/models/{model}/edit"), data={"name": "irises", "description": "by hand"})
    told = yard.api.get(f"/projects/{yard.id}/{MLFLOW}/registered-models/get", params={"name": "irises"}).json()
    assert told["registered_model"]["description"] == "by hand"
    shown = yard.browser.get(yard.url(f"/-/ml/models/{model}"), params={"tab": "versions"}).text
    assert rows(shown)[1][:5] == ["1.0.0", "", "", "1", "7 B"]


def test_a_model_leads_to_its_runs(yard: Yard) -> None:
    model = yard.model()
    page = yard.url(f"/-/ml/models/{model}")
    (led,) = re.findall(r'<a href="([^"]+)">Runs</a>', yard.browser.get(page).text)
    assert yard.browser.get(f"{page}?tab=runs").headers["location"] == led
    assert "The runs of the model" in yard.browser.get(led).text
    assert yard.browser.get(yard.url("/-/ml/models/999?tab=runs")).status_code == 404


def test_a_project_and_the_first_page_tell_what_was_made_last(
    yard: Yard, sign_in: SignIn, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    other = make_project(yard.owner)["path_with_namespace"]
    assert "Latest runs" not in yard.browser.get(yard.url()).text
    model, version = yard.model(), yard.version()
    runs = [yard.iid(yard.run()) for _ in range(12)]
    gone = yard.url(f"/-/ml/candidates/{runs[-1]}")
    yard.browser.post(f"{gone}/delete")
    shown = yard.browser.get(yard.url()).text.partition("Latest runs")[2]
    assert re.findall(r"/-/ml/candidates/(\d+)", shown) == [str(iid) for iid in reversed(runs[1:-1])]
    assert ">Default</a>" in shown
    for place in ("/", "/dashboard/projects"):
        first = yard.browser.get(place).text
        assert f'href="{yard.shown(model, version)}">1.0.0</a>' in first
        assert re.findall(rf'href="/{yard.path}/-/ml/candidates/(\d+)"', first) == [
            str(iid) for iid in reversed(runs[6:-1])
        ]
        assert (f'href="/{other}"' in first, first.count(f'<a href="{yard.url()}">{yard.path}</a></td>')) == (True, 6)
    for place in ("/explore/projects", f"/?search={yard.path.rpartition('/')[2]}"):
        assert "Latest" not in yard.browser.get(place).text
    yard.api.put(f"/projects/{yard.id}", json={"visibility": "public"})
    stranger = sign_in(make_user().token)
    assert f"/{yard.path}/-/ml" not in stranger.get("/").text


def test_runs_of_other_experiments_that_became_versions_are_among_a_model_s_runs(yard: Yard) -> None:
    metric = {"key": "auc", "value": 0.75, "timestamp": 1, "step": 0}
    model, run = yard.model(), yard.run(metrics=[metric], params=[{"key": "depth", "value": "seven"}])
    led = yard.browser.get(yard.url(f"/-/ml/models/{model}?tab=runs")).headers["location"]
    assert "Versions from runs of other experiments" not in yard.browser.get(led).text
    of_run = yard.url(f"/-/ml/candidates/{yard.iid(run)}")
    assert yard.browser.post(f"{of_run}/promote", data={"model": "iris", "version": "3.0.0"}).status_code == 303
    assert "No runs of its own yet" in yard.browser.get(led).text
    copied = yard.version(run_id=yard.run(), source="s3://bucket/model")
    yard.register("other")
    yard.version("other", run_id=yard.run(), source="s3://bucket/model")
    page = yard.browser.get(led).text
    found = rows(page.partition('id="elsewhere"')[2].partition("</section>")[0])[1:]
    assert [row[1] for row in found] == ["Default", "Default"]
    assert found[1][2:4] + found[1][5:] == ["3.0.0", "▶ running", "0.75", "seven"]
    assert found[0][2] == "3.0.1"
    assert f'href="{yard.shown(model, copied)}">3.0.1</a>' in page
    assert f'href="{of_run}">' in page
    assert "other experiments" not in yard.browser.get(f"{led}?filter=metrics.auc+>+0").text
    versions = yard.browser.get(yard.url(f"/-/ml/models/{model}?tab=versions")).text
    assert versions.count(f'href="{of_run}">') == 1


def test_an_alias_that_names_another_version_moves_and_says_so(yard: Yard) -> None:
    model = yard.model()
    old, new = yard.version(), yard.version()
    for version in (old, new):
        answer = yard.browser.post(yard.shown(model, version, "/aliases"), data={"alias": "champion"})
        assert answer.status_code == 303
    assert "champion names this version now, and 1.0.0 no more" in yard.browser.get(answer.headers["location"]).text
    # Another version's page does not take it away.
    yard.browser.post(yard.shown(model, old, "/aliases"), data={"alias": "champion", "remove": "1"})
    assert "champion" in rows(yard.browser.get(yard.url(f"/-/ml/models/{model}?tab=versions")).text)[1][1]


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("/new", {"name": "iris"}, "already exists"),
        ("/new", {"name": "a/b"}, "cannot contain"),
        ("/new", {"name": "x" * 501, "description": "kept & shown"}, "maximum length of 500"),
        ("/new", {"name": "\u202eodd"}, "must be printable"),
        ("/new", {"description": "kept & shown"}, "Missing value"),
        ("/new", {"name": "long", "description": "kept & shown" + "x" * 10_000}, "10000"),
        ("/{model}/edit", {"name": "iris2:", "description": "kept & shown"}, "cannot contain"),
        ("/{model}/versions/new", {"version": "1", "description": "kept & shown"}, "must be semantic version"),
        ("/{model}/versions/new", {"version": "1.0.0", "description": "kept & shown"}, "already been taken"),
        ("/{model}/versions/{version}/edit", {"description": "kept & shown" + "x" * 10_000}, "10000"),
    ],
)
def test_what_is_refused_is_shown_again_as_it_was_typed(yard: Yard, path: str, data: dict[str, str], said: str) -> None:
    model, version = yard.model(), yard.version()
    url = yard.url("/-/ml/models" + path.format(model=model, version=version))
    answer = yard.browser.post(url, data=data)
    assert answer.status_code == 400
    assert said in unescape(answer.text)
    assert ("kept &amp; shown" in answer.text) == ("description" in data)
    assert unescape(answer.text).count(data.get("name", "<h1>")) >= 1
    assert "1.0.0" in yard.browser.get(yard.url(f"/-/ml/models/{model}?tab=versions")).text


@pytest.mark.parametrize(
    ("rest", "data", "status"),
    [
        ("/aliases", {"alias": "v1"}, 400),
        ("/aliases", {"alias": "a b"}, 400),
        ("/aliases", {}, 400),
        ("/tags", {"key": ""}, 400),
        ("/tags", {"key": "x" * 300}, 400),
        ("/stage", {"stage": "Nowhere"}, 400),
        ("/stage", {}, 400),
    ],
)
def test_labels_against_the_rules_are_refused_on_a_page(
    yard: Yard, rest: str, data: dict[str, str], status: int
) -> None:
    model, version = yard.model(), yard.version()
    answer = yard.browser.post(yard.shown(model, version, rest), data=data)
    assert (answer.status_code, "Request id" in answer.text) == (status, True)


def test_cards_are_previewed_as_they_will_be_shown(yard: Yard) -> None:
    model = yard.model()
    url = yard.url(f"/-/ml/models/{model}/edit")
    fragment = yard.browser.post(
        yard.url("/-/ml/models/preview_markdown"), data={"description": CARD}, headers={"HX-Request": "true"}
    )
    assert "<html" not in fragment.text
    whole = yard.browser.post(url, data={"name": "iris", "description": CARD, "preview": "1"})
    assert yard.browser.get(yard.url(f"/-/ml/models/{model}")).text.count("A card says") == 1
    yard.browser.post(url, data={"name": "iris", "description": CARD})
    saved = yard.browser.get(yard.url(f"/-/ml/models/{model}")).text
    card = re.findall(r'<div class="card".*?</div>', saved, re.DOTALL)[0]
    assert card in fragment.text
    assert card in whole.text
    assert '<h2 id="card-iris">Iris</h2>' in card
    assert '<a href="#card-iris"' in card
    assert "<td>2</td>" in card
    assert "<img" not in card
    assert "license: mit" in saved
    too_long = yard.browser.post(yard.url("/-/ml/models/preview_markdown"), data={"description": "x" * 10_001})
    assert too_long.status_code == 400


def test_somebody_else_s_card_is_not_overwritten_unseen(yard: Yard) -> None:
    model, version = yard.model(description="theirs"), yard.version(description="theirs")
    for url, data in (
        (yard.url(f"/-/ml/models/{model}/edit"), {"name": "iris"}),
        (yard.shown(model, version, "/edit"), {}),
    ):
        base = re.findall(r'name="base" value="(\w+)"', yard.browser.get(url).text)[0]
        assert yard.browser.post(url, data=data | {"description": "newer & theirs", "base": base}).status_code == 303
        refused = yard.browser.post(url, data=data | {"description": "mine", "base": base})
        assert refused.status_code == 409
        assert ">newer &amp; theirs</pre>" in refused.text
        assert re.search(r"<textarea[^>]*>\nmine</textarea>", refused.text)
        again = re.findall(r'name="base" value="(\w+)"', refused.text)[0]
        assert yard.browser.post(url, data=data | {"description": "mine", "base": again}).status_code == 303


def test_lists_are_filtered_sorted_and_paged_in_the_url(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.routes.pages.models.ROWS", 2)
    for name in ("delta", "alpha", "o'hara", "gamma", "beta"):
        yard.model(name, tags=[{"key": "team", "value": "x" if name < "c" else "y"}])

    def names(text: str) -> list[str]:
        return [row[0] for row in rows(text)[1:]]

    def walk(**query: str) -> list[str]:
        found, page = [], yard.browser.get(yard.url("/-/ml/models"), params=query)
        while True:
            found += names(page.text)
            following = re.findall(r'rel="next" href="([^"]+)"', page.text)
            if not following:
                return found
            page = yard.browser.get(unescape(following[0]))

    assert walk() == ["alpha", "beta", "delta", "gamma", "o'hara"]
    assert walk(sort="-created") == ["beta", "gamma", "o'hara", "alpha", "delta"]
    assert walk(filter="ET") == ["beta"]
    assert walk(filter="o'h") == ["o'hara"]
    assert walk(filter="tags.team = 'x'") == ["alpha", "beta"]
    wrong = yard.browser.get(yard.url("/-/ml/models"), params={"filter": "name = "})
    assert (wrong.status_code, 'class="error"' in wrong.text, 'value="name ="' in wrong.text) == (200, True, True)
    assert "No model matches" in yard.browser.get(yard.url("/-/ml/models"), params={"filter": "zzz"}).text
    forged = yard.browser.get(yard.url("/-/ml/models"), params={"page": "forged"})
    assert "Invalid page token" in forged.text


def test_files_are_shown_as_folders_whatever_their_names(yard: Yard) -> None:
    model, version = yard.model(), yard.version()
    tree = yard.shown(model, version, "/tree")
    assert "no files yet" in yard.browser.get(tree).text
    for number, name in enumerate(ODD_NAMES):
        yard.put(version, name, b"x" * (number + 1))
    yard.put(version, "/".join("d" * 20) + "/deep.bin", b"deep")
    yard.put(version, "a b.txt", b"newer")
    shown = {row[0]: row for row in rows(yard.browser.get(tree).text)[1:]}
    assert shown["d/"][1:3] == ["4 B", "1 file"]
    assert shown["a b.txt"][1] == "5 B"
    seen = 0

    def follow(url: str) -> None:
        nonlocal seen
        page = yard.browser.get(url)
        assert page.status_code == 200, url
        for link, kind in re.findall(r'<th scope="row" class="name"><a href="([^"]*/(tree|blob)/[^"]*)"', page.text):
            if kind == "tree":
                follow(unescape(link))
                continue
            file = yard.browser.get(unescape(link))
            assert file.status_code == 200, link
            bytes_url = unescape(re.findall(r'href="([^"]+)" download', file.text)[0])
            content = yard.browser.get(bytes_url)
            assert (content.status_code, content.headers["content-disposition"][:10]) == (200, "attachment")
            assert f"({len(content.content)} bytes)" in file.text
            assert content.headers["x-content-type-options"] == "nosniff"
            seen += 1

    follow(tree)
    assert seen == len(ODD_NAMES) + 1
    for missing in (
        "/tree/nothing",
        "/blob/nothing",
        "/blob/d",
        "/tree/%zz",
        "/blob/%ff",
        "/blob/" + "x" * 4000,
        "/tree/%00",
    ):
        assert yard.browser.get(yard.shown(model, version, missing)).status_code == 404, missing
    found = rows(yard.browser.get(tree, params={"find": "МОДЕЛЬ"}).text)
    assert [row[0] for row in found[1:]] == ["ключ/модель.bin"]
    assert "0 files found" in yard.browser.get(tree, params={"find": "%"}).text.replace("1 file found", "0 files found")


def test_a_folder_of_thousands_comes_in_pages_folders_first(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "ROWS", 3)
    model, version = yard.model(), yard.version()
    names = ["b/x", "a/y", "a/y", "a-/x", "z", "a", "m", "m", "c/d/e", "y"]
    for name in names:
        yard.put(version, name, b"x")
    shown, url = [], yard.shown(model, version, "/tree")
    while url:
        page = yard.browser.get(url)
        shown += [row[0] for row in rows(page.text)[1:]]
        assert 'Files <span class="badge">8</span>' in page.text
        following = re.findall(r'rel="next" href="([^"]+)"', page.text)
        url = unescape(following[0]) if following else ""
    assert shown == ["a/", "a-/", "b/", "c/", "a", "m", "y", "z"]
    assert yard.browser.get(yard.shown(model, version, "/tree?page=forged")).status_code == 400


def test_deleting_says_what_goes_and_takes_exactly_that(yard: Yard) -> None:
    model = yard.model()
    first, second = yard.version(), yard.version()
    for version in (first, second):
        yard.put(version, "sub/a", b"12345")
        yard.put(version, "sub/b", b"123")
    yard.put(first, "c", b"1")
    yard.browser.post(yard.shown(model, first, "/aliases"), data={"alias": "champion"})
    asked = yard.browser.get(yard.shown(model, first, "/delete_files/sub"))
    assert "2 files (8 B" in asked.text
    assert yard.browser.get(yard.shown(model, first, "/delete_files/nothing")).status_code == 404
    assert yard.browser.post(yard.shown(model, first, "/delete_files/sub")).status_code == 303
    assert [row[0] for row in rows(yard.browser.get(yard.shown(model, first, "/tree")).text)[1:]] == ["c"]
    asked = yard.browser.get(yard.shown(model, first, "/delete"))
    assert "iris 1.0.0</strong> with 1 file (1 B) and the alias champion" in asked.text
    assert yard.browser.post(yard.shown(model, first, "/delete")).headers["location"].endswith("?tab=versions")
    assert yard.browser.get(yard.shown(model, first)).status_code == 404
    assert yard.browser.get(yard.shown(model, second)).status_code == 200
    asked = yard.browser.get(yard.url(f"/-/ml/models/{model}/delete"))
    assert "with 1 version, 2 files (8 B)" in asked.text
    mistyped = yard.browser.post(yard.url(f"/-/ml/models/{model}/delete"), data={"name": "Iris"})
    assert (mistyped.status_code, "is not the model" in mistyped.text) == (400, True)
    assert yard.browser.post(yard.url(f"/-/ml/models/{model}/delete"), data={"name": "iris"}).status_code == 303
    assert yard.browser.get(yard.url(f"/-/ml/models/{model}")).status_code == 404
    mistyped = yard.browser.post(yard.url("/-/delete"), data={"path": yard.path.upper()})
    assert mistyped.status_code == 400
    assert yard.browser.post(yard.url("/-/delete"), data={"path": yard.path}).headers["location"] == "/"
    assert yard.browser.get(yard.url()).status_code == 404


def test_a_project_is_changed_and_its_counts_are_told(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.model()
    yard.put(yard.version(), "f", b"x" * 2048)
    changed = yard.browser.post(
        yard.url("/edit"), data={"name": "New <name>", "description": "two\nlines", "visibility": "public"}
    )
    assert changed.status_code == 303
    shown = yard.browser.get(yard.url()).text
    assert "New &lt;name&gt;" in shown
    assert "2.0 KiB" in shown
    assert "two\nlines" in shown
    for data in ({"name": ""}, {"name": "x", "visibility": "secret"}, {"name": "x" * 300}):
        refused = yard.browser.post(yard.url("/edit"), data=data | {"description": "kept"})
        assert (refused.status_code, "kept" in refused.text) == (400, True), data
    monkeypatch.setattr(overview, "MOST_COUNTED", 0)
    assert yard.browser.get(yard.url()).status_code == 200


def test_two_versions_are_compared_by_files_values_and_card(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    model = yard.model()
    runs = []
    for rate, loss in (("0.1", 0.5), ("0.2", 0.25)):
        run = yard.api.post(f"/projects/{yard.id}/{MLFLOW}/runs/create", json={"experiment_id": "0"}).json()["run"][
            "info"
        ]["run_id"]
        log = {"run_id": run, "params": [{"key": "rate", "value": rate}, {"key": "same", "value": "1"}]}
        log |= {"metrics": [{"key": "loss", "value": loss, "timestamp": 1, "step": 0}]}
        assert yard.api.post(f"/projects/{yard.id}/{MLFLOW}/runs/log-batch", json=log).status_code == 200
        runs.append(run)
    old = yard.version(run_id=runs[0], description="one\ntwo <b>\n")
    new = yard.version(run_id=runs[1], description="one\nthree\n")
    for name, before, after in (
        ("same", b"s", b"s"),
        ("changed", b"1", b"22"),
        ("gone", b"g", None),
        ("came", None, b"c"),
        ("old-name", b"r", None),
        ("new-name", None, b"r"),
    ):
        if before is not None:
            yard.put(old, name, before)
        if after is not None:
            yard.put(new, name, after)
    page = yard.browser.get(yard.url(f"/-/ml/models/{model}/compare?from={old}&to={new}"))
    told = rows(page.text)
    assert [row[:2] for row in told if len(row) == 4 and row[1] != "Change"] == [
        ["came", "added"],
        ["changed", "changed"],
        ["gone", "removed"],
        ["new-name", "renamed from old-name"],
    ]
    assert ["rate", "0.1", "0.2"] in told
    assert ["loss", "0.5", "0.25"] in told
    assert not [row for row in told if row[0] == "same"]
    assert "- two &lt;b&gt;" in page.text
    swap = unescape(re.findall(r'href="([^"]+)">Swap', page.text)[0])
    assert "- three" in yard.browser.get(swap).text
    with monkeypatch.context() as patched:
        patched.setattr(differing, "MAX_FILES", 3)
        refused = yard.browser.get(swap)
    assert (refused.status_code, "has more than 3 files, which are not compared" in refused.text) == (400, True)
    for query in ("", f"?from={old}", f"?from={old}&to=999999999", f"?from=x&to={new}", f"?from={'9' * 30}&to={new}"):
        assert yard.browser.get(yard.url(f"/-/ml/models/{model}/compare{query}")).status_code == 404, query


def test_gitlab_s_addresses_of_packages_and_files_lead_to_the_pages(yard: Yard) -> None:
    model, version = yard.model(), yard.version()
    yard.put(version, "sub/f", b"content")
    package = yard.api.get(f"/projects/{yard.id}/packages").json()[0]["id"]
    file = yard.api.get(f"/projects/{yard.id}/packages/{package}/package_files").json()[0]["id"]
    led = yard.browser.get(yard.url(f"/-/packages/{package}"))
    assert led.headers["location"] == yard.shown(model, version, "/tree")
    led = yard.browser.get(yard.url(f"/-/package_files/{file}/download"))
    assert yard.browser.get(led.headers["location"]).content == b"content"
    assert yard.browser.get(f"/projects/{yard.id}").headers["location"] == yard.url()
    of_a_run = f"/projects/{yard.id}/packages/ml_models/candidate:{yard.iid(yard.run())}/files/f"
    assert yard.api.put(of_a_run, content=b"x").status_code == 201
    other = max(row["id"] for row in yard.api.get(f"/projects/{yard.id}/packages").json())
    assert other != package
    (kept,) = yard.api.get(f"/projects/{yard.id}/packages/{other}/package_files").json()
    paths = [f"/-/packages/{package_of}" for package_of in (other, 999999)]
    paths += [f"/-/package_files/{file_of}/download" for file_of in (kept["id"], 999999)]
    for path in [*map(yard.url, paths), "/projects/999999"]:
        assert yard.browser.get(path).status_code == 404
