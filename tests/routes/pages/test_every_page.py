"""What holds of every page: who sees it, what it costs, that it shows texts as texts, and what a browser finds."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Request

from modelyard.access.policy import LEAST_ROLE, Action
from modelyard.routes.pages.routers import ROUTES
from tests.browsers import LOOKS, axe
from tests.conftest import MLFLOW, Account
from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER, Open, SignIn
from tests.routes.pages.yard import Yard
from tests.statements import statements

ROOT = "root"  # the administrator, whose namespace it is

PROJECT = "/{project:project}"
REPOSITORY = "/{owner:part}/{repository:part}"
MODELS = f"{PROJECT}/-/ml/models"
MODEL = f"{MODELS}/{{model:number}}"
VERSION = f"{MODEL}/versions/{{version:number}}"
EXPERIMENTS = f"{PROJECT}/-/ml/experiments"
EXPERIMENT = f"{EXPERIMENTS}/{{experiment:number}}"
RUN = f"{PROJECT}/-/ml/candidates/{{run:number}}"
TOKENS = "/-/user_settings/personal_access_tokens"
MEMBERS, PROJECT_TOKENS = f"{PROJECT}/-/project_members", f"{PROJECT}/-/settings/access_tokens"
PUBLISHERS = f"{PROJECT}/-/settings/trusted_publishers"
ANYBODY = {
    "/search",
    *("/users/auth/{provider}", "/users/auth/{provider}/callback"),
    *("/", "/explore", "/explore/projects", "/users/sign_in", "/-/user_settings/theme"),
    "/-/assets/{digest}/{name:path}",
}
SIGNED_IN = {
    *("/oauth/device", "/oauth/device/decide"),
    "/dashboard/projects",
    "/projects/new",
    "/users/sign_out",
    "/-/user_settings/active_sessions",
    "/-/user_settings/active_sessions/{token:number}/revoke",
    "/-/user_settings/profile",
    *(TOKENS, f"{TOKENS}/{{token:number}}/rotate", f"{TOKENS}/{{token:number}}/revoke"),
    *("/admin", "/admin/users", "/admin/users/{user:number}/{action}", "/admin/audit_logs", "/admin/storage"),
    *("/admin/projects", "/admin/projects/{number:number}/limit"),
    *("/admin/issuers", "/admin/issuers/{issuer:number}/delete"),
    *("/admin/sign_on_providers", "/admin/sign_on_providers/{provider:number}/delete"),
    "/admin/sign_on_providers/{provider:number}/groups",
    "/admin/sign_on_providers/{provider:number}/groups/{group:number}/delete",
}
# What a page is about needs; forms need what they do.
IN_PROJECT = {
    PROJECT: Action.READ,
    "/projects/{number:number}": Action.READ,
    f"{PROJECT}/edit": Action.MANAGE,
    f"{PROJECT}/-/delete": Action.OWN,
    MODELS: Action.READ,
    f"{MODELS}/new": Action.WRITE,
    MODEL: Action.READ,
    f"{MODEL}/edit": Action.WRITE,
    f"{MODEL}/delete": Action.WRITE,
    f"{MODEL}/tags": Action.WRITE,
    f"{MODEL}/compare": Action.READ,
    f"{MODEL}/versions/new": Action.WRITE,
    VERSION: Action.READ,
    f"{VERSION}/edit": Action.WRITE,
    f"{VERSION}/aliases": Action.WRITE,
    f"{VERSION}/tags": Action.WRITE,
    f"{VERSION}/stage": Action.WRITE,
    f"{VERSION}/delete": Action.WRITE,
    f"{VERSION}/tree": Action.READ,
    f"{VERSION}/tree/{{path:path}}": Action.READ,
    f"{VERSION}/blob/{{path:path}}": Action.READ,
    f"{VERSION}/delete_files/{{path:path}}": Action.WRITE,
    EXPERIMENTS: Action.READ,
    f"{EXPERIMENTS}/new": Action.WRITE,
    EXPERIMENT: Action.READ,
    f"{EXPERIMENT}.csv": Action.READ,
    **dict.fromkeys((f"{EXPERIMENT}/{page}" for page in ("keys", "compare", "runs", "grid")), Action.READ),
    **dict.fromkeys((f"{EXPERIMENT}/{change}" for change in ("edit", "delete", "restore", "views")), Action.WRITE),
    f"{PROJECT}/-/ml/curves": Action.READ,
    f"{PROJECT}/-/ml/mlflow/{{path:path}}": Action.READ,
    RUN: Action.READ,
    **dict.fromkeys((f"{RUN}/{change}" for change in ("edit", "delete", "restore", "promote")), Action.WRITE),
    **dict.fromkeys((f"{RUN}/{change}" for change in ("tags", "tags/delete")), Action.WRITE),
    **dict.fromkeys(("/api/v4/projects/{id}/ml/mlflow", "/api/v4/projects/{id}/ml/mlflow/"), Action.READ),
    f"{PROJECT}/-/packages/{{package:number}}": Action.READ,
    **{f"{root}/{rest}": Action.WRITE for root in (VERSION, RUN) for rest in ("upload", "upload/check")},
    **{f"{root}/{rest}": Action.READ for root in (VERSION, RUN) for rest in ("archive.zip", "raw/{path:path}")},
    **dict.fromkeys((f"{REPOSITORY}/{kind}/{{revision}}" for kind in ("commit", "tree")), Action.READ),
    **dict.fromkeys((f"{REPOSITORY}/{kind}/{{revision}}/{{path:path}}" for kind in ("tree", "blob")), Action.READ),
    "/{project:long_id}": Action.READ,
    MEMBERS: Action.READ_MEMBERS,
    f"{MEMBERS}/{{user:number}}/edit": Action.READ_MEMBERS,
    f"{MEMBERS}/{{user:number}}/remove": Action.READ_MEMBERS,
    PROJECT_TOKENS: Action.MANAGE,
    f"{PROJECT_TOKENS}/{{token:number}}/rotate": Action.MANAGE,
    f"{PROJECT_TOKENS}/{{token:number}}/revoke": Action.MANAGE,
    PUBLISHERS: Action.MANAGE,
    f"{PUBLISHERS}/{{publisher:number}}/delete": Action.MANAGE,
    f"{PROJECT}/-/usage_quotas": Action.MAKE_JOB_TOKEN,  # which reporters may, as they are told of storage
    f"{PROJECT}/-/audit_events": Action.MANAGE,
    f"{PROJECT}/-/package_files/{{file:number}}/download": Action.READ,
}
PREVIEW = f"{MODELS}/preview_markdown"  # which knows no project: it shows what it is sent
ROLES = {"guest": 10, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
BUTTONS = {
    "": {
        **{"New model": Action.WRITE, "Edit project": Action.MANAGE, ">Members<": Action.READ_MEMBERS},
        **{">Access tokens</a></li>": Action.MANAGE, ">Usage quotas<": Action.MAKE_JOB_TOKEN},
    },
    "/-/project_members": {"Add member": Action.GRANT},
    "/-/settings/access_tokens": {"Create token": Action.GRANT, ">trusted publishers<": Action.MANAGE},
    "/-/settings/trusted_publishers": {"Trust publisher": Action.GRANT, "<table>": Action.MANAGE},
    "/edit": {"Delete project": Action.OWN, "Visibility": Action.OWN},
    "/-/ml/models": {"New model": Action.WRITE},
    "/-/ml/experiments": {"New experiment": Action.WRITE},
    "/-/ml/experiments/{experiment}": dict.fromkeys(
        ("Delete experiment", ">Edit<", "Set tag", ">Restore<", "Keep view"), Action.WRITE
    ),
    "/-/ml/candidates/{run}": dict.fromkeys(("Delete run", "Edit run", "Promote run"), Action.WRITE),
    "/-/ml/candidates/{run}?tab=tags": dict.fromkeys(("Set tag", ">Remove<"), Action.WRITE),
    "/-/ml/models/{model}": dict.fromkeys(("Edit model", "Delete model", "Set tag", "New version"), Action.WRITE),
    "/-/ml/models/{model}/versions/{version}": dict.fromkeys(
        ("Set alias", "Set stage", "Delete version"), Action.WRITE
    ),
    "/-/ml/models/{model}/versions/{version}/tree": {">Delete<": Action.WRITE, "Upload files": Action.WRITE},
    "/-/ml/models/{model}/versions/{version}/blob/d/f": {"Delete file": Action.WRITE},
}
STATEMENTS = 40  # that a page asks of the database, at most


def test_every_page_is_in_the_table_of_who_sees_it() -> None:
    assert {route.path for route in ROUTES} == ANYBODY | SIGNED_IN | set(IN_PROJECT) | {PREVIEW}


def filled(yard: Yard, template: str, ids: dict[str, int]) -> str:
    named = template.replace("{project:project}", yard.path).replace("{number:number}", str(yard.id))
    named = named.replace("{project:long_id}", f"{yard.path.replace('/', '__')}/iris")
    named = named.replace(REPOSITORY, yard.path).replace("{revision}", "main")
    named = named.replace("mlflow/{path:path}", f"mlflow/runs/{yard.last_run}")
    named = named.replace("tree/{path:path}", "tree/d").replace("{path:path}", "d/f")
    named = named.replace("{id}", str(yard.id)).replace("{run}", yard.last_run)
    path = re.sub(r"\{(\w+):number\}", lambda match: str(ids[match[1]]), named)
    path = path.replace("{action}", "block")
    if "/experiments/" in path and path.endswith("/compare"):
        return f"{path}?runs={ids['run']}"
    if path.endswith("/curves"):
        return f"{path}?run={ids['run']}&metric=m"
    if path.endswith("/upload/check"):
        return f"{path}?name=x&size=1"
    return f"{path}?from={ids['version']}&to={ids['version']}" if path.endswith("/compare") else path


@pytest.fixture
def issuer(root: httpx2.Client) -> Iterator[int]:
    """The id of an issuer, without which projects have no publishers."""
    body = {"name": "of-pages", "kind": "generic", "url": "https://pages.example.com", "audience": "yard"}
    made = root.post("/issuers", json=body)
    assert made.status_code == 201, made.text
    yield made.json()["id"]
    assert root.delete(f"/issuers/{made.json()['id']}").status_code == 204


@pytest.fixture
def ids(yard: Yard, issuer: int) -> dict[str, int]:
    model, version = yard.model(), yard.version()
    yard.put(version, "d/f", b"x")
    package = yard.api.get(f"/projects/{yard.id}/packages").json()[0]["id"]
    file = yard.api.get(f"/projects/{yard.id}/packages/{package}/package_files").json()[0]["id"]
    run = yard.iid(yard.run(metrics=[{"key": "m", "value": 1, "timestamp": 1, "step": 0}]))
    put = yard.api.put(f"/projects/{yard.id}/packages/ml_models/candidate:{run}/files/d/f", content=b"x")
    assert put.status_code == 201, put.text
    trusted = yard.api.post(
        f"/projects/{yard.id}/trusted_publishers", json={"issuer": "of-pages", "claims": {"sub": "s"}}
    )
    return {
        **{"issuer": issuer, "publisher": trusted.json()["id"], "provider": 1, "group": 1},
        **{"model": model, "version": version, "package": package, "file": file},
        **{"experiment": 0, "run": run, "user": yard.owner.id, "token": 1},
    }


@pytest.mark.once
def test_strangers_are_led_to_sign_in_and_see_no_private_project(
    yard: Yard, ids: dict[str, int], visitor: httpx2.Client, sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    other = sign_in(make_user().token)
    for route in ROUTES:
        if route.path in ANYBODY:
            continue
        path = filled(yard, route.path.replace("{token:number}", "1"), ids)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            answer = visitor.request(method, path)
            if method == "POST":
                assert answer.status_code == 401, path
            elif IN_PROJECT.get(route.path) is Action.READ:
                assert answer.status_code == 404, path
            else:
                assert answer.headers["location"].startswith("/users/sign_in?return_to="), path
            if route.path in IN_PROJECT:
                refused = other.request(method, path)
                assert (refused.status_code, "location" in refused.headers) == (404, False), path
                elsewhere = path.replace(yard.path, "no/such").replace(f"/projects/{yard.id}", "/projects/99999")
                absent = other.request(method, elsewhere)
                assert (absent.status_code, impersonal(absent.text)) == (404, impersonal(refused.text))


def impersonal(text: str) -> str:
    """A page without what it repeats of its own address and request."""
    return re.sub(r"<code>\w+</code>|value=\"[^\"]+\"|return_to=[^\"]+", "", text)


@pytest.mark.once
@pytest.mark.parametrize("visibility", ["private", "public"])
@pytest.mark.parametrize("role", [*ROLES, "admin", "none"])
def test_pages_forms_and_buttons_are_those_that_the_policy_allows(
    yard: Yard, ids: dict[str, int], sign_in: SignIn, make_user: Callable[..., Account], role: str, visibility: str
) -> None:
    person = make_user(admin=role == "admin")
    yard.api.put(f"/projects/{yard.id}", json={"visibility": visibility})
    if role in ROLES:
        added = yard.api.post(f"/projects/{yard.id}/members", json={"user_id": person.id, "access_level": ROLES[role]})
        assert added.status_code == 201
    browser, level = sign_in(person.token), {"admin": 50, "none": 0}.get(role) or ROLES.get(role, 0)
    sees = role != "none" or visibility == "public"

    def may(action: Action) -> bool:
        return sees and level >= (LEAST_ROLE[action] or 0)

    for template, action in IN_PROJECT.items():
        methods = {method for route in ROUTES if route.path == template for method in route.methods or ()}
        path = filled(yard, template, ids)
        if "GET" in methods:
            answer = browser.get(path)
            assert answer.status_code in ((200, 303) if may(action) else (403,) if sees else (404,)), path
        needed = action if action is not Action.READ else Action.WRITE
        if "POST" in methods and not may(needed):
            assert browser.post(path, data={"name": "iris"}).status_code == (403 if sees else 404), path
    for place, buttons in BUTTONS.items():
        text = browser.get(yard.url(place.format(**ids))).text
        for label, action in buttons.items():
            assert (label in text) == may(action), (place, label)
    tag = {"name": "iris", "key": "by", "value": role}
    by_api = person.client.post(f"/projects/{yard.id}/{MLFLOW}/registered-models/set-tag", json=tag)
    assert (by_api.status_code == 200) == may(Action.WRITE)


def test_pages_cost_as_many_statements_however_much_they_show(yard: Yard, server: LiveServer) -> None:
    def grown(models: int, files: int) -> list[str]:
        for name in [f"m{files}-{number}" for number in range(models)]:
            yard.register(name, tags=[{"key": "t", "value": "v"}])
            yard.alias(name, "champion", yard.version(name))
        model = yard.model(f"big{files}")
        versions = [yard.version(f"big{files}") for _ in range(models)]
        for number in range(files):
            yard.put(versions[0], f"f{number}", b"x")
        of_model, of_version = f"/-/ml/models/{model}", f"/-/ml/models/{model}/versions/{versions[0]}"
        return [
            *("", "/-/ml/models", of_model, f"{of_model}?tab=versions", of_version, f"{of_version}/tree"),
            *(f"{of_version}/blob/f1", f"{of_model}/compare?from={versions[0]}&to={versions[1]}"),
        ]

    counts: list[list[int]] = []
    for models, files in ((2, 2), (12, 30)):
        counts.append([])
        for place in grown(models, files):
            with statements(server) as ran:
                assert yard.browser.get(yard.url(place)).status_code == 200
            counts[-1].append(len(ran))
        with statements(server) as ran:
            assert "Latest versions" in yard.browser.get("/").text
        counts[-1].append(len(ran))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= STATEMENTS


CARD = "---\nlicense: mit\n---\n# Iris\n\n- [x] done\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n"
FEW, MANY = 600, 3500  # nodes


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pages_are_within_their_budgets_in_a_browser_in_both_themes_and_without_scripts(
    yard: Yard, server: LiveServer, browse: Open
) -> None:
    """Bytes and requests of a cold page, bytes of a warm one, nodes; axe; the same content with JavaScript off."""
    for name in [f"model-{number:02}" for number in range(40)]:
        yard.register(name, tags=[{"key": "team", "value": "vision"}])
        yard.version(name)
    model = yard.model("iris", description=CARD)
    version, second = yard.version("iris", description="# One"), yard.version("iris", description="# Two")
    for number in range(210):
        yard.put(version, f"file-{number:03}.bin", b"x" * number)
    of_model, of_version = f"/-/ml/models/{model}", f"/-/ml/models/{model}/versions/{version}"
    file = "file-001.bin"
    places = {
        **dict.fromkeys(("", "/-/ml/models", f"{of_model}?tab=versions", f"{of_version}/tree"), MANY),
        f"{of_model}/compare?from={version}&to={second}": MANY,
        **dict.fromkeys(("/edit", "/-/delete"), FEW),
        **dict.fromkeys((f"{of_model}{each}" for each in ("", "/edit", "/delete", "/versions/new")), FEW),
        **dict.fromkeys((f"{of_version}{each}" for each in ("", "/edit", "/delete", "?tab=metrics", "?tab=use")), FEW),
        **dict.fromkeys((f"{of_version}/{kind}/{file}" for kind in ("blob", "delete_files")), FEW),
    }
    shown: dict[str, str] = {}
    for theme, width in LOOKS:
        with browse(viewport={"width": width, "height": 800}) as watched:
            watched.context.add_cookies([yard.cookie(server), yard.cookie(server, "modelyard_theme", theme)])
            page = watched.page()
            for place, nodes in places.items():
                page.goto(yard.url(place))
                assert axe(page) == [], (theme, width, place)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, place)
                assert page.evaluate("document.querySelectorAll('*').length") <= nodes, place
                assert page.locator("html").get_attribute("data-theme") == theme
                shown[place] = page.locator("main h1").inner_text()
    with browse(java_script_enabled=False) as watched:
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        for place in places:
            page.goto(yard.url(place))
            assert page.locator("main h1").inner_text() == shown[place]
    for place in places:
        assert len(gzip.compress(yard.browser.get(yard.url(place)).content)) <= 10_000, place
    with browse() as watched:
        watched.context.add_cookies([yard.cookie(server)])
        page, sizes = watched.page(), list[int]()

        def note(request: Request) -> None:
            told = request.sizes()
            sizes.append(told["responseBodySize"] + told["responseHeadersSize"])

        page.on("requestfinished", note)
        page.goto(yard.url("/-/ml/models"))
        page.wait_for_load_state("networkidle")
        assert len(sizes) <= 8
        assert sum(sizes) <= 35_000


def test_names_of_any_length_and_direction_break_no_page(yard: Yard) -> None:
    name, tags = "ש" * 500, [{"key": "k" * 250, "value": "م" * 5000}]
    model = yard.model(name, tags=tags)
    version = yard.version(name, tags=tags)
    yard.put(version, "/".join(["長" * 80] * 4), b"x")
    shown = f"/-/ml/models/{model}/versions/{version}"
    for place in ("", "/-/ml/models", f"/-/ml/models/{model}", shown, f"{shown}/tree"):
        answer = yard.browser.get(yard.url(place))
        assert answer.status_code == 200
        assert 'dir="auto"' in answer.text
    huge = yard.browser.post(yard.url("/-/ml/models/new"), data={"name": "x" * 10_000, "description": "kept"})
    assert (huge.status_code, "kept" in huge.text) == (400, True)
    form = {"name": name, "description": "x" * 8_000_000}
    card = yard.browser.post(yard.url(f"/-/ml/models/{model}/edit"), data=form)
    assert (card.status_code, "That was too much" in card.text) == (413, True)


def test_a_project_without_room_for_rows_says_so_to_none_but_its_writers(tmp_path: Path) -> None:
    with running(tmp_path, project_rows_quota=1) as live:
        with live.client(live.root_token) as root:
            root.post("/projects", json={"name": "full"})
            user = root.post("/users", json={"username": "u", "name": "u", "email": "u@example.com"}).json()["id"]
            made = root.post(f"/users/{user}/personal_access_tokens", json={"name": "t", "scopes": ["api"]}).json()
        for token, status in ((made["token"], 404), (live.root_token, 400)):
            with httpx2.Client(base_url=live.url, headers=AS_BROWSER, timeout=30) as client:
                client.post("/users/sign_in", data={"token": token})
                refused = client.post(f"/{ROOT}/full/-/ml/models/new", data={"name": "m"})
                assert (refused.status_code, "reached their limit" in refused.text) == (status, status == 400)


@pytest.mark.once
def test_pages_work_below_a_prefix(tmp_path: Path) -> None:
    with running(tmp_path, external_url="https://yard.example.com/base") as live:
        with httpx2.Client(base_url=live.url, headers=AS_BROWSER, timeout=30) as client:
            signed = client.post("/users/sign_in", data={"token": live.root_token, "return_to": "/projects/new"})
            assert signed.headers["location"] == "/base/projects/new"
            cookie = signed.headers["set-cookie"].partition(";")[0]
            assert cookie.startswith("__Host-")
        headers = {"Accept": "text/html", "Cookie": cookie}
        with httpx2.Client(base_url=live.url, headers=headers, timeout=30) as client:
            ours, theirs = {"Origin": "https://yard.example.com"}, {"Origin": "https://evil.example.com"}
            made = client.post("/projects/new", data={"name": "p"}, headers=ours)
            assert made.headers["location"] == f"/base/{ROOT}/p"
            assert client.post("/projects/new", data={"name": "q"}, headers=theirs).status_code == 403
            for path in ("/", f"/{ROOT}/p", f"/{ROOT}/p/-/ml/models", f"/{ROOT}/p/edit", "/no/such", "/users/sign_in"):
                text = client.get(path).text
                led = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
                assert led
                assert [url for url in led if not url.startswith("/base/")] == [], path
            assert "https://yard.example.com/base/api/v4/projects/1/ml/mlflow" in client.get(f"/{ROOT}/p").text
