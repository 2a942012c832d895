"""Who may do what: every row of the permission tables, and default deny over the route table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from modelyard.routes.front.oauth import ROOTS as OAUTH
from tests.conftest import MLFLOW, Account
from tests.live import LiveServer

ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
VISIBILITIES = ("private", "internal", "public")

UNAUTHORIZED = (401, {"message": "401 Unauthorized"})
FORBIDDEN = (403, {"message": "403 Forbidden"})
NO_PROJECT = (404, {"message": "404 Project Not Found"})

ELSEWHERE = {"X-Forwarded-For": "203.0.113.9"}  # from this machine, /metrics is open
OPEN_ROUTES = {
    "/-/health",
    "/-/liveness",
    "/-/readiness",
    "/openapi.json",
    "/docs",
    "/docs/{digest}/{name:path}",
    "/api/agent-harnesses",
}
# A user who has no public project is not there for strangers.
LISTED_FOR_EVERYONE = {
    "/api/v4/projects": {200},
    "/api/v4/users/{user}/projects": {200, 404},
    "/api/models": {200},
}


@pytest.fixture(scope="module")
def people() -> dict[str, Account]:
    """One account for each role, made by the first test that needs it."""
    return {}


@pytest.fixture(scope="module")
def places() -> dict[str, str]:
    """The files of one version for each visibility."""
    return {}


@pytest.fixture
def files(
    places: dict[str, str],
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
) -> Callable[[str], str]:
    def of(visibility: str) -> str:
        if visibility not in places:
            project = make_project(visibility=visibility)["id"]
            places[visibility] = f"/projects/{project}/packages/ml_models/{make_version(project)}/files"
            root.put(f"{places[visibility]}/f", content=b"content")
        return places[visibility]

    return of


@pytest.fixture
def credential(
    people: dict[str, Account], root: httpx2.Client, make_user: Callable[..., Account], files: Callable[[str], str]
) -> Callable[[str, str, str], dict[str, str]]:
    """Headers of someone who has a role in the project, with a personal or a job token."""

    def headers(role: str, visibility: str, kind: str) -> dict[str, str]:
        person = people.setdefault(role, make_user()) if role not in people else people[role]
        project = files(visibility).split("/")[2]
        if role in ROLES:
            root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": ROLES[role]})
        if kind == "personal":
            return {"Authorization": f"Bearer {person.token}"}
        # Guests cannot make job tokens: they make them while they are reporters.
        lowered = role in {"guest", "planner"}
        member = f"/projects/{project}/members/{person.id}"
        if lowered:
            root.put(member, json={"access_level": ROLES["reporter"]})
        made = person.client.post(f"/projects/{project}/job_tokens")
        assert made.status_code == 201, made.text
        if lowered:
            root.put(member, json={"access_level": ROLES[role]})
        return {"JOB-TOKEN": made.json()["token"]}

    return headers


def outcome(answer: httpx2.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json() if answer.status_code >= 400 else None


def requests(client: httpx2.Client, url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    yield client.put(f"{url}/new/authorize", headers=headers)
    yield client.put(f"{url}/new", content=b"x", headers=headers)


@pytest.mark.parametrize("kind", ["personal", "job"])
@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("role", list(ROLES))
def test_members_write_from_developer_up_and_all_read(
    anonymous: httpx2.Client,
    files: Callable[[str], str],
    credential: Callable[[str, str, str], dict[str, str]],
    role: str,
    visibility: str,
    kind: str,
) -> None:
    headers = credential(role, visibility, kind)
    authorized, uploaded = requests(anonymous, files(visibility), headers)
    if ROLES[role] >= ROLES["developer"]:
        assert (authorized.status_code, uploaded.status_code) == (200, 201)
    else:
        assert outcome(authorized) == outcome(uploaded) == FORBIDDEN
    assert anonymous.get(f"{files(visibility)}/f", headers=headers).content == b"content"
    assert anonymous.head(f"{files(visibility)}/f", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("visibility", "write", "read"),
    [("private", NO_PROJECT, NO_PROJECT), ("internal", FORBIDDEN, (200, None)), ("public", FORBIDDEN, (200, None))],
)
def test_signed_in_strangers(
    anonymous: httpx2.Client,
    files: Callable[[str], str],
    credential: Callable[[str, str, str], dict[str, str]],
    visibility: str,
    write: tuple[int, Any],
    read: tuple[int, Any],
) -> None:
    headers = credential("stranger", visibility, "personal")
    for answer in requests(anonymous, files(visibility), headers):
        assert outcome(answer) == write
    assert outcome(anonymous.get(f"{files(visibility)}/f", headers=headers)) == read


@pytest.mark.parametrize(
    ("visibility", "read"), [("private", NO_PROJECT), ("internal", NO_PROJECT), ("public", (200, None))]
)
def test_anonymous_callers(
    anonymous: httpx2.Client, files: Callable[[str], str], visibility: str, read: tuple[int, Any]
) -> None:
    for answer in requests(anonymous, files(visibility), {}):
        assert outcome(answer) == UNAUTHORIZED
        assert answer.headers.get_list("www-authenticate")[-1] == 'Bearer realm="modelyard"'
    assert outcome(anonymous.get(f"{files(visibility)}/f")) == read


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer unknown"},
        {"Authorization": ""},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Basic %%%"},
        {"PRIVATE-TOKEN": "myd_unknown"},
        {"JOB-TOKEN": "unknown"},
    ],
    ids=["bearer", "empty", "basic", "no-base64", "private", "job"],
)
def test_a_bad_credential_is_refused_even_where_none_is_needed(
    anonymous: httpx2.Client, files: Callable[[str], str], visibility: str, headers: dict[str, str]
) -> None:
    for answer in requests(anonymous, files(visibility), headers):
        assert outcome(answer) == UNAUTHORIZED
    assert outcome(anonymous.get(f"{files(visibility)}/f", headers=headers)) == UNAUTHORIZED


def test_a_token_in_the_query_is_no_credential(
    anonymous: httpx2.Client, server: LiveServer, files: Callable[[str], str]
) -> None:
    query = {"private_token": server.root_token, "job_token": server.root_token, "access_token": server.root_token}
    assert outcome(anonymous.get(f"{files('private')}/f", params=query)) == NO_PROJECT


def test_a_read_only_token_reads_and_is_refused_to_write(
    anonymous: httpx2.Client,
    files: Callable[[str], str],
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
) -> None:
    admin = make_user(admin=True)
    headers = {"Authorization": f"Bearer {make_token(admin.id, ('read_api',))['token']}"}
    refusal = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": "api",
    }
    for answer in requests(anonymous, files("private"), headers):
        assert outcome(answer) == (403, refusal)
    assert anonymous.get(f"{files('private')}/f", headers=headers).status_code == 200
    project = files("private").split("/")[2]
    answer = anonymous.post(f"/projects/{project}/{MLFLOW}/runs/create", headers=headers, json={"experiment_id": "0"})
    assert answer.status_code == 403
    assert answer.json()["error_code"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("way", ["query", "header"])
def test_nobody_acts_for_somebody_else(
    root: httpx2.Client, anonymous: httpx2.Client, make_user: Callable[..., Account], way: str
) -> None:
    person = make_user()
    named: dict[str, Any] = {"params" if way == "query" else "headers": {"sudo": person.username}}
    refusal = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": "sudo",
    }
    for method, path in (("GET", "/user"), ("GET", "/projects"), ("HEAD", "/user"), ("POST", "/projects")):
        refused = root.request(method, path, json={"name": "in-whose-name"}, **named)
        assert (refused.status_code, refused.json() if method != "HEAD" else refusal) == (403, refusal)
    assert root.get("/projects", params={"search": "in-whose-name"}).json() == []
    assert root.get("/user", params={"pseudo": "x"}).status_code == 200
    wrong = {"PRIVATE-TOKEN": "myd_wrong"} | (named.pop("headers", {}))
    assert anonymous.get("/user", headers=wrong, **named).status_code == 401
    assert anonymous.get("/projects", **({"headers": wrong} if way == "header" else named)).status_code == 401


def test_a_job_token_acts_in_its_own_project_only(
    anonymous: httpx2.Client, files: Callable[[str], str], credential: Callable[[str, str, str], dict[str, str]]
) -> None:
    credential("owner", "public", "personal")
    headers = credential("owner", "private", "job")
    elsewhere = (
        403,
        {"message": "403 Forbidden - Authentication by CI/CD job token not allowed from another project."},
    )
    for answer in requests(anonymous, files("public"), headers):
        assert outcome(answer) == elsewhere
    assert outcome(anonymous.get(f"{files('public')}/f", headers=headers)) == elsewhere
    project = files("private").split("/")[2]
    assert anonymous.get(f"/projects/{project}/packages", headers=headers).status_code == 200
    for path in ("/users", f"/projects/{project}/members", "/personal_access_tokens", "/personal_access_tokens/self"):
        assert outcome(anonymous.get(path, headers=headers)) == FORBIDDEN
    for path in ("/projects", f"/projects/{project}/job_tokens", f"/projects/{project}/access_tokens"):
        body = {"name": "x", "scopes": ["api"]}
        assert outcome(anonymous.post(path, headers=headers, json=body)) == FORBIDDEN
    assert outcome(anonymous.delete(f"/projects/{project}", headers=headers)) == FORBIDDEN


def test_lowering_a_role_counts_from_the_next_request_on(
    root: httpx2.Client, files: Callable[[str], str], make_user: Callable[..., Account]
) -> None:
    person, url = make_user(), files("private")
    members = f"/projects/{url.split('/')[2]}/members"
    root.post(members, json={"user_id": person.id, "access_level": 30})
    assert person.client.put(f"{url}/lowered", content=b"x").status_code == 201
    root.put(f"{members}/{person.id}", json={"access_level": 20})
    assert outcome(person.client.put(f"{url}/lowered", content=b"y")) == FORBIDDEN
    root.delete(f"{members}/{person.id}")
    assert outcome(person.client.get(f"{url}/lowered")) == NO_PROJECT


def test_every_route_is_refused_without_a_credential(
    server: LiveServer, root: httpx2.Client, anonymous: httpx2.Client
) -> None:
    private = root.post("/projects", json={"name": "closed to strangers"}).json()["id"]
    routes = server.app.all_routes()
    assert len(routes) > 90
    for route in routes:
        if route.path in OPEN_ROUTES or route.path.startswith(OAUTH):  # of which the next test knows each
            continue
        path = re.sub(r"\{\w+\}", str(private), route.path.replace(":path}", "}/1"))
        for method in route.methods - {"OPTIONS"}:  # which tells what is spoken, and no more
            body = _plausible_body() if method in {"POST", "PUT", "PATCH"} else None
            answer = anonymous.request(method, f"{server.url}{path}", json=body, headers=ELSEWHERE)
            listed_for_everyone = method == "GET" and route.path in LISTED_FOR_EVERYONE
            allowed = LISTED_FOR_EVERYONE[route.path] if listed_for_everyone else {401, 404}
            assert answer.status_code in allowed, (method, route.path)
            if answer.status_code == 200:
                assert all(each.get("visibility") == "public" or each["private"] is False for each in answer.json())


def test_what_strangers_may_ask_of_oauth_is_no_more_than_this(server: LiveServer, anonymous: httpx2.Client) -> None:
    assert anonymous.post(f"{server.url}/oauth/token").status_code == 400  # after which its routes are there
    assert {(route.path, *route.methods - {"HEAD"}) for route in server.app.state.oauth.routes} == {
        ("/oauth/token", "POST"),
        ("/oauth/revoke", "POST"),
        ("/oauth/authorize_device", "POST"),
        ("/oauth/device_authorization", "POST"),
        ("/oauth/device", "POST"),
        ("/-/oidc/mint-token", "POST"),
        ("/-/oidc/audience", "GET"),
        ("/.well-known/oauth-authorization-server", "GET"),
    }


def _plausible_body() -> dict[str, object]:
    return {"name": "x", "username": "x", "scopes": ["api"], "access_level": 10, "experiment_id": "1"}


def test_a_blocked_user_is_refused_everywhere_until_unblocked(
    root: httpx2.Client, files: Callable[[str], str], make_user: Callable[..., Account]
) -> None:
    person, url = make_user(), files("public")
    assert root.post(f"/users/{person.id}/block").json() is True
    blocked = (403, {"message": "403 Forbidden - Your account has been blocked."})
    assert outcome(person.client.get(f"{url}/f")) == blocked
    assert outcome(person.client.put(f"{url}/f", content=b"x")) == blocked
    assert outcome(person.client.get("/user")) == blocked
    assert root.post(f"/users/{person.id}/unblock").status_code == 201
    assert person.client.get(f"{url}/f").status_code == 200


def test_a_deactivated_user_is_refused_everywhere_until_activated(
    root: httpx2.Client,
    server: LiveServer,
    files: Callable[[str], str],
    make_user: Callable[..., Account],
    make_dormant: Callable[[int], None],
) -> None:
    person, url = make_user(), files("public")
    project = url.split("/")[2]
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 30})
    job = {"JOB-TOKEN": person.client.post(f"/projects/{project}/job_tokens").json()["token"]}
    assert [person.client.get(f"{url}/f").status_code for _ in range(2)] == [200, 200]
    make_dormant(person.id)
    assert root.post(f"/users/{person.id}/deactivate").json() is True
    deactivated = (403, {"message": "403 Forbidden - Your account has been deactivated by your administrator."})
    requests_of_theirs = [
        person.client.get(f"{url}/f"),
        person.client.put(f"{url}/f", content=b"x"),
        person.client.put(f"{url}/f/authorize"),
        person.client.get("/user"),
        person.client.delete("/personal_access_tokens/self"),
    ]
    with server.client() as bare:
        requests_of_theirs += [bare.get(f"{url}/f", headers=job), bare.put(f"{url}/f", content=b"x", headers=job)]
    assert [outcome(answer) for answer in requests_of_theirs] == [deactivated] * 7
    refused = person.client.get(f"/projects/{project}/{MLFLOW}/experiments/get?experiment_id=0")
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert root.post(f"/users/{person.id}/activate").status_code == 201
    assert person.client.get(f"{url}/f").status_code == 200
