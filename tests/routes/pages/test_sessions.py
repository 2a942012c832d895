"""Coming in by a browser: sessions begin with a token, act under a check of their origin, and end with the token."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from modelyard.clock import DAY, now
from modelyard.registry.tables import Token
from modelyard.services.people import sessions, setup
from tests.conftest import Account
from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER, SAME_ORIGIN, SignIn
from tests.waiting import within_one_minute

COOKIE = "modelyard_session"
SESSIONS = "/-/user_settings/active_sessions"


def session_of(client: httpx2.Client) -> str:
    return str(client.cookies[COOKIE])


def test_a_token_signs_in_and_the_cookie_says_nothing_of_it(visitor: httpx2.Client, server: LiveServer) -> None:
    answer = visitor.post(
        "/users/sign_in", data={"token": f" {server.root_token} ", "return_to": "/dashboard/projects"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/projects")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"modelyard_session=myd_\w{49}; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert server.root_token not in cookie
    home = visitor.get("/")
    assert "Signed in as <strong>root</strong>" in home.text
    assert server.root_token not in home.text
    assert session_of(visitor) not in home.text


def test_over_https_only_this_host_can_have_set_the_cookie(visitor: httpx2.Client, server: LiveServer) -> None:
    https = {"X-Forwarded-Proto": "https"}
    answer = visitor.post("/users/sign_in", data={"token": server.root_token}, headers=https)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    secret, _, flags = rest.partition("; ")
    assert (name, flags) == (f"__Host-{COOKIE}", "Path=/; HttpOnly; SameSite=Lax; Secure")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    visitor.cookies.clear()
    shown = visitor.get("/", headers=https | {"Cookie": f"__Host-{COOKIE}={secret}"})
    assert "Signed in as" in shown.text
    planted = visitor.get("/", headers=https | {"Cookie": f"{COOKIE}={secret}"})
    assert "Signed in as" not in planted.text


def test_each_sign_in_has_a_secret_of_its_own(sign_in: SignIn, server: LiveServer) -> None:
    first = sign_in(server.root_token)
    before = session_of(first)
    first.post("/users/sign_in", data={"token": server.root_token})
    assert len({before, session_of(first), session_of(sign_in(server.root_token))}) == 3


@pytest.mark.parametrize("token", ["", "myd_wrong", "x" * 900, "ключ", "\ud7ff"])
def test_a_wrong_token_is_told_on_the_form(visitor: httpx2.Client, token: str) -> None:
    answer = visitor.post("/users/sign_in", data={"token": token, "return_to": "/x"})
    assert answer.status_code == 401
    assert "no token that is valid here" in answer.text
    assert 'value="/x"' in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/\tx", "/\u2028", "javascript:x"]
)
def test_nobody_is_led_to_another_host(visitor: httpx2.Client, server: LiveServer, target: str) -> None:
    answer = visitor.post("/users/sign_in", data={"token": server.root_token, "return_to": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "evil" not in visitor.get("/users/sign_in", params={"return_to": target}).text


def test_tokens_of_projects_and_jobs_sign_nobody_in(
    visitor: httpx2.Client, root: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()["id"]
    made = root.post(f"/projects/{project}/access_tokens", json={"name": "b", "scopes": ["api"], "access_level": 30})
    job = root.post(f"/projects/{project}/job_tokens")
    for token in (made.json()["token"], job.json()["token"]):
        answer = visitor.post("/users/sign_in", data={"token": token})
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert "Only personal access tokens sign people in" in answer.text


def test_a_session_is_no_token_of_the_api_s_to_list_to_rotate_or_to_sign_in_with(
    admin: httpx2.Client, root: httpx2.Client, visitor: httpx2.Client
) -> None:
    secret = session_of(admin)
    assert admin.get("/api/v4/personal_access_tokens/self").status_code == 404
    assert admin.post("/api/v4/personal_access_tokens/self/rotate").status_code == 404
    assert root.get("/personal_access_tokens", params={"search": sessions.NAME}).json() == []
    assert visitor.post("/users/sign_in", data={"token": secret}).status_code == 403


def ended_by_sign_out(client: httpx2.Client, **_: Any) -> None:
    answer = client.post("/users/sign_out")
    assert answer.status_code == 303
    assert f"{COOKIE}=;" in answer.headers["set-cookie"]


def ended_by_revocation(root: httpx2.Client, token_id: int, **_: Any) -> None:
    assert root.delete(f"/personal_access_tokens/{token_id}").status_code == 204


def ended_by_rotation(root: httpx2.Client, token_id: int, **_: Any) -> None:
    assert root.post(f"/personal_access_tokens/{token_id}/rotate").status_code == 200


def ended_by_block(root: httpx2.Client, person: Account, **_: Any) -> None:
    assert root.post(f"/users/{person.id}/block").status_code == 201


def ended_by_removal(root: httpx2.Client, person: Account, **_: Any) -> None:
    assert root.delete(f"/users/{person.id}").status_code == 204


def ended_by_expiry(server: LiveServer, token_id: int, **_: Any) -> None:
    with server.app.state.database.writing() as registry:
        registry.session.execute(update(Token).where(Token.id == token_id).values(expires_at=now() - 1))


def ended_by_idleness(server: LiveServer, person: Account, **_: Any) -> None:
    with server.app.state.database.writing() as registry:
        mine = (Token.user_id == person.id) & (Token.kind == "session")
        registry.session.execute(update(Token).where(mine).values(expires_at=now() - 1))


@pytest.mark.parametrize(
    "end",
    [
        ended_by_sign_out,
        ended_by_revocation,
        ended_by_rotation,
        ended_by_block,
        ended_by_removal,
        ended_by_expiry,
        ended_by_idleness,
    ],
)
def test_a_session_ends_at_the_next_request_also_where_lookups_are_remembered(
    server: LiveServer,
    root: httpx2.Client,
    sign_in: SignIn,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
    end: Callable[..., None],
) -> None:
    person = make_user()
    project = make_project()
    root.post(f"/projects/{project['id']}/members", json={"user_id": person.id, "access_level": 30})
    file = f"/projects/{project['id']}/packages/ml_models/{make_version(project['id'])}/files/f"
    root.put(file, content=b"content")
    token = make_token(person.id)
    client = sign_in(token["token"])
    secret = session_of(client)
    for _ in range(3):  # so that it is remembered
        assert client.get(f"/api/v4{file}").content == b"content"
    assert "Signed in as" in client.get("/").text
    end(client=client, root=root, server=server, person=person, token_id=token["id"])
    client.cookies.set(COOKIE, secret)
    assert client.get(f"/api/v4{file}").status_code in (401, 403)
    home = client.get("/")
    assert (home.status_code, "Signed in as" in home.text) == (200, False)
    assert f"{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0" in home.headers["set-cookie"]


def test_a_job_token_that_a_session_makes_ends_with_the_token_that_signed_in(
    server: LiveServer,
    root: httpx2.Client,
    sign_in: SignIn,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
) -> None:
    person = make_user()
    token = make_token(person.id)
    client = sign_in(token["token"])
    project = client.post("/api/v4/projects", json={"name": "made-in-a-browser"}).json()["id"]
    job = client.post(f"/api/v4/projects/{project}/job_tokens").json()["token"]
    with server.client() as bare:
        headers = {"JOB-TOKEN": job}
        assert bare.get(f"/projects/{project}", headers=headers).status_code == 200
        root.delete(f"/personal_access_tokens/{token['id']}")
        assert bare.get(f"/projects/{project}", headers=headers).status_code == 401


def test_sessions_are_listed_and_one_can_be_ended_by_its_user_alone(
    sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    person, other = make_user(), make_user()
    here, there = sign_in(person.token), sign_in(person.token)
    there.headers["User-Agent"] = "<b>Elsewhere</b>"
    there.post("/users/sign_in", data={"token": person.token})
    shown = here.get(SESSIONS)
    assert "&lt;b&gt;Elsewhere&lt;/b&gt;" in shown.text
    assert "this one" in shown.text
    url = re.findall(rf'action="({SESSIONS}/\d+/revoke)"', shown.text)[0]  # the newest first
    assert sign_in(other.token).post(url).status_code == 404
    assert here.post(url).status_code == 303
    assert here.post(url.replace("revoke", "x")).status_code == 404
    assert "The session has ended" in here.get(SESSIONS).text
    assert there.get(SESSIONS).headers["location"].startswith("/users/sign_in")


def test_a_session_goes_on_with_its_uses_but_not_for_ever(
    server: LiveServer, make_user: Callable[..., Account], sign_in: SignIn
) -> None:
    person = make_user()
    sign_in(person.token)
    database = server.app.state.database
    with database.reading() as registry:
        (seen,) = registry.sessions.of_user(person.id, 10)
    begun = seen.token.created_at
    assert seen.token.expires_at == begun + DAY // 3

    def ends_at(used_at: int) -> int:
        with database.writing() as registry:
            registry.tokens.touch({seen.token.id: used_at}, 0)
        with database.reading() as registry:
            return int(registry.tokens.by_id(seen.token.id).expires_at)

    assert ends_at(begun + DAY // 4) == begun + DAY // 4 + DAY // 3
    assert ends_at(begun + DAY - 5) == begun + DAY


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "{own}"}, False),
        ({"Origin": "{own}"}, True),
        ({"Origin": "{own}0"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[broken"}, False),
        ({"Referer": "{own}/"}, False),
        ({}, False),
    ],
)
def test_what_a_session_changes_comes_from_our_own_pages(
    server: LiveServer, sign_in: SignIn, make_user: Callable[..., Account], headers: dict[str, str], passes: bool
) -> None:
    person = make_user()
    cookie = {"Cookie": f"{COOKIE}={session_of(sign_in(person.token))}"}
    told = {name: value.replace("{own}", server.url) for name, value in headers.items()}
    for number, path in enumerate(("/projects/new", "/api/v4/projects", "/users/sign_in")):
        body = {"name": f"p{number}", "token": person.token}
        answer = httpx2.post(f"{server.url}{path}", data=body, headers=cookie | told)
        assert answer.status_code == ((303, 201, 303)[number] if passes else 403), path
    assert len(person.client.get("/projects?membership=true").json()) == (2 if passes else 0)
    # Nor does anybody sign another in, who has no session yet.
    bare = httpx2.post(f"{server.url}/users/sign_in", data={"token": person.token}, headers=told)
    assert bare.status_code == (303 if passes else 403)


def test_a_token_in_a_header_needs_no_origin_and_wins_over_the_cookie(
    admin: httpx2.Client, make_user: Callable[..., Account], server: LiveServer
) -> None:
    person = make_user()
    headers = {"PRIVATE-TOKEN": person.token, "Cookie": f"{COOKIE}={session_of(admin)}"}
    assert httpx2.get(f"{server.api}/user", headers=headers).json()["username"] == person.username
    assert httpx2.post(f"{server.api}/projects", headers=headers, json={"name": "by-token"}).status_code == 201


@pytest.mark.parametrize("value", ["", "x", "myd_forged", "x" * 5000, '"quoted"', "a b", "\xff"])
def test_a_forged_cookie_is_nobody_s(server: LiveServer, value: str) -> None:
    raw = {k.encode(): v.encode("latin-1") for k, v in {**AS_BROWSER, "Cookie": f"{COOKIE}={value}"}.items()}
    answer = httpx2.get(f"{server.url}/", headers=raw)
    assert (answer.status_code, "Signed in as" in answer.text) == (200, False)
    assert httpx2.get(f"{server.url}{SESSIONS}", headers=AS_BROWSER).status_code == 303


def test_a_read_only_token_makes_a_session_that_only_reads(
    sign_in: SignIn, make_user: Callable[..., Account], make_token: Callable[..., dict[str, Any]]
) -> None:
    client = sign_in(make_token(make_user().id, ("read_api",))["token"])
    assert "/projects/new" not in client.get("/").text
    refused = client.post("/projects/new", data={"name": "x"})
    assert (refused.status_code, "higher privileges" in refused.text) == (403, True)
    assert client.post("/users/sign_out").status_code == 303


def test_wrong_tokens_are_slowed_and_refused_as_those_of_the_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.routes.pages.sign_in.SLOWED_SECONDS", 0)
    monkeypatch.setattr("modelyard.routes.front.throttle.SLOWED_SECONDS", 0)
    with (
        running(tmp_path, rate_limit_failed_logins=3) as live,
        httpx2.Client(base_url=live.url, headers=AS_BROWSER, timeout=30) as client,
    ):
        wrong = [f"wrong-token-number-{number}" for number in range(5)]
        within_one_minute(5)
        statuses = [client.post("/users/sign_in", data={"token": each}).status_code for each in wrong]
        assert statuses == [401, 401, 401, 429, 429]
        last = client.post("/users/sign_in", data={"token": "another"})
        assert (last.status_code, last.headers["ratelimit-name"]) == (429, "throttle_failed_logins")
        assert "Too many requests" in last.text
        with live.client("yet-another-wrong-one") as api:
            assert api.get("/user").status_code == 429
        assert client.post("/users/sign_in", data={"token": live.root_token}).status_code == 303


def test_a_user_has_so_many_sessions_at_a_time_and_the_oldest_end(
    sign_in: SignIn, make_user: Callable[..., Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    person = make_user()
    first, second, third = (sign_in(person.token) for _ in range(3))
    assert [client.get(SESSIONS).status_code for client in (first, second, third)] == [303, 200, 200]


def test_a_link_signs_the_administrator_in_once(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        link = setup.sign_in_link(live.settings, live.url)
        assert link is not None
        assert link.username == "root"
        bare = {"Accept": "text/html"}  # as a browser that opens what was clicked on, without any script
        for headers in (bare | {"Sec-Purpose": "prefetch"}, bare):
            looked = httpx2.request("GET" if "Sec-Purpose" in headers else "HEAD", link.url, headers=headers)
            assert (looked.status_code, "set-cookie" in looked.headers) == (200, False)
        with httpx2.Client(headers=bare, timeout=30) as client:
            opened = client.get(link.url)
            assert (opened.status_code, opened.headers["location"]) == (303, "/")
            assert "Signed in as <strong>root</strong>" in client.get(f"{live.url}/").text
            assert (
                client.post(f"{live.url}/projects/new", data={"name": "first"}, headers=SAME_ORIGIN).status_code == 303
            )
        again = httpx2.get(link.url, headers=bare)
        assert (again.status_code, "has been used" in again.text, "set-cookie" in again.headers) == (401, True, False)
        assert httpx2.get(f"{live.api}/user", headers={"PRIVATE-TOKEN": link.url.rpartition("=")[2]}).status_code == 401


def test_a_link_is_for_ten_minutes_and_for_who_still_administers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as live:
        monkeypatch.setattr(sessions, "CODE_LIFETIME", -1)
        link = setup.sign_in_link(live.settings, live.url)
        assert link is not None
        assert httpx2.get(link.url).status_code == 401
        monkeypatch.undo()
        external = live.settings.model_copy(update={"external_url": "https://yard.example.com/base"})
        with live.client(live.root_token) as root:
            other = root.post(
                "/users", json={"username": "o", "name": "o", "email": "o@example.com", "admin": True}
            ).json()
            with live.app.state.database.writing() as registry:
                registry.users.by_username("root").state = "blocked"
            link = setup.sign_in_link(external, live.url)
            assert link is not None
            assert (link.username, link.url.partition("?")[0]) == ("o", "https://yard.example.com/base/users/sign_in")
            with live.app.state.database.writing() as registry:
                registry.users.by_id(other["id"]).state = "blocked"
            assert setup.sign_in_link(live.settings, live.url) is None
        assert httpx2.get(f"{live.url}/users/sign_in", params={"code": link.url.rpartition("=")[2]}).status_code == 401
