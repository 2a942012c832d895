"""Issuers on the administrators' page, and trusted publishers on a project's: forms, refusals, and a job's script."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser

from tests.browsers import axe, watched
from tests.commands import environment_of
from tests.issuers import KEY, FakeIssuer, running_issuer
from tests.live import LiveServer, running
from tests.routes.oauth import ci
from tests.routes.pages.conftest import AS_BROWSER, SignIn
from tests.routes.pages.yard import rows
from tests.statements import statements

ISSUERS = "/admin/issuers"
PUBLISHERS = "/-/settings/trusted_publishers"
TOKENS = "/-/settings/access_tokens"
ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
SCRIPT = '<script>alert(1)</script>"'
NEW = {"kind": "generic", "name": "other", "url": "https://ci.example.com", "audience": ci.AUDIENCE}
GITLAB = {"issuer": "gitlab", "project_id": "42", "ref_protected": "1", "access_level": "30", "expires_in": "3600"}
GITHUB = GITLAB | {"issuer": "github", "project_id": "", "repository_id": "74", "repository_owner_id": "65"}
POD = {"issuer": "kubernetes", "namespace": "ml", "service_account": "s", "access_level": "20", "expires_in": "900"}
OTHER = {"issuer": "generic", "sub": "pipeline:p", "access_level": "10", "expires_in": "3600"}
FIELDS = {
    "gitlab": ["project_id", "ref", "environment"],
    "github": ["repository_id", "repository_owner_id", "ref", "environment"],
    "kubernetes": ["namespace", "service_account"],
    "generic": ["sub"],
}
_serial = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("publishers"), loopback_issuers=True) as server:
        yield server


@pytest.fixture
def root(server: LiveServer) -> Iterator[httpx2.Client]:
    """The administrator's client, on a server without issuers."""
    with server.client(server.root_token) as client:
        for issuer in client.get("/issuers").json():
            assert client.delete(f"/issuers/{issuer['id']}").status_code == 204
        yield client


@pytest.fixture
def project(root: httpx2.Client) -> str:
    """The path of a project."""
    made = root.post("/projects", json={"name": f"trusting-{next(_serial)}"})
    return str(made.json()["path_with_namespace"])


@pytest.fixture
def listed(root: httpx2.Client) -> None:
    """An issuer of each kind."""
    for kind in FIELDS:
        body = NEW | {"kind": kind, "name": kind, "url": f"https://{kind}.example.com"}
        assert root.post("/issuers", json=body).status_code == 201


def person(root: httpx2.Client, project: str = "", level: int = 0, scopes: tuple[str, ...] = ("api",)) -> str:
    """A token of somebody who has a role in a project, or none."""
    name = f"person-{next(_serial)}"
    user = root.post("/users", json={"username": name, "email": f"{name}@example.com"}).json()["id"]
    if level:
        body = {"user_id": user, "access_level": level}
        assert root.post(f"/projects/{project.replace('/', '%2F')}/members", json=body).status_code == 201
    made = root.post(f"/users/{user}/personal_access_tokens", json={"name": "t", "scopes": list(scopes)})
    return str(made.json()["token"])


def trusted(root: httpx2.Client, project: str) -> list[dict[str, object]]:
    answer = root.get(f"/projects/{project.replace('/', '%2F')}/trusted_publishers")
    assert answer.status_code == 200, answer.text
    return list(answer.json())


# Issuers


