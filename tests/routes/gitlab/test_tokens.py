"""Personal, project and job tokens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from modelyard.access.tokens import digest_of
from modelyard.clock import now, start_of
from modelyard.registry.tables import Base
from tests.conftest import Account
from tests.live import LiveServer

EXPIRED = {
    "error": "invalid_token",
    "error_description": "Token is expired. You can either do re-authorization or token refresh.",
}
REVOKED = {"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize from the user."}


def day(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


def set_expiry(server: LiveServer, token_id: int, moment: int) -> None:
    with server.app.state.database.writing() as registry:
        token = registry.tokens.by_id(token_id)
        assert token is not None
        token.expires_at = moment


def test_a_token_is_shown_once_and_kept_as_a_digest(
    root: httpx2.Client,
    server: LiveServer,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
) -> None:
    person = make_user()
    made = make_token(person.id, ("api", "read_api"), expires_at=day(30), description="laptop")
    secret = made.pop("token")
    assert made == root.get(f"/personal_access_tokens/{made['id']}").json()
    assert (made["scopes"], made["expires_at"], made["active"]) == (["api", "read_api"], day(30), True)
    assert (made["revoked"], made["user_id"], made["description"]) == (False, person.id, "laptop")
    with server.app.state.database.engine.connect() as connection:
        kept = [str(row) for table in Base.metadata.sorted_tables for row in connection.execute(select(table))]
    assert digest_of(secret) in "\n".join(kept)
    assert secret not in "\n".join(kept)


def test_a_token_is_revoked_from_the_next_request_on(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    person = make_user()
    own = person.client.get("/personal_access_tokens/self").json()
    assert root.delete(f"/personal_access_tokens/{own['id']}").status_code == 204
    refused = person.client.get("/user")
    assert (refused.status_code, refused.json()) == (401, REVOKED)
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_a_token_expires(server: LiveServer, make_user: Callable[..., Account]) -> None:
    person = make_user()
    own = person.client.get("/personal_access_tokens/self").json()["id"]
    set_expiry(server, own, now() + 60_000)
    assert person.client.get("/user").status_code == 200
    set_expiry(server, own, now())
    refused = person.client.get("/user")
    assert (refused.status_code, refused.json()) == (401, EXPIRED)


def test_any_token_may_revoke_itself(
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
) -> None:
    client = client_for(make_token(make_user().id, ("read_api",))["token"])
    assert client.delete("/personal_access_tokens/self").status_code == 204
    assert client.get("/user").json() == REVOKED


def test_rotation_replaces_a_token(
    make_user: Callable[..., Account], client_for: Callable[[str], httpx2.Client]
) -> None:
    person = make_user()
    old = person.client.get("/personal_access_tokens/self").json()
    fresh = person.client.post("/personal_access_tokens/self/rotate").json()
    assert person.client.get("/user").json() == REVOKED
    client = client_for(fresh["token"])
    assert (fresh["name"], fresh["scopes"], fresh["expires_at"]) == (old["name"], old["scopes"], day(7))
    again = client.post(f"/personal_access_tokens/{fresh['id']}/rotate", json={"expires_at": day(3)}).json()
    assert again["expires_at"] == day(3)
    refused = client_for(again["token"]).post(f"/personal_access_tokens/{old['id']}/rotate")
    assert refused.json() == {"message": "403 Forbidden - The token is not active"}


def test_people_see_their_own_tokens_and_administrators_all(
    root: httpx2.Client, make_user: Callable[..., Account]
) -> None:
    one, other = make_user(), make_user()
    mine = one.client.get("/personal_access_tokens").json()
    assert {token["user_id"] for token in mine} == {one.id}
    foreign = other.client.get("/personal_access_tokens/self").json()["id"]
    assert one.client.get(f"/personal_access_tokens/{foreign}").json() == {"message": "404 Not Found"}
    assert one.client.delete(f"/personal_access_tokens/{foreign}").status_code == 404
    assert one.client.get("/personal_access_tokens", params={"user_id": other.id}).status_code == 403
    listed = root.get("/personal_access_tokens", params={"user_id": other.id, "state": "active"}).json()
    assert [token["id"] for token in listed] == [foreign]
    assert root.get("/personal_access_tokens", params={"user_id": other.id, "state": "inactive"}).json() == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"error": "name is missing, scopes is missing"}),
        ({"name": "x", "scopes": ["sudo"]}, {"error": "scopes does not have a valid value"}),
        ({"name": "x", "scopes": []}, {"error": "scopes does not have a valid value"}),
        ({"name": "x", "scopes": ["api"], "expires_at": "soon"}, {"error": "expires_at is invalid"}),
        (
            {"name": "x", "scopes": ["api"], "expires_at": day(0)},
            {"message": {"expires_at": ["must be in the future"]}},
        ),
        ({"name": "", "scopes": ["api"]}, {"message": {"name": ["must have 1 to 255 characters"]}}),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(
    root: httpx2.Client, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    refused = root.post("/users/1/personal_access_tokens", json=body)
    assert (refused.status_code, refused.json()) == (400, expected)


def test_a_token_for_nobody_is_404(root: httpx2.Client) -> None:
    refused = root.post("/users/999999/personal_access_tokens", json={"name": "x", "scopes": ["api"]})
    assert (refused.status_code, refused.json()) == (404, {"message": "404 User Not Found"})


def test_forms_may_send_scopes_in_each_of_gitlabs_ways(root: httpx2.Client) -> None:
    for form in ({"scopes[]": ["api", "read_api"]}, {"scopes": "api,read_api"}):
        made = root.post("/users/1/personal_access_tokens", data={"name": "form"} | form)
        assert made.json()["scopes"] == ["api", "read_api"]


def test_a_project_token_is_a_bot_with_a_role(
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
) -> None:
    owner = make_user()
    project, internal = make_project(owner)["id"], make_project(visibility="internal")["id"]
    body = {"name": "ci", "scopes": ["api"], "access_level": 30}
    made = owner.client.post(f"/projects/{project}/access_tokens", json=body).json()
    bot = client_for(made["token"])
    assert made["access_level"] == 30
    assert bot.get("/user").json()["bot"] is True
    assert bot.get(f"/projects/{project}").json()["permissions"]["project_access"] == {"access_level": 30}
    assert bot.get(f"/projects/{internal}").status_code == 404
    assert bot.post("/projects", json={"name": "x"}).status_code == 403
    (listed,) = owner.client.get(f"/projects/{project}/access_tokens").json()
    assert (listed["id"], listed["access_level"]) == (made["id"], 30)
    assert owner.client.delete(f"/projects/{project}/access_tokens/{made['id']}").status_code == 204
    assert bot.get("/user").json() == REVOKED
    (ended,) = owner.client.get(f"/projects/{project}/access_tokens").json()
    assert (ended["revoked"], ended["active"], ended["access_level"]) == (True, False, None)
    assert owner.client.get(f"/projects/{project}/access_tokens", params={"state": "active"}).json() == []


@pytest.fixture
def owner(make_user: Callable[..., Account]) -> Account:
    return make_user()


@pytest.fixture
def access_tokens(owner: Account, make_project: Callable[..., dict[str, Any]]) -> str:
    return f"/projects/{make_project(owner)['id']}/access_tokens"


def made(client: httpx2.Client, url: str, level: int = 30, **body: Any) -> dict[str, Any]:
    answer = client.post(url, json={"name": "ci", "scopes": ["api"], "access_level": level} | body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_project_token_is_shown_as_it_is_listed(
    owner: Account, access_tokens: str, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    token = made(owner.client, access_tokens, description="d", expires_at=day(9))
    secret = token.pop("token")
    assert secret.startswith("myd_")
    assert owner.client.get(f"{access_tokens}/{token['id']}").json() == token
    assert owner.client.get(access_tokens).json() == [token]
    elsewhere = f"/projects/{make_project(owner)['id']}/access_tokens"
    personal = owner.client.get("/personal_access_tokens/self").json()["id"]
    job = owner.client.post(f"{access_tokens.removesuffix('access_tokens')}job_tokens")
    assert job.status_code == 201
    for url in (
        f"{elsewhere}/{token['id']}",
        f"{access_tokens}/{personal}",
        f"{access_tokens}/{token['id'] + 1}",
        f"{access_tokens}/self",
        f"{access_tokens}/abc",
        f"{access_tokens}/{2**63}",
    ):
        for refused in (owner.client.get(url), owner.client.delete(url)):
            assert (refused.status_code, refused.json()) == (404, {"message": "404 Not Found"})
    assert make_user().client.get(f"{access_tokens}/{token['id']}").json() == {"message": "404 Project Not Found"}


def test_rotation_replaces_a_project_token_and_leaves_its_bot(
    owner: Account, access_tokens: str, client_for: Callable[[str], httpx2.Client]
) -> None:
    token = made(owner.client, access_tokens, description="d", scopes=["read_api"])
    project = access_tokens.split("/")[2]
    bot = client_for(token["token"])
    assert bot.get(f"/projects/{project}").status_code == 200
    rotated = owner.client.post(f"{access_tokens}/{token['id']}/rotate")
    assert rotated.status_code == 200
    fresh = rotated.json()
    assert bot.get(f"/projects/{project}").json() == REVOKED
    kept = ("name", "description", "scopes", "user_id", "access_level")
    assert [fresh[field] for field in kept] == [token[field] for field in kept]
    assert (fresh["expires_at"], fresh["active"], fresh["revoked"]) == (day(7), True, False)
    client = client_for(fresh["token"])
    shown = client.get(f"/projects/{project}").json()["permissions"]["project_access"]
    assert (client.get("/user").json()["id"], shown) == (token["user_id"], {"access_level": 30})
    again = owner.client.post(f"{access_tokens}/{fresh['id']}/rotate", data={"expires_at": day(3)}).json()
    assert again["expires_at"] == day(3)
    listed = owner.client.get(access_tokens).json()
    assert [(each["id"], each["active"]) for each in listed] == [
        (again["id"], True),
        (fresh["id"], False),
        (token["id"], False),
    ]


def test_a_rotation_that_is_refused_leaves_the_token_as_it_is(
    owner: Account,
    access_tokens: str,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
    anonymous: httpx2.Client,
) -> None:
    maintainer, developer, project = make_user(), make_user(), access_tokens.split("/")[2]
    for person, level in ((maintainer, 40), (developer, 30)):
        owner.client.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": level})
    token = made(owner.client, access_tokens, 50)
    url = f"{access_tokens}/{token['id']}/rotate"
    elsewhere = f"/projects/{make_project(owner)['id']}/access_tokens/{token['id']}/rotate"
    personal = owner.client.get("/personal_access_tokens/self").json()["id"]
    for refused, status, body in (
        (
            owner.client.post(url, json={"expires_at": day(0)}),
            400,
            {"message": {"expires_at": ["must be in the future"]}},
        ),
        (owner.client.post(url, json={"expires_at": "soon"}), 400, {"error": "expires_at is invalid"}),
        (anonymous.post(url), 401, {"message": "401 Unauthorized"}),
        (maintainer.client.post(url), 403, {"message": "403 Forbidden - The access level is above your own"}),
        (developer.client.post(url), 403, {"message": "403 Forbidden"}),
        (make_user().client.post(url), 404, {"message": "404 Project Not Found"}),
        (owner.client.post(elsewhere), 404, {"message": "404 Not Found"}),
        (owner.client.post(f"{access_tokens}/{personal}/rotate"), 404, {"message": "404 Not Found"}),
        (owner.client.post(f"{access_tokens}/{2**63}/rotate"), 404, {"message": "404 Not Found"}),
    ):
        assert (refused.status_code, refused.json()) == (status, body)
    assert client_for(token["token"]).get("/user").status_code == 200
    owner.client.delete(f"{access_tokens}/{token['id']}")
    assert owner.client.post(url).json() == {"message": "403 Forbidden - The token is not active"}


def test_any_project_token_may_rotate_itself(
    owner: Account, access_tokens: str, client_for: Callable[[str], httpx2.Client]
) -> None:
    token = made(owner.client, access_tokens, 10)
    rotated = client_for(token["token"]).post(f"{access_tokens}/self/rotate", json={"expires_at": day(5)})
    fresh = rotated.json()
    assert (rotated.status_code, fresh["user_id"], fresh["access_level"]) == (200, token["user_id"], 10)
    assert client_for(token["token"]).post(f"{access_tokens}/self/rotate").json() == REVOKED
    bot = client_for(fresh["token"])
    assert bot.get(f"/projects/{access_tokens.split('/')[2]}").status_code == 200
    assert bot.post(f"{access_tokens}/{fresh['id']}/rotate").json() == {"message": "403 Forbidden"}


@pytest.mark.parametrize("level", [40, 50])
def test_a_projects_token_gives_nobody_access_but_may_take_it(
    owner: Account,
    access_tokens: str,
    make_user: Callable[..., Account],
    client_for: Callable[[str], httpx2.Client],
    level: int,
) -> None:
    """Else what somebody makes of one that has leaked would outlive it."""
    member, stranger, project = make_user(), make_user(), access_tokens.removesuffix("/access_tokens")
    owner.client.post(f"{project}/members", json={"user_id": member.id, "access_level": 10})
    token, other = made(owner.client, access_tokens, level), made(owner.client, access_tokens, 10)
    bot = client_for(token["token"])
    before = owner.client.get(f"{project}/members").json()
    new_token, new_role = {"name": "x", "scopes": ["api"], "access_level": 10}, {"access_level": 30}
    for refused in (
        bot.post(access_tokens, json=new_token),
        bot.post(f"{access_tokens}/{other['id']}/rotate"),
        bot.post(f"{access_tokens}/{token['id']}/rotate"),
        bot.post(f"{project}/members", json={"user_id": stranger.id} | new_role),
        bot.post(f"{project}/members", data={"username": stranger.username} | new_role),
        bot.put(f"{project}/members/{member.id}", json=new_role),
        bot.put(f"{project}/members/{token['user_id']}", json=new_role),
    ):
        message = {"message": "403 Forbidden - Project access tokens cannot give access to others"}
        assert (refused.status_code, refused.json()) == (403, message)
    assert bot.post(f"/personal_access_tokens/{other['id']}/rotate").status_code == 404
    assert bot.post(f"/users/{token['user_id']}/personal_access_tokens", json=new_token).status_code == 403
    assert owner.client.get(f"{project}/members").json() == before
    assert len(bot.get(access_tokens).json()) == 2
    assert bot.delete(f"{access_tokens}/{other['id']}").status_code == 204
    assert bot.delete(f"{project}/members/{member.id}").status_code == 204
    fresh = bot.post(f"{access_tokens}/self/rotate")
    assert (fresh.status_code, fresh.json()["access_level"]) == (200, level)


def test_only_a_token_of_the_project_rotates_itself_there(
    owner: Account,
    access_tokens: str,
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
    anonymous: httpx2.Client,
) -> None:
    token, reader = made(owner.client, access_tokens), made(owner.client, access_tokens, scopes=["read_api"])
    project, bot = access_tokens.removesuffix("/access_tokens"), client_for(token["token"])
    job = {"JOB-TOKEN": owner.client.post(f"{project}/job_tokens").json()["token"]}
    for refused in (
        owner.client.post(f"{access_tokens}/self/rotate"),
        anonymous.post(f"{access_tokens}/self/rotate", headers=job),
    ):
        assert (refused.status_code, refused.json()) == (405, {"message": "405 Method Not Allowed"})
        assert refused.headers["allow"] == ""
    assert client_for(reader["token"]).post(f"{access_tokens}/self/rotate").json()["error"] == "insufficient_scope"
    public, private = (make_project(owner, visibility=each)["id"] for each in ("public", "private"))
    assert bot.post(f"/projects/{public}/access_tokens/self/rotate").json() == {"message": "404 Not Found"}
    assert bot.post(f"/projects/{private}/access_tokens/self/rotate").json() == {"message": "404 Project Not Found"}
    assert anonymous.post(f"{access_tokens}/self/rotate").status_code == 401
    assert bot.get("/user").status_code == 200


def test_of_many_rotations_at_once_one_succeeds(owner: Account, access_tokens: str, server: LiveServer) -> None:
    token = made(owner.client, access_tokens)
    ways = [
        (owner.token, f"{access_tokens}/{token['id']}/rotate"),
        (token["token"], f"{access_tokens}/self/rotate"),
        (token["token"], "/personal_access_tokens/self/rotate"),
    ]

    def rotate(way: tuple[str, str]) -> int:
        with server.client(way[0]) as client:
            return client.post(way[1]).status_code

    with ThreadPoolExecutor(9) as threads:
        answers = list(threads.map(rotate, ways * 3))
    assert answers.count(200) == 1
    assert set(answers) <= {200, 401, 403}
    assert len(owner.client.get(access_tokens, params={"state": "active"}).json()) == 1


@pytest.fixture
def dated(server: LiveServer, owner: Account, access_tokens: str) -> dict[str, int]:
    """A project's tokens by name: one that was never used nor expires, and three with a day of May 2026 each."""
    ids = {name: made(owner.client, access_tokens, name=name)["id"] for name in ("never", "b-10", "A-20", "c-30")}
    with server.app.state.database.writing() as registry:
        for name, token_id in ids.items():
            token = registry.tokens.by_id(token_id)
            assert token is not None
            token.created_at = start_of(date(2026, 5, 1))
            if name != "never":
                moment = start_of(date(2026, 5, int(name[2:])))
                token.created_at = token.expires_at = token.last_used_at = moment
        registry.tokens.by_id(ids["c-30"]).revoked_at = now()
    return ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["c-30", "A-20", "b-10", "never"]),
        ({"sort": "created_asc"}, ["never", "b-10", "A-20", "c-30"]),
        ({"sort": "expires_asc"}, ["b-10", "A-20", "c-30", "never"]),
        ({"sort": "expires_desc"}, ["c-30", "A-20", "b-10", "never"]),
        ({"sort": "last_used_asc"}, ["b-10", "A-20", "c-30", "never"]),
        ({"sort": "last_used_desc"}, ["c-30", "A-20", "b-10", "never"]),
        ({"sort": "name_asc"}, ["A-20", "b-10", "c-30", "never"]),
        ({"sort": "name_desc"}, ["never", "c-30", "b-10", "A-20"]),
        ({"state": "active"}, ["never"]),
        ({"state": "inactive"}, ["c-30", "A-20", "b-10"]),
        ({"revoked": True}, ["c-30"]),
        ({"revoked": False}, ["A-20", "b-10", "never"]),
        ({"search": "EVE"}, ["never"]),
        ({"search": "%"}, []),
        ({"created_after": "2026-05-20T00:00:00Z"}, ["c-30", "A-20"]),
        ({"created_before": "2026-05-10"}, ["b-10", "never"]),
        ({"expires_after": "2026-05-20"}, ["c-30", "A-20"]),
        ({"expires_before": "2026-05-20"}, ["A-20", "b-10"]),
        ({"last_used_after": "2026-05-10T00:00:01"}, ["c-30", "A-20"]),
        ({"last_used_before": "2026-05-19T23:59:59Z"}, ["b-10"]),
        ({"last_used_before": "2026-05-20T00:00:00Z", "revoked": False, "created_after": ""}, ["A-20", "b-10"]),
    ],
    ids=str,
)
def test_tokens_are_narrowed_and_ordered(
    owner: Account, access_tokens: str, dated: dict[str, int], query: dict[str, Any], names: list[str]
) -> None:
    answer = owner.client.get(access_tokens, params=query)
    assert ([token["name"] for token in answer.json()], answer.headers["x-total"]) == (names, str(len(names)))
    assert len(dated) == 4


