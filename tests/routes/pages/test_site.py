"""Members, tokens, usage, audit, profiles, administration and search in a browser, by the services of the API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from html import unescape

import httpx2
import pytest
from sqlalchemy import insert

from modelyard.clock import now
from modelyard.registry.tables import AuditEvent, UpkeepRun
from tests.browsers import LOOKS, axe
from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.pages.conftest import Open, SignIn
from tests.routes.pages.yard import Yard, rows

TOKENS = "/-/user_settings/personal_access_tokens"
SECRET = re.compile(r'<code id="secret">(myd_\w+)</code>')


def told(answer: httpx2.Response) -> str:
    """The error that a page shows."""
    found = re.search(r'class="error"[^>]*>([^<]+)', answer.text)
    return unescape(found[1]) if found else ""


def notice(client: httpx2.Client, answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text[-2000:]
    found = re.search(r'class="notice" role="status">([^<]+)', client.get(answer.headers["location"]).text)
    return unescape(found[1]) if found else ""


def test_members_are_added_changed_and_removed_and_the_last_owner_stays(
    yard: Yard, make_user: Callable[..., Account]
) -> None:
    page, other = yard.url("/-/project_members"), make_user()
    add = {"username": other.username, "access_level": "30", "expires_at": "2099-01-02"}
    assert notice(yard.browser, yard.browser.post(page, data=add)) == f"{other.username} is a member now"
    again = yard.browser.post(page, data=add)
    assert (again.status_code, told(again)) == (409, "Member already exists")
    assert f'value="{other.username}"' in again.text
    for bad, status in (
        ({"username": "nobody-here", "access_level": "30"}, 404),
        ({"username": other.username, "access_level": "31"}, 400),
        ({"username": other.username, "access_level": "30", "expires_at": "tomorrow"}, 400),
        ({"username": "root", "access_level": "30", "expires_at": "2001-01-01"}, 400),
        ({}, 400),
    ):
        answer = yard.browser.post(page, data=bad)
        assert (answer.status_code, bool(told(answer))) == (status, True), bad
    listed = yard.browser.get(page, params={"search": other.username}).text
    assert "1 member with" in listed
    changed = yard.browser.post(f"{page}/{other.id}/edit", data={"access_level": "40", "expires_at": ""})
    assert notice(yard.browser, changed) == "The role has been changed"
    member = yard.api.get(f"/projects/{yard.id}/members/{other.id}").json()
    assert (member["access_level"], member["expires_at"]) == (40, None)
    for rest, data in (("edit", {"access_level": "40"}), ("remove", {})):
        kept = yard.browser.post(f"{page}/{yard.owner.id}/{rest}", data=data)
        assert (kept.status_code, told(kept)) == (400, "The last owner must stay")
    assert yard.api.get(f"/projects/{yard.id}/members/{yard.owner.id}").json()["access_level"] == 50
    removed = yard.browser.post(f"{page}/{other.id}/remove")
    assert notice(yard.browser, removed) == "The member has been removed"
    assert yard.api.get(f"/projects/{yard.id}/members/{other.id}").status_code == 404


def test_nobody_gives_or_takes_a_role_above_their_own_and_everybody_may_leave(
    yard: Yard, sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    page, other, third = yard.url("/-/project_members"), make_user(), make_user()
    yard.api.post(f"/projects/{yard.id}/members", json={"user_id": other.id, "access_level": 40})
    browser = sign_in(other.token)
    text = browser.get(page).text
    assert '<option value="50"' not in text
    assert f"/{yard.owner.id}/edit" not in text
    refused = browser.post(page, data={"username": third.username, "access_level": "50"})
    assert (refused.status_code, told(refused)) == (403, "The access level is above your own")
    assert browser.post(f"{page}/{yard.owner.id}/remove").status_code == 403
    left = browser.post(f"{page}/{other.id}/remove")
    assert left.headers["location"] == "/"
    assert browser.get(page).status_code == 404


def test_a_session_that_only_reads_is_shown_no_buttons(
    yard: Yard, sign_in: SignIn, make_token: Callable[..., dict[str, str]]
) -> None:
    browser = sign_in(make_token(yard.owner.id, ("read_api",))["token"])
    for path in ("/-/project_members", "/-/settings/access_tokens"):
        answer = browser.get(yard.url(path))
        if answer.status_code == 200:
            assert 'method="post" action="/user-' not in answer.text
    add = {"username": "root", "access_level": "30"}
    assert browser.post(yard.url("/-/project_members"), data=add).status_code == 403
    assert "Rotate" not in browser.get(TOKENS).text


def test_a_project_s_token_is_shown_once_and_works_until_it_is_revoked(yard: Yard, server: LiveServer) -> None:
    page = yard.url("/-/settings/access_tokens")
    new = {"name": "ci <b>", "scopes": ["api", "read_api"], "access_level": "30", "expires_at": "2099-01-01"}
    made = yard.browser.post(page, data=new)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert "content-encoding" not in made.headers
    secret = SECRET.findall(made.text)[0]
    with server.client(secret) as bot:
        assert bot.get(f"/projects/{yard.id}").status_code == 200
        assert "myd_" not in yard.browser.get(page).text
        number = re.findall(rf"{page}/(\d+)/rotate", made.text)[0]
        rotated = yard.browser.post(f"{page}/{number}/rotate", data={"expires_at": ""})
        assert (rotated.status_code, rotated.headers["cache-control"]) == (201, "no-store")
        assert bot.get(f"/projects/{yard.id}").status_code == 401
    number = re.findall(rf"{page}/(\d+)/revoke", rotated.text)[0]
    assert notice(yard.browser, yard.browser.post(f"{page}/{number}/revoke")) == "The token has been revoked"
    with server.client(SECRET.findall(rotated.text)[0]) as bot:
        assert bot.get(f"/projects/{yard.id}").status_code == 401
    for bad, sentence in (
        ({"name": "", "scopes": "api", "access_level": "30"}, "Name must have 1 to 255 characters"),
        ({"name": "x", "access_level": "30"}, "Scopes does not have a valid value"),
        ({"name": "x", "scopes": "root", "access_level": "30"}, "Scopes does not have a valid value"),
        ({"name": "typed", "scopes": "api", "access_level": "7"}, "Access_level does not have a valid value"),
        ({"name": "typed", "scopes": "api", "access_level": "30", "expires_at": "x"}, "is no date"),
    ):
        answer = yard.browser.post(page, data=bad)
        assert (answer.status_code, sentence in told(answer)) == (400, True), (bad, told(answer))
        assert f'value="{bad["name"]}"' in answer.text
        assert "myd_" not in answer.text
    assert yard.browser.post(f"{page}/999999/rotate").status_code == 404
    assert yard.browser.post(f"{page}/999999/revoke").status_code == 404


def test_the_last_use_of_a_token_is_listed(yard: Yard, server: LiveServer) -> None:
    page = yard.url("/-/settings/access_tokens")
    made = yard.browser.post(page, data={"name": "bot", "scopes": "api", "access_level": "30"})

    def last_used() -> str:
        header, row = rows(yard.browser.get(page).text)
        return dict(zip(header, row, strict=True))["Last used"]

    assert last_used() == "never"
    with server.client(SECRET.findall(made.text)[0]) as bot:
        assert bot.get(f"/projects/{yard.id}").status_code == 200
    asyncio.run(server.app.state.usage.write(0))
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d", last_used())


def test_people_s_tokens_are_made_by_administrators_and_rotated_by_themselves(
    admin: httpx2.Client, sign_in: SignIn, server: LiveServer, make_user: Callable[..., Account]
) -> None:
    person = make_user()
    new = {"user": person.username, "name": "laptop", "scopes": "api"}
    made = admin.post(TOKENS, data=new)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert f"Access tokens of {person.username}" in made.text
    secret = SECRET.findall(made.text)[0]
    browser = sign_in(secret)
    mine = browser.get(TOKENS)
    assert "An administrator makes tokens for people." in mine.text
    assert "signed you in" in mine.text
    assert browser.post(TOKENS, data={"name": "x", "scopes": "api"}).status_code == 403
    assert browser.get(TOKENS, params={"user": "root"}).status_code == 404
    assert admin.get(TOKENS, params={"user": "nobody-here"}).status_code == 404
    other = re.findall(rf"{TOKENS}/(\d+)/rotate", mine.text)
    with server.client(secret) as client:
        names = {each: client.get(f"/personal_access_tokens/{each}").json()["name"] for each in other}
    first = next(each for each, name in names.items() if name == "test")
    rotated = browser.post(f"{TOKENS}/{first}/rotate", data={"expires_at": "2099-01-01"})
    assert rotated.status_code == 201
    with server.client(SECRET.findall(rotated.text)[0]) as client:
        assert client.get("/user").json()["username"] == person.username
    laptop = next(each for each, name in names.items() if name == "laptop")
    ended = browser.post(f"{TOKENS}/{laptop}/revoke")
    assert ended.status_code == 303
    assert browser.get(TOKENS).headers["location"].startswith("/users/sign_in")  # the session ends with its token
    foreign = sign_in(make_user().token)
    assert foreign.post(f"{TOKENS}/{first}/revoke").status_code == 404


def test_usage_is_told_with_its_limit(yard: Yard, root: httpx2.Client) -> None:
    root.put(f"/projects/{yard.id}", json={"storage_limit": 10 * 1024 * 1024})
    text = yard.browser.get(yard.url("/-/usage_quotas")).text
    assert "of 10.0 MiB" in text
    assert "<meter" in text


def test_the_trail_is_filtered_and_paged_by_keyset_however_long_it_is(
    yard: Yard, admin: httpx2.Client, server: LiveServer
) -> None:
    page = yard.url("/-/audit_events")
    event = {"author_id": 1, "entity_type": "Project", "entity_id": yard.id, "details": "{}"}
    with server.app.state.database.writing() as registry:
        many = [
            event | {"event_name": f"made_{number}", "created_at": now() - 86_400_000 * number} for number in range(130)
        ]
        registry.session.execute(insert(AuditEvent), many)
    text, seen = yard.browser.get(page).text, list[str]()
    while True:
        seen += [row[2] for row in rows(text) if row[2] != "Event"]
        following = re.findall(r'rel="next" href="([^"]+)"', text)
        if not following:
            break
        text = yard.browser.get(page + unescape(following[0])).text
    assert len([each for each in seen if each.startswith("Made ")]) == 130
    assert seen[0] == "Made 129"
    days = {"created_after": "2001-01-01", "created_before": "2001-01-02"}
    assert "There are no such events" in yard.browser.get(page, params=days).text
    assert yard.browser.get(page, params={"created_after": "yesterday"}).status_code == 400
    everything = admin.get("/admin/audit_logs", params={"entity_type": "Project", "entity_id": yard.id}).text
    assert "Made 129" in everything
    assert "Made 129" not in admin.get("/admin/audit_logs", params={"entity_type": "User"}).text
    issuers = admin.get("/admin/audit_logs", params={"entity_type": "Issuer"}).text
    assert '<option value="Issuer" selected>' in issuers
    assert "Made 129" not in issuers
    assert admin.get("/admin/audit_logs", params={"before": "x" * 100, "entity_id": "9" * 40}).status_code == 200
    with server.app.state.database.reading() as registry:
        statement = "EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE entity_type='Project' AND entity_id=1 AND id<9"
        if registry.audit.dialect == "sqlite":
            plan = registry.session.connection().exec_driver_sql(f"{statement} ORDER BY id DESC LIMIT 51").all()
            assert "ix_audit_events_entity_type" in str(plan)
            assert "TEMP B-TREE" not in str(plan)


def test_the_zone_is_the_browser_s_or_the_one_that_was_chosen(yard: Yard) -> None:
    page = "/-/user_settings/profile"
    saved = yard.browser.post(page, data={"zone": "Asia/Kolkata"})
    assert notice(yard.browser, saved) == "The profile has been saved"
    assert 'data-zone="Asia/Kolkata"' in yard.browser.get(page).text
    wrong = yard.browser.post(page, data={"zone": "Mars/Olympus"})
    assert (wrong.status_code, 'value="Mars/Olympus"' in wrong.text) == (400, True)
    yard.browser.post(page, data={"zone": ""})
    assert 'data-zone="UTC"' in yard.browser.get(page).text


def test_administrators_look_after_people_and_others_see_nothing_of_it(
    admin: httpx2.Client, yard: Yard, sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    for path in ("/admin", "/admin/users", "/admin/projects", "/admin/audit_logs", "/admin/storage"):
        assert admin.get(path).status_code == 200, path
        assert yard.browser.get(path).status_code == 403, path
        assert "Administration</a>" in admin.get("/").text
        assert "/admin" not in yard.browser.get("/").text
    name = f"invited-{yard.id}"
    new = {"username": name, "name": "In <i>vited", "email": "i@example.com"}
    made = admin.post("/admin/users", data=new)
    assert made.headers["location"] == f"{TOKENS}?user={name}"
    again = admin.post("/admin/users", data=new)
    assert (again.status_code, told(again)) == (409, "Username has already been taken")
    assert 'value="In &lt;i&gt;vited"' in again.text
    person = make_user()
    client = sign_in(person.token)
    for action, status in (("block", 403), ("unblock", 200), ("promote", 200), ("demote", 200)):
        answer = admin.post(f"/admin/users/{person.id}/{action}")
        assert answer.status_code == 303, (action, answer.text)
        assert person.client.get("/user").status_code == status
        if action == "block":
            assert client.get("/dashboard/projects").status_code == 303
            assert person.username in admin.get("/admin/users", params={"state": "blocked"}).text
    assert yard.browser.post(f"/admin/users/{person.id}/block").status_code == 403
    own = admin.post("/admin/users/1/block")
    assert (own.status_code, told(own)) == (403, "You cannot do this to your own account")
    assert admin.post(f"/admin/users/{person.id}/explode").status_code == 404
    assert admin.post("/admin/users/999999/block").status_code == 404
    limited = admin.post(f"/admin/projects/{yard.id}/limit", data={"storage_limit": "7"})
    assert notice(admin, limited) == "The limit has been changed"
    assert 'value="7"' in admin.get("/admin/projects", params={"search": yard.path.rpartition("/")[2]}).text
    for bad in ("x", "-1", "9" * 18):
        assert admin.post(f"/admin/projects/{yard.id}/limit", data={"storage_limit": bad}).status_code == 400
    assert admin.post(f"/admin/projects/{yard.id}/limit", data={"storage_limit": ""}).status_code == 303
    assert yard.browser.post(f"/admin/projects/{yard.id}/limit", data={"storage_limit": "1"}).status_code == 403


def test_lists_of_people_go_on_by_keyset(admin: httpx2.Client, make_user: Callable[..., Account]) -> None:
    names = {make_user().username for _ in range(55)}
    text = admin.get("/admin/users").text
    found = set(re.findall(r"@(user-\d+)<", text))
    following = re.findall(r'rel="next" href="([^"]+)"', text)[0]
    found |= set(re.findall(r"@(user-\d+)<", admin.get("/admin/users" + unescape(following)).text))
    assert names <= found


def test_the_last_upkeep_is_told(admin: httpx2.Client, server: LiveServer) -> None:
    with server.app.state.database.writing() as registry:
        run = UpkeepRun(
            task="gc", started_at=now(), finished_at=now(), found=3, size=2048, position="", completed_at=now()
        )
        registry.upkeep.record(run)
    found = [row for row in rows(admin.get("/admin/storage").text) if row[0] == "gc"]
    assert [found[0][3], found[0][4]] == ["3", "2.0 KiB"]


def test_search_finds_what_one_may_see_and_nothing_else(
    yard: Yard, visitor: httpx2.Client, sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    name = f"needle{yard.id}"
    yard.register(name)
    stranger = sign_in(make_user().token)
    for client, seen in ((yard.browser, True), (stranger, False), (visitor, False)):
        answer = client.get("/search", params={"search": name.upper()})
        assert (answer.status_code, f"/{yard.path}/-/ml/models/" in answer.text) == (200, seen)
        assert ("Nothing that you may see" in answer.text) != seen
    assert f'href="/{yard.path}"' in yard.browser.get("/search", params={"search": yard.path.rpartition("/")[2]}).text
    yard.api.put(f"/projects/{yard.id}", json={"visibility": "public"})
    assert f"/{yard.path}/-/ml/models/" in visitor.get("/search", params={"search": name}).text
    for text in ("%", "_", "\\", "x" * 10_000, "'", ""):
        assert visitor.get("/search", params={"search": text}).status_code == 200


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_finds_nothing_against_these_pages(
    yard: Yard, server: LiveServer, browse: Open, admin: httpx2.Client, root: httpx2.Client, scheme: str, width: int
) -> None:
    yard.api.post(f"/projects/{yard.id}/access_tokens", json={"name": "ci", "scopes": ["api"]})
    root.put(f"/projects/{yard.id}", json={"storage_limit": 1024})
    model, version = yard.model("iris"), yard.version("iris")
    with browse(color_scheme=scheme, viewport={"width": width, "height": 800}) as watched:
        watched.context.add_cookies([yard.cookie(server, value=admin.cookies["modelyard_session"])])
        page = watched.page()
        for path in (
            *("/admin", "/admin/users", "/admin/projects", "/admin/audit_logs", "/admin/storage", TOKENS),
            *("/-/user_settings/profile", "/search?search=iris", yard.shown(model, version, "/upload")),
            *(yard.url(f"/-/{each}") for each in ("project_members", "settings/access_tokens", "usage_quotas")),
            yard.url("/-/audit_events"),
        ):
            page.goto(path)
            for summary in page.locator("main details > summary").all():
                summary.click()
            assert axe(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_second_person_is_invited_in_browsers_alone_without_scripts(
    browse: Open, server: LiveServer, yard: Yard, admin: httpx2.Client
) -> None:
    name = f"second-{yard.id}"
    with browse(java_script_enabled=False) as watched:
        watched.context.add_cookies([yard.cookie(server, value=admin.cookies["modelyard_session"])])
        page = watched.page()
        page.goto("/admin/users")
        page.locator("summary", has_text="New user").click()
        page.get_by_label("User name").fill(name)
        page.get_by_role("button", name="Create user").click()
        page.locator("summary", has_text="New token").click()
        page.get_by_label("Name", exact=True).fill("laptop")
        page.get_by_label("api Everything").check()
        page.get_by_role("button", name="Create token").click()
        secret = page.locator("#secret").inner_text()
    with browse(java_script_enabled=False) as watched:
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        page.goto(yard.url("/-/project_members"))
        page.get_by_label("User name").fill(name)
        page.get_by_label("Role", exact=True).select_option("Reporter")
        page.get_by_role("button", name="Add member").click()
        assert page.get_by_role("status").inner_text() == f"{name} is a member now"
    with browse(java_script_enabled=False) as watched:
        page = watched.page()
        page.goto(f"/users/sign_in?return_to=/{yard.path}")
        page.get_by_label("Personal access token").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_role("link", name="Usage quotas").count() == 1
        assert page.get_by_role("link", name="Edit project").count() == 0