def test_an_administrator_lists_and_deletes_issuers(admin: httpx2.Client, root: httpx2.Client) -> None:
    assert "There is no issuer yet" in admin.get(ISSUERS).text
    assert f'<a href="{ISSUERS}">Issuers</a>' in admin.get("/admin").text
    keys = json.dumps({"keys": [KEY.as_dict(private=False)]})
    made = admin.post(ISSUERS, data=NEW | {"algorithms": ["RS256", "ES256"], "jwks": keys})
    assert (made.status_code, made.headers["location"]) == (303, ISSUERS)
    assert admin.post(ISSUERS, data={**NEW, "kind": "gitlab", "name": "", "url": "https://g.example.com"}).is_redirect
    text = admin.get(ISSUERS).text
    assert "gitlab is an issuer now" in text
    first, second = (row[:7] for row in rows(text)[1:])
    assert first[:6] == ["other", "generic", NEW["url"], ci.AUDIENCE, "RS256 ES256", "given"]
    assert second[:6] == ["gitlab", "gitlab", "https://g.example.com", ci.AUDIENCE, "RS256", "discovered"]
    assert "each token once" in second[6]
    (told, other) = root.get("/issuers").json()
    assert (told["algorithms"], told["jwks"]) == (["RS256", "ES256"], keys)
    delete = f"{ISSUERS}/{told['id']}/delete"
    for typed in ("", "gitlab"):
        refused = admin.post(delete, data={"name": typed})
        assert (refused.status_code, "Name is not the issuer&#39;s" in refused.text) == (400, True)
    assert len(root.get("/issuers").json()) == 2
    gone = admin.post(delete, data={"name": "other"})
    assert (gone.status_code, gone.headers["location"]) == (303, ISSUERS)
    assert "other is no issuer any more" in admin.get(ISSUERS).text
    assert root.get("/issuers").json() == [other]
    assert admin.post(delete, data={"name": "other"}).status_code == 404


@pytest.mark.once
@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"kind": "jenkins"}, 400, "Kind does not have a valid value"),
        ({"kind": ""}, 400, "Kind does not have a valid value"),
        ({"name": "Not This"}, 400, "Name must be lower case"),
        ({"name": SCRIPT}, 400, "Name must be lower case"),
        ({"url": ""}, 400, "Url must"),
        ({"url": "http://ci.example.com"}, 400, "Url must begin with https://"),
        ({"url": f"http://{SCRIPT}"}, 400, "Url must"),
        ({"audience": ""}, 400, "Audience must be there"),
        ({"audience": "a\tb"}, 400, "Audience must be printable"),
        ({"algorithms": ["RS256", "none"]}, 400, "Algorithms must be of RS256"),
        ({"jwks": "{"}, 400, "Jwks is no JSON"),
        ({"jwks": "{}"}, 400, "Jwks is no JWKS"),
        ({"jwks": "x" * 300_000}, 400, "Jwks must have at most"),
        ({"name": "gitlab"}, 409, "Another issuer has this name already"),
        ({"url": "https://gitlab.example.com"}, 409, "Another issuer has this url already"),
    ],
    ids=str,
)
def test_an_issuer_that_cannot_be_is_refused_beside_what_was_typed(
    admin: httpx2.Client, root: httpx2.Client, changed: dict[str, str | list[str]], status: int, said: str
) -> None:
    typed = NEW | changed
    answer = admin.post(ISSUERS, data=typed)
    assert answer.status_code == status, answer.text[-500:]
    shown = unescape(answer.text)
    alert = re.search(r'role="alert" tabindex="-1">([^<]*)', shown)
    assert alert
    assert said.lower() in alert[1].lower()
    for name in ("name", "url", "audience"):
        assert f'name="{name}"' in shown
        assert f'value="{typed[name]}"' in shown
    assert str(typed.get("jwks", "")) in shown
    assert "<script>alert" not in answer.text
    assert f"Request id <code>{answer.headers['x-request-id']}</code>" in answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert len(root.get("/issuers").json()) == len(FIELDS)


def test_issuers_are_administrators_alone(
    admin: httpx2.Client, sign_in: SignIn, server: LiveServer, root: httpx2.Client
) -> None:
    issuer = root.post("/issuers", json=NEW).json()["id"]
    other, reader = sign_in(person(root)), sign_in(admin_reader(root))
    delete = f"{ISSUERS}/{issuer}/delete"
    with httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30) as stranger:
        assert stranger.get(ISSUERS).headers["location"] == "/users/sign_in?return_to=%2Fadmin%2Fissuers"
        assert {stranger.post(path, data=NEW).status_code for path in (ISSUERS, delete)} == {401}
    refused = [other.get(ISSUERS), *(other.post(path, data=NEW) for path in (ISSUERS, delete))]
    assert [(each.status_code, NEW["url"] in each.text) for each in refused] == [(403, False)] * 3
    seen = reader.get(ISSUERS).text
    assert ("other" in seen, "New issuer" in seen, "Delete issuer" in seen) == (True, False, False)
    assert {reader.post(path, data=NEW).status_code for path in (ISSUERS, delete)} == {403}
    evil = {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}
    assert {admin.post(path, data=NEW, headers=evil).status_code for path in (ISSUERS, delete)} == {403}
    assert [each["id"] for each in root.get("/issuers").json()] == [issuer]


