"""Personal, project and job tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from modelyard.access.tokens import digest_of
from modelyard.clock import now
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
    root: httpx.Client,
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


def test_a_token_is_revoked_from_the_next_request_on(root: httpx.Client, make_user: Callable[..., Account]) -> None:
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
    client_for: Callable[[str], httpx.Client],
) -> None:
    client = client_for(make_token(make_user().id, ("read_api",))["token"])
    assert client.delete("/personal_access_tokens/self").status_code == 204
    assert client.get("/user").json() == REVOKED


def test_rotation_replaces_a_token(
    make_user: Callable[..., Account], client_for: Callable[[str], httpx.Client]
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
    root: httpx.Client, make_user: Callable[..., Account]
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
    root: httpx.Client, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    refused = root.post("/users/1/personal_access_tokens", json=body)
    assert (refused.status_code, refused.json()) == (400, expected)


def test_a_token_for_nobody_is_404(root: httpx.Client) -> None:
    refused = root.post("/users/999999/personal_access_tokens", json={"name": "x", "scopes": ["api"]})
    assert (refused.status_code, refused.json()) == (404, {"message": "404 User Not Found"})


def test_forms_may_send_scopes_in_each_of_gitlabs_ways(root: httpx.Client) -> None:
    for form in ({"scopes[]": ["api", "read_api"]}, {"scopes": "api,read_api"}):
        made = root.post("/users/1/personal_access_tokens", data={"name": "form"} | form)
        assert made.json()["scopes"] == ["api", "read_api"]


def test_a_project_token_is_a_bot_with_a_role(
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx.Client],
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
    assert owner.client.get(f"/projects/{project}/access_tokens").json() == []


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
    assert maintainer.client.post(url, json=body | {"access_level": 50}).status_code == 403
    assert maintainer.client.post(url, json=body | {"access_level": 45}).json() == {
        "error": "access_level does not have a valid value"
    }
    assert maintainer.client.post(url, json=body).json()["access_level"] == 40
    assert maintainer.client.delete(f"{url}/999999").status_code == 404


def test_a_job_token_lives_an_hour_unless_told_otherwise(
    root: httpx.Client,
    server: LiveServer,
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx.Client],
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
    root: httpx.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    person, project = make_user(), make_project()["id"]
    assert person.client.post(f"/projects/{project}/job_tokens").status_code == 404
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 10})
    assert person.client.post(f"/projects/{project}/job_tokens").status_code == 403
