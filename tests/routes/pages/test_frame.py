"""What all pages have in common: headers, assets, refusals, themes, and what a browser finds against them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from modelyard.registry.engine import Database
from modelyard.routes.pages import assets, rendering
from modelyard.routes.pages.routers import ROUTES
from tests.browsers import LOOKS, axe
from tests.conftest import Account
from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER, Open, SignIn
from tests.waiting import within_one_minute

ROOT = "root"  # the administrator, whose namespace it is

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-type": "text/html; charset=utf-8",
}
PAGES = Path(assets.__file__).parent
LOADED = re.compile(r'(?:href|src)="(/-/assets/[^"]+)"(?: integrity="([^"]+)")?')


def templates() -> list[Path]:
    return sorted(rendering.TEMPLATES.rglob("*.html"))


def assert_headers(answer: httpx2.Response) -> None:
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "no-cache" in answer.headers["cache-control"] or answer.headers["cache-control"] == "no-store"


def test_pages_have_the_headers_that_keep_others_out(visitor: httpx2.Client, admin: httpx2.Client) -> None:
    for client, path, status in ((visitor, "/", 200), (admin, "/", 200), (visitor, "/no/such", 404)):
        answer = client.get(path)
        assert answer.status_code == status
        assert_headers(answer)
        assert_headers(client.head(path))


def test_what_pages_load_is_what_their_tags_say_and_is_kept_for_ever(visitor: httpx2.Client) -> None:
    text = visitor.get("/").text
    found = {url: integrity for url, integrity in LOADED.findall(text) if integrity}
    assert {url.rpartition(".")[2] for url in found} == {"css", "js"}
    for url, integrity in found.items():
        answer = visitor.get(url, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert integrity == f"sha384-{base64.b64encode(hashlib.sha384(answer.content).digest()).decode()}"
        plain = visitor.get(url, headers={"Accept-Encoding": "identity"})
        assert (plain.content, "content-encoding" in plain.headers) == (answer.content, False)
        assert visitor.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        assert visitor.get(url.replace("/-/assets/", "/-/assets/0")).status_code == 404


@pytest.mark.parametrize("name", ["../subject.py", "..%2fsubject.py", "vendor.toml", "", "app.css/", "%00", "\x80"])
def test_no_other_file_is_an_asset(visitor: httpx2.Client, name: str) -> None:
    digest = assets.asset("app.css").digest
    assert visitor.get(f"/-/assets/{digest}/{name}").status_code in ((200, 404) if name == "app.css/" else (404,))


def test_what_is_vendored_is_as_it_was_published_and_brings_its_licence() -> None:
    told = tomllib.loads((PAGES / "vendor.toml").read_text())["file"]
    files = {path.name for path in (assets.STATIC / "vendor").iterdir()}
    licences = {f"{each['package']}.license.txt" for each in told}
    more = {f"{each['package']}.notice.txt" for each in told} | {f"{each['name']}.license.txt" for each in told}
    assert files - more == {each["name"] for each in told} | licences
    assert {"swagger-ui-dist.notice.txt", "swagger-ui.js.license.txt"} <= files
    for each in told:
        content = (assets.STATIC / "vendor" / each["name"]).read_bytes()
        assert each["integrity"] == f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", each["tarball"])
        assert each["version"]
        assert each["license"]


def test_the_style_sheet_is_small() -> None:
    assert len(gzip.compress((assets.STATIC / "app.css").read_bytes())) <= 12_000


def test_no_colour_changes_with_the_width_of_a_page() -> None:
    """So that each theme is looked at in one width alone."""
    styles = (assets.STATIC / "app.css").read_text()
    narrow = re.findall(r"@media \([^)]*width.*?\n\}", styles, re.DOTALL)
    assert narrow
    for block in narrow:
        assert re.findall(r"color|background|opacity|filter|--[\w-]+:", block) == []


def test_templates_have_no_script_no_style_and_nothing_that_htmx_would_evaluate() -> None:
    for path in templates():
        text = path.read_text()
        assert not re.search(
            r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:|hx-on|js:|hx-vals=.js", text
        ), path
        assert not re.search(r"hx-trigger=\"[^\"]*\[", text), path
        assert not re.search(r"\|\s*safe\b|autoescape|Markup", text), path


def test_markup_is_trusted_in_one_module_alone() -> None:
    trusting = {path.name for path in PAGES.rglob("*.py") if re.search(r"\bMarkup\b", path.read_text())}
    assert trusting <= {"markdown.py"}


def test_refusals_are_pages_for_browsers_and_json_for_clients(
    visitor: httpx2.Client, admin: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in (visitor, admin):
        page = client.get("/no/such/page")
        assert (page.status_code, "Page not found" in page.text) == (404, True)
        assert f"<code>{page.headers['x-request-id']}</code>" in page.text
        assert ("Sign in</a></p>" in page.text) == (client is visitor)
    assert visitor.get("/no/such/page", headers={"Accept": "*/*"}).json() == {"message": "404 Project Not Found"}
    assert visitor.get("/nothing", headers={"Accept": "application/json"}).json() == {"error": "404 Not Found"}
    for path in ("/api/v4/nothing", "/api/models/a/b", "/a/b/resolve/main/f"):
        assert visitor.get(path).headers["content-type"] == "application/json", path
    assert "This cannot be done here" in visitor.delete("/users/sign_in").text
    assert "You may not do this" in visitor.post("/projects/new", headers={"Sec-Fetch-Site": "cross-site"}).text
    too_large = admin.post(
        "/projects/new", content=b"x" * 3_000_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (too_large.status_code, "That was too much" in too_large.text) == (413, True)
    no_form = admin.post("/projects/new", json={"name": "x"})
    assert (no_form.status_code, "Pages take forms" in no_form.text) == (415, True)

    def broken(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", None, Exception("gone"))

    monkeypatch.setattr(Database, "read_now", broken)
    away = visitor.get("/")
    assert (away.status_code, "Not available at the moment" in away.text) == (503, True)
    assert away.headers["retry-after"] == "5"
    assert "SELECT" not in away.text

    def unexpected(*_: object, **__: object) -> None:
        raise KeyError("secret of the house")

    monkeypatch.setattr(Database, "read_now", unexpected)
    failed = visitor.get("/")
    assert (failed.status_code, "Something went wrong here" in failed.text) == (500, True)
    assert "secret of the house" not in failed.text
    assert failed.headers["x-request-id"] in failed.text
    for answer in (page, too_large, no_form, away, failed):
        assert_headers(answer)


def test_too_many_requests_are_told_by_a_page(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_anonymous=1) as live:
        within_one_minute(5)
        statuses = [httpx2.get(f"{live.url}/", headers=AS_BROWSER) for _ in range(3)]
        assert statuses[-1].status_code == 429
        assert "Too many requests" in statuses[-1].text
        assert statuses[-1].headers["retry-after"]
        assert httpx2.get(f"{live.api}/projects").text == "Retry later\n"


def test_without_pages_there_are_the_apis_alone(tmp_path: Path) -> None:
    with running(tmp_path, pages=False) as live:
        for route in ROUTES:
            path = re.sub(r"\{[^}]+\}", "1", route.path.replace("{project:project}", "a/b"))
            for method in sorted(route.methods or ()):
                answer = httpx2.request(method, f"{live.url}{path}", headers=AS_BROWSER)
                assert answer.status_code == 404, (method, path)
                assert "html" not in answer.headers["content-type"]


def test_a_form_that_is_none_is_refused(admin: httpx2.Client) -> None:
    for content in (b"name=%ff", b"name=a%00b", b"a=1&" * 2000):
        answer = admin.post(
            "/projects/new", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert (answer.status_code, "malformed" in answer.text) == (400, True)


def test_the_theme_is_kept_and_set_by_the_server(visitor: httpx2.Client) -> None:
    assert 'data-theme="system"' in visitor.get("/").text
    answer = visitor.post("/-/user_settings/theme", data={"theme": "dark", "return_to": "/explore"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/explore")
    assert 'data-theme="dark"' in visitor.get("/explore").text
    assert visitor.post("/-/user_settings/theme", data={"theme": "pink"}).status_code == 400
    visitor.cookies.set("modelyard_theme", '"><script>')
    assert 'data-theme="system"' in visitor.get("/").text


def test_times_are_in_the_viewer_s_zone(visitor: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> None:
    created = make_project(visibility="public")["created_at"]
    for zone, hours in (("", 0), ("Etc/GMT-3", 3), ("No/Where", 0), ("../../etc/passwd", 0), ("Asia/Kolkata", 5.5)):
        visitor.cookies.set("modelyard_zone", zone.replace("/", "%2F"))
        text = visitor.get("/explore").text
        found = re.findall(r'<time datetime="([^"]+)">([^<]+)</time>', text)
        moment, written = next(each for each in found if each[0][:16] == created[:16])
        minutes = [int(part) for part in re.split(r"[T:]", moment[:16])[1:]]
        shown = [int(part) for part in written.split(" ")[1].split(":")]
        assert (shown[0] * 60 + shown[1]) == (minutes[0] * 60 + minutes[1] + int(hours * 60)) % 1440, zone


@pytest.mark.parametrize("word", ["Admin", "api", "users", "explore"])
def test_what_begins_paths_of_the_server_is_no_namespace(
    word: str, root: httpx2.Client, make_user: Callable[..., Account]
) -> None:
    made = root.post("/users", json={"username": word, "name": "x", "email": "x@example.com"})
    assert made.json() == {"message": {"username": ["is a reserved name"]}}
    for caller in (root, make_user().client):
        refused = caller.post("/projects", json={"name": "x", "namespace_path": f"{word}/below"})
        assert (refused.status_code, refused.json()) == (400, {"message": {"namespace_path": ["is a reserved name"]}})


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_and_the_browser_find_nothing_against_the_first_pages(
    browse: Open, server: LiveServer, make_project: Callable[..., dict[str, Any]], scheme: str, width: int
) -> None:
    make_project()
    with browse(color_scheme=scheme, viewport={"width": width, "height": 800}) as watched:
        watched.expected = ("status of 404", "status of 401")
        page = watched.page()
        for path in ("/users/sign_in", "/no/such"):
            page.goto(path)
            assert axe(page) == [], path
        page.goto("/users/sign_in")
        page.get_by_label("Personal access token").fill(server.root_token)
        page.get_by_role("button", name="Sign in").click()
        page.locator(".menu summary").click()
        for path in ("/", "/projects/new", "/-/user_settings/active_sessions"):
            page.goto(path)
            assert axe(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate("[localStorage, sessionStorage].map(s => JSON.stringify(s)).join()").count("myd_") == 0
        assert "myd_" not in page.content()


def test_a_person_comes_in_makes_a_project_and_leaves_without_any_script(browse: Open, server: LiveServer) -> None:
    with browse(java_script_enabled=False) as watched:
        page = watched.page()
        page.goto("/projects/new")
        page.get_by_label("Personal access token").fill(server.root_token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Name", exact=True).fill("By hand")
        page.get_by_role("button", name="Create project").click()
        assert page.get_by_role("status").inner_text() == "The project has been created"
        page.reload()
        assert page.get_by_role("status").count() == 0
        assert page.title().endswith("root/by-hand · modelyard")
        page.locator(".menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"/{ROOT}/by-hand")
        assert page.get_by_role("heading", name="Page not found").count() == 1
        watched.expected = ("status of 404",)


def test_keys_lead_where_they_say_and_can_be_switched_off(
    browse: Open, make_project: Callable[..., dict[str, Any]]
) -> None:
    path = make_project(visibility="public")["path_with_namespace"]
    with browse() as watched:
        page = watched.page()
        page.goto("/explore/projects")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "filter"
        page.keyboard.press("Tab")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('href')") == f"/{path}"
        page.keyboard.press("?")
        assert page.get_by_role("dialog").is_visible()
        page.get_by_label("Do not use keys").check()
        page.keyboard.press("Escape")
        page.reload()
        page.keyboard.press("?")
        assert not page.get_by_role("dialog").is_visible()


def cookie(server: LiveServer, name: str, value: str) -> Any:
    return {"name": name, "value": value, "url": server.url}


def test_pages_are_read_in_forced_colours_printed_from_a_dark_theme_and_zoomed(
    browse: Open, server: LiveServer, admin: httpx2.Client
) -> None:
    session = admin.cookies["modelyard_session"]
    with browse(forced_colors="active", viewport={"width": 640, "height": 400}) as watched:  # 200 % of 1280 by 800
        watched.context.add_cookies([cookie(server, "modelyard_session", session)])
        watched.context.add_cookies([cookie(server, "modelyard_theme", "dark")])
        page = watched.page()
        page.goto("/projects/new")
        canvas = "() => [getComputedStyle(document.body).color, getComputedStyle(document.querySelector('h1')).color]"
        assert set(page.evaluate(canvas)) <= {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}  # the system's, not the theme's
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Tab")
        outline = "() => getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) != "none"
        page.emulate_media(forced_colors="none", media="print")
        colour = "element => getComputedStyle(element).color"
        assert page.locator("body").evaluate(colour) == "rgb(31, 35, 40)"  # on paper
        assert page.locator("main h1").is_visible()
        assert not page.locator(".top").is_visible()


def test_who_opens_a_dialog_by_a_key_is_back_where_they_were(
    browse: Open, server: LiveServer, admin: httpx2.Client
) -> None:
    with browse() as watched:
        watched.context.add_cookies([cookie(server, "modelyard_session", admin.cookies["modelyard_session"])])
        page = watched.page()
        page.goto("/dashboard/projects")
        menu = page.locator(".top-user summary")
        menu.focus()
        page.keyboard.press("?")
        assert page.evaluate("document.querySelector('#keys').contains(document.activeElement)")
        page.keyboard.press("Escape")
        assert menu.evaluate("element => element === document.activeElement")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Active sessions").wait_for()
        page.keyboard.press("Escape")
        assert not page.get_by_role("link", name="Active sessions").is_visible()


def test_signed_out_pages_of_one_person_are_not_shown_to_the_next(
    sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    client = sign_in(make_user().token)
    answer = client.get("/dashboard/projects")
    assert answer.headers["vary"] == "Cookie, Accept-Encoding"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/acme/churn.git/info/lfs/verify", "POST"),
        (f"/acme/churn.git/info/lfs/content/{'0' * 64}", "POST, PUT"),
        ("/api/v4/projects/1/members", "GET, HEAD, POST"),
        ("/acme/churn", "GET, HEAD"),
    ],
)
def test_a_path_of_an_api_allows_no_method_for_the_page_that_it_resembles(
    visitor: httpx2.Client, path: str, allowed: str
) -> None:
    visitor.get("/")  # all pages are there from now on
    answer = visitor.request("OPTIONS", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