def admin_reader(root: httpx2.Client) -> str:
    """A token that only reads, of another administrator."""
    name = f"person-{next(_serial)}"
    user = root.post("/users", json={"username": name, "email": f"{name}@example.com", "admin": True}).json()["id"]
    made = root.post(f"/users/{user}/personal_access_tokens", json={"name": "t", "scopes": ["read_api"]})
    return str(made.json()["token"])


# Publishers


def test_without_an_issuer_there_is_no_page_of_publishers_and_no_way_to_it(admin: httpx2.Client, project: str) -> None:
    page = f"/{project}{PUBLISHERS}"
    answers = [admin.get(page), admin.post(page, data=GITLAB), admin.post(f"{page}/1/delete")]
    assert [each.status_code for each in answers] == [404] * 3
    assert "text/html" in answers[0].headers["content-type"]
    assert PUBLISHERS not in admin.get(f"/{project}{TOKENS}").text


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("form", [GITLAB, GITHUB, POD, OTHER], ids=lambda form: form["issuer"])
def test_the_form_has_the_fields_of_the_issuer_s_kind(
    admin: httpx2.Client, root: httpx2.Client, project: str, form: dict[str, str]
) -> None:
    page, kind = f"/{project}{PUBLISHERS}", form["issuer"]
    assert f'href="{page}"' in admin.get(f"/{project}{TOKENS}").text
    shown = admin.get(page, params={"issuer": kind}).text
    assert f'<option value="{kind}" selected>' in shown
    named = re.findall(r'<input id="\w+" name="(\w+)"', shown)
    assert [name for name in named if name not in {"name", "expires_in"}] == FIELDS[kind]
    assert ("ref_protected" in shown, "Let in, though" in shown) == (("ref" in FIELDS[kind]),) * 2
    assert ">Maintainer</option>" not in shown
    assert ("No publisher is trusted yet" in shown, json.dumps(ci.AUDIENCE) in unescape(shown)) == (
        True,
        kind in {"gitlab", "kubernetes"},
    )
    made = admin.post(page, data=form | {"name": "mine"})
    assert (made.status_code, made.headers["location"]) == (303, page)
    (told,) = trusted(root, project)
    claims = {name: form[name] for name in FIELDS[kind] if name not in {"ref", "environment"}}
    assert (told["kind"], told["claims"], told["name"]) == (kind, claims, "mine")
    assert (told["access_level"], told["expires_in"]) == (int(form["access_level"]), int(form["expires_in"]))
    assert told["ref_protected"] is ("ref_protected" in form)
    text = admin.get(page).text
    assert "mine is trusted now" in text
    assert rows(text)[1][2] == " ".join(f"{name}={value}" for name, value in claims.items())


@pytest.mark.usefixtures("listed")
def test_all_that_binds_a_publisher_is_taken_shown_and_ended(
    admin: httpx2.Client, root: httpx2.Client, project: str
) -> None:
    page = f"/{project}{PUBLISHERS}"
    further = "ci_config_ref_uri = gitlab.example.com/g/p//.gitlab-ci.yml\r\n\r\nrunner_environment=a=b\r\n"
    full = GITLAB | {
        "ref": "release/*",
        "environment": "production",
        "claims": further,
        "events": ["merge_request_event"],
    }
    assert admin.post(page, data=full).status_code == 303
    (told,) = trusted(root, project)
    assert told["claims"] == {
        "project_id": "42",
        "ci_config_ref_uri": "gitlab.example.com/g/p//.gitlab-ci.yml",
        "runner_environment": "a=b",
    }
    assert (told["ref"], told["events"]) == ("refs/heads/release/*", ["merge_request_event"])
    row = rows(admin.get(page).text)[1]
    assert row[3] == "refs/heads/release/* protected environment production merge_request_event"
    assert row[4] == "Developer"
    open_to_all = {name: value for name, value in GITLAB.items() if name != "ref_protected"}
    assert admin.post(page, data=open_to_all).status_code == 303
    assert rows(admin.get(page).text)[2][3] == "any ref"
    assert admin.post(page, data=GITLAB).status_code == 303
    again = admin.post(page, data=GITLAB)
    assert (again.status_code, "trusts this publisher already" in again.text) == (409, True)
    for publisher in trusted(root, project):
        assert admin.post(f"{page}/{publisher['id']}/delete").headers["location"] == page
        assert "The publisher is trusted no more" in admin.get(page).text
        assert admin.post(f"{page}/{publisher['id']}/delete").status_code == 404
    assert trusted(root, project) == []