def test_personal_tokens_are_narrowed_alike(
    root: httpx2.Client, make_user: Callable[..., Account], make_token: Callable[..., dict[str, Any]]
) -> None:
    person = make_user()
    other = make_token(person.id, name="other", expires_at=day(30))["id"]
    gone = make_token(person.id, name="gone")["id"]
    root.delete(f"/personal_access_tokens/{gone}")

    def listed(client: httpx2.Client = root, **query: Any) -> list[str]:
        params: dict[str, Any] = {"user_id": person.id, "sort": "name_asc"} | query
        answer = client.get("/personal_access_tokens", params=params)
        return [token["name"] for token in answer.json()]

    assert listed() == listed(person.client) == ["gone", "other", "test"]
    assert listed(revoked=True) == ["gone"]
    assert listed(person.client, expires_before=day(60)) == ["other"]
    assert listed(search="oTh") == ["other"]
    assert listed(last_used_before="2020-01-01") == listed(created_before="2020-01-01") == []
    assert other in [token["id"] for token in person.client.get("/personal_access_tokens").json()]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"state": "dead"}, "state does not have a valid value"),
        ({"revoked": "perhaps"}, "revoked is invalid"),
        ({"sort": "age"}, "sort does not have a valid value"),
        ({"expires_before": "soon"}, "expires_before is invalid"),
        ({"last_used_before": "1"}, "last_used_before is invalid"),
    ],
)
def test_filters_that_make_no_sense_are_refused(
    owner: Account, access_tokens: str, query: dict[str, Any], sentence: str
) -> None:
    for url in (access_tokens, "/personal_access_tokens"):
        refused = owner.client.get(url, params=query)
        assert (refused.status_code, refused.json()) == (400, {"error": sentence})