@pytest.mark.once
@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        (GITLAB | {"project_id": ""}, 400, "Claims must have project_id"),
        (GITLAB | {"project_id": SCRIPT}, 400, "Claims project_id must be a number"),
        (GITLAB | {"namespace": "ml"}, 400, "Claims cannot have namespace"),
        (GITLAB | {"claims": "user_login=ada"}, 400, "Claims cannot have user_login"),
        (GITLAB | {"claims": "no sign"}, 400, "Claims must be lines such as name=value"),
        (GITLAB | {"claims": "project_id=43"}, 400, "each name once"),
        (GITHUB | {"repository_owner_id": ""}, 400, "Claims must have repository_owner_id"),
        (POD | {"service_account": ""}, 400, "Claims must have service_account"),
        (POD | {"ref": "main"}, 400, "Ref is nothing that this kind of issuer tells"),
        (POD | {"ref_protected": "1"}, 400, "Ref protected is nothing that"),
        (POD | {"environment": "e"}, 400, "Environment is nothing that"),
        (POD | {"events": "push"}, 400, "Events are not told here"),
        (OTHER | {"sub": ""}, 400, "Claims must have sub or others"),
        (OTHER | {"sub": "x" * 256}, 400, "Claims must be printable texts"),
        (OTHER | {"claims": "\n".join(f"c{n}=x" for n in range(20))}, 400, "Claims must be at most 20"),
        (GITLAB | {"ref": "a*b"}, 400, "Ref may have one * only"),
        (GITLAB | {"name": "x" * 256}, 400, "Name must be printable"),
        (GITLAB | {"events": "push"}, 400, "Events must be of"),
        (GITLAB | {"expires_in": "soon"}, 400, "Expires in must be 900 to 43200 seconds"),
        (GITLAB | {"expires_in": "899"}, 400, "Expires in must be 900 to 43200 seconds"),
        (GITLAB | {"access_level": "40"}, 400, "Access level must be at most 30"),
        (GITLAB | {"access_level": "31"}, 400, "Access_level does not have a valid value"),
        (GITLAB | {"access_level": ""}, 400, "Access_level does not have a valid value"),
        (GITLAB | {"issuer": "nobody"}, 404, "Issuer Not Found"),
    ],
    ids=str,
)
def test_what_cannot_be_trusted_is_refused_beside_what_was_typed(
    admin: httpx2.Client, root: httpx2.Client, project: str, form: dict[str, str], status: int, said: str
) -> None:
    answer = admin.post(f"/{project}{PUBLISHERS}", data={"name": "kept", "claims": ""} | form)
    assert answer.status_code == status, answer.text[-500:]
    shown = unescape(answer.text)
    alert = re.search(r'role="alert" tabindex="-1">([^<]*)', shown)
    assert alert
    assert said.lower() in alert[1].lower()
    kind = form["issuer"] if form["issuer"] in FIELDS else "gitlab"
    assert f'name="issuer" value="{kind}"' in shown
    for name in ("name", "expires_in", *FIELDS[kind]):
        assert re.search(
            rf'name="{name}"[^\n]* value="{re.escape(form.get(name, "kept" if name == "name" else ""))}"', shown
        )
    assert form.get("claims", "") in shown
    assert "<script>alert" not in answer.text
    assert trusted(root, project) == []


@pytest.mark.usefixtures("listed")
def test_names_and_claims_are_shown_as_texts(admin: httpx2.Client, root: httpx2.Client, project: str) -> None:
    made = root.post("/issuers", json=NEW | {"url": "https://x.example.com/<script>alert(1)</script>", "name": "x"})
    assert made.status_code == 201, made.text
    assert made.json()["audience"] == ci.AUDIENCE
    page = f"/{project}{PUBLISHERS}"
    attack = {"issuer": "x", "name": SCRIPT, "sub": SCRIPT, "claims": f"{SCRIPT}={SCRIPT}"}
    assert admin.post(page, data=OTHER | attack).status_code == 303
    for path, times in ((page, 4), (f"{page}?issuer=x", 5), (ISSUERS, 1), (f"{page}?issuer={SCRIPT}", 4)):
        text = admin.get(path).text
        assert "<script>alert" not in text, path
        assert text.count("&lt;script&gt;alert") >= times, path


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("role", [*ROLES, "none", "reader", "stranger"])
def test_maintainers_trust_publishers_and_nobody_else(
    sign_in: SignIn, server: LiveServer, root: httpx2.Client, project: str, role: str
) -> None:
    page = f"/{project}{PUBLISHERS}"
    body = {"issuer": "gitlab", "claims": {"project_id": "42"}}
    api = f"/projects/{project.replace('/', '%2F')}/trusted_publishers"
    publisher = root.post(api, json=body).json()["id"]
    delete = f"{page}/{publisher}/delete"
    if role == "stranger":
        with httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30) as browser:
            assert browser.get(page).headers["location"].startswith("/users/sign_in?return_to=")
            assert {browser.post(path, data=GITHUB).status_code for path in (page, delete)} == {401}
        return
    reads = role == "reader"
    level = 40 if reads else ROLES.get(role, 0)
    browser = sign_in(person(root, project, level, ("read_api",) if reads else ("api",)))
    status = 200 if level >= 40 else 403 if level else 404
    shown = browser.get(page)
    may = level >= 40 and not reads
    assert (shown.status_code, "project_id=42" in shown.text) == (status, level >= 40)
    assert ("Trust publisher" in shown.text, 'type="submit">Delete' in shown.text) == (may, may)
    assert (page in browser.get(f"/{project}{TOKENS}").text) == (level >= 40)
    evil = {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}
    assert {browser.post(path, data=GITHUB, headers=evil).status_code for path in (page, delete)} == {403}
    made, gone = browser.post(page, data=GITHUB), browser.post(delete)
    assert {made.status_code, gone.status_code} == {303 if may else 403 if level else 404}
    assert [each["kind"] for each in trusted(root, project)] == (["github"] if may else ["gitlab"])


@pytest.mark.usefixtures("listed")
def test_no_project_ends_another_s_publisher_and_no_bot_trusts(
    admin: httpx2.Client, server: LiveServer, root: httpx2.Client, project: str
) -> None:
    other = root.post("/projects", json={"name": f"other-{next(_serial)}"}).json()["path_with_namespace"]
    assert admin.post(f"/{other}{PUBLISHERS}", data=GITLAB).status_code == 303
    ((publisher),) = trusted(root, other)
    assert admin.post(f"/{project}{PUBLISHERS}/{publisher['id']}/delete").status_code == 404
    assert trusted(root, other) == [publisher]
    body = {"name": "bot", "scopes": ["api"], "access_level": 40}
    token = root.post(f"/projects/{project.replace('/', '%2F')}/access_tokens", json=body).json()["token"]
    with httpx2.Client(base_url=server.url, headers=AS_BROWSER | {"PRIVATE-TOKEN": token}, timeout=30) as bot:
        shown = bot.get(f"/{project}{PUBLISHERS}")
        assert (shown.status_code, "Trust publisher" in shown.text) == (200, False)
        assert bot.post(f"/{project}{PUBLISHERS}", data=GITLAB).status_code == 403


def test_issuers_that_are_not_for_jobs_are_not_offered(admin: httpx2.Client, root: httpx2.Client, project: str) -> None:
    assert root.post("/issuers", json=NEW | {"jobs": False}).status_code == 201
    page = admin.get(f"/{project}{PUBLISHERS}?issuer=other")
    assert (page.status_code, "No issuer is listed for jobs" in page.text) == (200, True)
    assert ("Trust publisher" in page.text, NEW["url"] in page.text) == (False, False)
    refused = admin.post(f"/{project}{PUBLISHERS}", data=OTHER | {"issuer": "other"})
    assert (refused.status_code, "Issuer Not Found" in refused.text) == (404, True)


@pytest.mark.usefixtures("listed")
def test_a_page_costs_as_many_statements_however_many_publishers_there_are(
    admin: httpx2.Client, server: LiveServer, project: str
) -> None:
    page, counts = f"/{project}{PUBLISHERS}", []
    for number in range(52):
        assert admin.post(page, data=GITLAB | {"project_id": str(number + 1)}).status_code == 303
        if number in (0, 51):
            admin.get(page)
            with statements(server) as ran:
                text = admin.get(page).text
            counts.append(len(ran))
    assert counts[0] == counts[1]
    assert 'rel="next" href="?page=2"' in text
    assert len(rows(admin.get(page, params={"page": "2"}).text)) == 1 + 2