def test_project_tokens_are_for_maintainers_and_never_above_them(
    make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    owner, maintainer, developer = make_user(), make_user(), make_user()
    project = make_project(owner)["id"]
    for person, level in ((maintainer, 40), (developer, 30)):
        owner.client.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": level})
    url, body = f"/projects/{project}/access_tokens", {"name": "x", "scopes": ["api"]}
    assert developer.client.post(url, json=body).status_code == 403
    assert developer.client.get(url).status_code == 403
    assert developer.client.get(f"{url}/1").status_code == 403
    assert maintainer.client.post(url, json=body | {"access_level": 50}).status_code == 403
    assert maintainer.client.post(url, json=body | {"access_level": 45}).json() == {
        "error": "access_level does not have a valid value"
    }
    assert maintainer.client.post(url, json=body).json()["access_level"] == 40
    assert maintainer.client.delete(f"{url}/999999").status_code == 404


def test_a_job_token_lives_an_hour_unless_told_otherwise(
    root: httpx2.Client,
    server: LiveServer,
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
) -> None:
    project = make_project()["id"]
    made = root.post(f"/projects/{project}/job_tokens").json()
    lifetime = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < lifetime <= timedelta(hours=1)
    assert made["project_id"] == project
    short = root.post(f"/projects/{project}/job_tokens", data={"expires_in": 60}).json()
    client = client_for(short["token"])
    assert client.get(f"/projects/{project}").status_code == 200
    with server.app.state.database.writing() as registry:
        facts = registry.tokens.facts(digest_of(short["token"]))
        assert facts is not None
        registry.tokens.by_id(facts.token_id).expires_at = now()
    assert client.get(f"/projects/{project}").json() == EXPIRED
    assert root.post(f"/projects/{project}/job_tokens", data={"expires_in": 0}).status_code == 400


def test_guests_and_strangers_make_no_job_tokens(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    person, project = make_user(), make_project()["id"]
    assert person.client.post(f"/projects/{project}/job_tokens").status_code == 404
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 10})
    assert person.client.post(f"/projects/{project}/job_tokens").status_code == 403