@pytest.fixture
def gitlab(root: httpx2.Client) -> Iterator[FakeIssuer]:
    with running_issuer() as issuer:
        body = {"kind": "gitlab", "url": issuer.url, "audience": ci.AUDIENCE}
        assert root.post("/issuers", json=body).status_code == 201
        yield issuer


def test_a_job_uploads_by_the_script_that_the_page_shows_and_the_page_shows_no_secret(
    admin: httpx2.Client, root: httpx2.Client, project: str, gitlab: FakeIssuer, tmp_path: Path
) -> None:
    page = f"/{project}{PUBLISHERS}"
    empty = admin.get(page).text
    assert "Choose issuer" not in empty  # as there is but one
    script = unescape(empty.partition("publish.sh</summary>")[2].partition("<code>")[2].partition("</code>")[0])
    assert admin.post(page, data=GITLAB).status_code == 303
    (tmp_path / "publish.sh").write_text(script)
    (tmp_path / "model.bin").write_text("weights")
    id_token = gitlab.sign(ci.gitlab(gitlab))
    done = subprocess.run(
        ["sh", "publish.sh"],
        cwd=tmp_path,
        env=environment_of(tmp_path) | {"YARD_ID": id_token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    version = done.stdout.rpartition("version ")[2].strip()
    file = root.get(f"/projects/{project.replace('/', '%2F')}/packages/ml_models/{version}/files/model.bin")
    assert (file.status_code, file.text) == (200, "weights")
    text = admin.get(page).text
    assert rows(text)[1][6] != "never"
    assert "grp/prj" in text  # what the job's project is called
    assert id_token not in text
    assert re.search(r"(glcbt|myd|glpat)[-_]\w{10}|_bot_", text) is None
    assert str(KEY.as_dict(private=False)["n"]) not in text


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.usefixtures("listed")
def test_a_browser_does_all_of_it_with_and_without_scripts(
    chromium: Browser, admin: httpx2.Client, server: LiveServer, root: httpx2.Client, project: str, scripts: bool
) -> None:
    cookie = {"name": "modelyard_session", "value": admin.cookies["modelyard_session"], "url": server.url}
    view = {"width": 1280 if scripts else 360, "height": 800}
    with watched(chromium, server.url, java_script_enabled=scripts, viewport=view) as browser:
        browser.context.add_cookies([cookie])  # type: ignore[list-item]
        page = browser.page()

        def accessible() -> None:
            if scripts:
                assert axe(page) == []

        page.goto(ISSUERS)
        page.get_by_text("New issuer").click()
        accessible()
        page.get_by_label("Kind").select_option("generic")
        page.get_by_label("Name", exact=True).fill("fifth")
        page.get_by_label("URL").fill("https://fifth.example.com")
        page.get_by_label("Audience").fill(ci.AUDIENCE)
        page.get_by_role("button", name="Create issuer").click()
        page.get_by_role("status").get_by_text("fifth is an issuer now").wait_for()
        page.goto(f"/{project}{TOKENS}")
        page.get_by_role("link", name="trusted publishers").click()
        page.get_by_label("Issuer", exact=True).select_option("fifth")
        page.get_by_role("button", name="Choose issuer").click()
        page.get_by_label("Subject").fill("pipeline:p")
        page.get_by_label("Role").select_option("Reporter")
        accessible()
        page.get_by_role("button", name="Trust publisher").click()
        page.get_by_role("status").get_by_text("fifth pipeline:p is trusted now").wait_for()
        accessible()
        page.get_by_role("button", name="Delete fifth pipeline:p").click()
        page.get_by_role("status").get_by_text("The publisher is trusted no more").wait_for()
        page.goto(ISSUERS)
        page.locator("summary", has_text="Delete fifth").click()
        page.get_by_label("Type fifth to confirm").fill("fifth")
        accessible()
        page.get_by_role("button", name="Delete issuer fifth").click()
        page.get_by_role("status").get_by_text("fifth is no issuer any more").wait_for()
    assert len(root.get("/issuers").json()) == len(FIELDS)
