"""The users API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from modelyard import __version__
from tests.conftest import Account
from tests.live import LiveServer


def test_the_signed_in_user_is_shown_as_gitlabs_clients_need_it(root: httpx2.Client, server: LiveServer) -> None:
    user = root.get("/user").json()
    assert (user["id"], user["username"], user["state"], user["is_admin"]) == (1, "root", "active", True)
    assert user["web_url"] == f"{server.url}/root"
    assert {"name", "email", "created_at"} <= set(user)


def test_an_administrator_makes_shows_changes_and_deletes_a_user(root: httpx2.Client) -> None:
    made = root.post("/users", data={"username": "Grace", "name": "Grace H.", "email": "g@example.com"})
    assert made.status_code == 201
    user = made.json()
    assert (user["username"], user["email"], user["is_admin"]) == ("Grace", "g@example.com", False)
    assert root.get(f"/users/{user['id']}").json() == user
    changed = root.put(f"/users/{user['id']}", json={"name": "G.", "admin": True}).json()
    assert (changed["name"], changed["is_admin"], changed["email"]) == ("G.", True, "g@example.com")
    assert root.get("/users", params={"username": "grace"}).json() == [changed]
    assert [each["id"] for each in root.get("/users", params={"search": "g@exam"}).json()] == [user["id"]]
    gone = root.delete(f"/users/{user['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert root.get(f"/users/{user['id']}").json() == {"message": "404 User Not Found"}


@pytest.mark.parametrize("username", ["-x", ".x", "x.git", "x.", "a b", "é", "", "123", "x" * 256, "a/b"])
def test_user_names_follow_gitlabs_path_rule(root: httpx2.Client, username: str) -> None:
    refused = root.post("/users", json={"username": username})
    assert refused.status_code == 400
    assert list(refused.json()["message"]) == ["username"]


def test_a_taken_name_is_refused_whatever_its_case(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, object]]
) -> None:
    person = make_user()
    make_project(namespace_path="taken-space/below")
    for username in (person.username.upper(), "Taken-Space"):
        refused = root.post("/users", json={"username": username})
        assert (refused.status_code, refused.json()) == (409, {"message": "Username has already been taken"})


def test_bad_parameters_are_named(root: httpx2.Client) -> None:
    assert root.post("/users", json={}).json() == {"error": "username is missing"}
    assert root.post("/users", json={"username": "u1", "admin": "perhaps"}).json() == {"error": "admin is invalid"}
    assert root.post("/users", json={"username": "u1", "email": "nowhere"}).json() == {
        "message": {"email": ["is invalid"]}
    }
    assert root.post("/users", json={"username": "u1", "name": " "}).status_code == 400


def test_only_administrators_manage_users(make_user: Callable[..., Account]) -> None:
    person, other = make_user(), make_user()
    for answer in (
        person.client.get("/users"),
        person.client.post("/users", json={"username": "sneaky"}),
        person.client.put(f"/users/{person.id}", json={"admin": True}),
        person.client.delete(f"/users/{other.id}"),
        person.client.post(f"/users/{other.id}/block"),
        person.client.post(f"/users/{person.id}/personal_access_tokens", json={"name": "x", "scopes": ["api"]}),
    ):
        assert (answer.status_code, answer.json()) == (403, {"message": "403 Forbidden"})
    assert "email" not in person.client.get(f"/users/{other.id}").json()
    assert "email" in person.client.get(f"/users/{person.id}").json()


def test_whoever_knows_a_user_name_finds_the_user(
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    anonymous: httpx2.Client,
    root: httpx2.Client,
) -> None:
    person, other = make_user(), make_user()
    found = person.client.get("/users", params={"username": other.username.upper()})
    assert found.json() == [person.client.get(f"/users/{other.id}").json()]
    assert "email" not in found.json()[0]
    assert person.client.get("/users", params={"username": "nobody-at-all"}).json() == []
    unknown: tuple[dict[str, Any], ...] = ({"search": other.username}, {"id_after": other.id - 1}, {"admins": True})
    for query in unknown:
        assert person.client.get("/users", params=query).status_code == 403
    known = {"username": other.username}
    assert anonymous.get("/users", params=known).status_code == 401
    job = {"JOB-TOKEN": root.post(f"/projects/{make_project()['id']}/job_tokens").json()["token"]}
    assert anonymous.get("/users", params=known, headers=job).status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "@example.com"}, False),
        ({"search": "user-"}, True),
        ({"admins": True}, True),
        ({"created_after": "2999-01-01"}, True),
        ({"created_before": "1999-01-01"}, True),
        ({"without_projects": True}, True),
        ({"blocked": True}, False),
        ({"exclude_active": True}, False),
        ({"active": True}, True),
        ({"external": True}, False),
    ],
    ids=str,
)
def test_nobody_finds_out_by_asking_what_only_administrators_are_told(
    make_user: Callable[..., Account], make_project: Callable[..., Any], query: dict[str, Any], found: bool
) -> None:
    person, other = make_user(), make_user()
    make_project(other)
    answer = person.client.get("/users", params={"username": other.username} | query)
    assert [user["id"] for user in answer.json()] == ([other.id] if found else [])


def test_administrators_narrow_and_order_the_users(
    server: LiveServer,
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., Any],
) -> None:
    active, blocked, deactivated, admin = (make_user() for _ in range(4))
    root.put(f"/users/{admin.id}", json={"admin": True})
    root.post(f"/users/{blocked.id}/block")
    root.post(f"/users/{deactivated.id}/deactivate")
    make_project(active)
    with server.app.state.database.writing() as registry:
        registry.users.by_id(blocked.id).created_at = 10 * 86_400_000
    ids = [active.id, blocked.id, deactivated.id, admin.id]

    def listed(**query: Any) -> list[int]:
        params: dict[str, Any] = {"id_after": ids[0] - 1, "id_before": ids[-1] + 1, "sort": "asc"} | query
        answer = root.get("/users", params=params)
        assert answer.status_code == 200, answer.text
        return [user["id"] for user in answer.json()]

    assert listed() == listed(humans=True, two_factor="disabled", exclude_external=True, exclude_internal=True) == ids
    assert listed(sort="desc") == ids[::-1]
    assert listed(active=True) == [active.id, admin.id]
    assert listed(exclude_active=True) == [blocked.id, deactivated.id]
    assert listed(blocked=True) == [blocked.id]
    assert listed(active=True, blocked=True) == []
    assert listed(admins=True) == [admin.id]
    assert listed(without_projects=True) == [blocked.id, deactivated.id, admin.id]
    assert listed(created_before="1970-01-11") == listed(created_before="1970-01-12T00:00:00+01:00") == [blocked.id]
    assert listed(created_after="1970-01-12") == [active.id, deactivated.id, admin.id]
    assert listed(order_by="created_at")[0] == blocked.id
    assert listed(order_by="username", sort="desc") == sorted(ids, key=lambda i: name_of(root, i), reverse=True)


def name_of(root: httpx2.Client, user_id: int) -> str:
    return str(root.get(f"/users/{user_id}").json()["username"])


@pytest.mark.parametrize(
    "asked",
    [
        {"exclude_humans": True},
        {"external": True},
        {"auditors": True},
        {"two_factor": "enabled"},
        {"public_email": "a@example.com"},
        {"extern_uid": "1", "provider": "github"},
    ],
    ids=str,
)
def test_what_nobody_here_can_be_is_not_answered_by_everybody(root: httpx2.Client, asked: dict[str, Any]) -> None:
    answer = root.get("/users", params=asked)
    assert (answer.status_code, answer.json(), answer.headers["x-total"]) == (200, [], "0")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"blocked": "maybe"}, "blocked is invalid"),
        ({"created_after": "soon"}, "created_after is invalid"),
        ({"two_factor": "on"}, "two_factor does not have a valid value"),
        ({"order_by": "email"}, "order_by does not have a valid value"),
    ],
)
def test_filters_that_make_no_sense_are_refused(root: httpx2.Client, query: dict[str, Any], sentence: str) -> None:
    refused = root.get("/users", params=query)
    assert (refused.status_code, refused.json()) == (400, {"error": sentence})


def test_users_are_paged_by_keyset_while_they_go(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    people = [make_user().id for _ in range(5)]
    url, found = f"/users?pagination=keyset&order_by=id&sort=asc&per_page=2&id_after={people[0] - 1}", []
    while url:
        answer = root.get(url)
        for user in answer.json():
            assert root.delete(f"/users/{user['id']}").status_code == 204
            found.append(user["id"])
        url = answer.links.get("next", {}).get("url", "")
    assert found == people


def test_a_user_is_shown_with_the_day_of_the_last_use_of_a_token(
    root: httpx2.Client, make_user: Callable[..., Account], make_dormant: Callable[[int], None]
) -> None:
    person = make_user()
    assert root.get(f"/users/{person.id}").json()["last_activity_on"] is None
    person.client.get("/user")
    make_dormant(person.id)
    day = f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d}"
    listed = root.get("/users", params={"username": person.username}).json()
    changed = root.put(f"/users/{person.id}", json={"name": "N"}).json()
    assert [each["last_activity_on"] for each in (*listed, changed)] == [day, day]
    assert person.client.get("/user").json()["last_activity_on"] == day
    assert "last_activity_on" not in make_user().client.get(f"/users/{person.id}").json()


def test_a_user_name_does_not_change(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    person = make_user()
    same = root.put(f"/users/{person.id}", json={"username": person.username, "name": "N"})
    assert (same.status_code, same.json()["name"]) == (200, "N")
    refused = root.put(f"/users/{person.id}", json={"username": "other", "name": "O"})
    assert refused.status_code == 400
    assert refused.json() == {"message": {"username": ["cannot be changed, as projects are addressed by it"]}}
    assert (root.get(f"/users/{person.id}").json()["name"], name_of(root, person.id)) == ("N", person.username)


def test_administrators_cannot_lock_themselves_out(root: httpx2.Client) -> None:
    assert root.delete("/users/1").status_code == 403
    assert root.post("/users/1/block").status_code == 403


DORMANCY = (
    "403 Forbidden - The user you are trying to deactivate has been active in the past 90 days "
    "and cannot be deactivated"
)


def state_of(root: httpx2.Client, person: Account) -> str:
    return str(root.get(f"/users/{person.id}").json()["state"])


def test_who_is_active_cannot_be_deactivated(
    root: httpx2.Client, make_user: Callable[..., Account], make_dormant: Callable[[int], None]
) -> None:
    person = make_user()
    assert person.client.get("/user").status_code == 200
    refused = root.post(f"/users/{person.id}/deactivate")
    assert (refused.status_code, refused.json()) == (403, {"message": DORMANCY})
    assert state_of(root, person) == "active"
    make_dormant(person.id)
    assert [root.post(f"/users/{person.id}/deactivate").json() for _ in range(2)] == [True, True]
    assert state_of(root, person) == "deactivated"


def test_what_a_users_job_did_lately_is_activity(
    root: httpx2.Client,
    client_for: Callable[[str], httpx2.Client],
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, object]],
    make_dormant: Callable[[int], None],
) -> None:
    person = make_user()
    project = make_project(person)["id"]
    job = client_for(person.client.post(f"/projects/{project}/job_tokens").json()["token"])
    make_dormant(person.id)
    assert job.get(f"/projects/{project}").status_code == 200
    assert root.post(f"/users/{person.id}/deactivate").json() == {"message": DORMANCY}


def test_blocking_and_deactivating_are_undone_each_in_its_own_way(
    root: httpx2.Client, make_user: Callable[..., Account]
) -> None:
    person = make_user()
    url = f"/users/{person.id}"
    assert root.post(f"{url}/deactivate").status_code == 201
    refused = root.post(f"{url}/unblock")
    reason = "403 Forbidden - Deactivated users cannot be unblocked by the API"
    assert (refused.status_code, refused.json(), state_of(root, person)) == (403, {"message": reason}, "deactivated")
    assert root.post(f"{url}/block").json() is True
    for verb, reason in (
        ("deactivate", "A blocked user cannot be deactivated"),
        ("activate", "A blocked user must be unblocked to be activated"),
    ):
        refused = root.post(f"{url}/{verb}")
        assert (refused.status_code, refused.json()) == (403, {"message": f"403 Forbidden - {reason}"})
    assert state_of(root, person) == "blocked"
    for verb in ("unblock", "deactivate", "activate", "activate"):
        answer = root.post(f"{url}/{verb}")
        assert (answer.status_code, answer.json()) == (201, True)
    assert state_of(root, person) == "active"


@pytest.mark.parametrize("verb", ["block", "unblock", "deactivate", "activate"])
def test_only_administrators_moderate_and_nobody_themselves(
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, object]],
    anonymous: httpx2.Client,
    verb: str,
) -> None:
    person, other = make_user(), make_user()
    url = f"/users/{other.id}/{verb}"
    job = {"JOB-TOKEN": root.post(f"/projects/{make_project()['id']}/job_tokens").json()["token"]}
    assert person.client.post(url).json() == {"message": "403 Forbidden"}
    assert anonymous.post(url, headers=job).json() == {"message": "403 Forbidden"}
    assert anonymous.post(url).status_code == 401
    assert root.post(f"/users/1/{verb}").status_code == 403
    assert root.post(f"/users/999999/{verb}").json() == {"message": "404 User Not Found"}
    assert state_of(root, other) == "active"


def test_the_last_administrator_stays(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    admin = make_user(admin=True)
    assert admin.client.put(f"/users/{admin.id}", json={"admin": False}).status_code == 200
    for each in root.get("/users", params={"per_page": 100, "admins": True}).json():
        if each["id"] != 1:
            root.put(f"/users/{each['id']}", json={"admin": False})
    refused = root.put("/users/1", json={"admin": False})
    assert refused.json() == {"message": "400 Bad request - The last administrator must stay"}


@pytest.mark.parametrize("user_id", ["abc", "-1", "0", str(2**63), "9" * 30])
def test_ids_that_nobody_has_are_404(root: httpx2.Client, user_id: str) -> None:
    assert root.get(f"/users/{user_id}").status_code == 404
    assert root.delete(f"/users/{user_id}").status_code == 404


def test_a_deleted_users_work_stays(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, object]]
) -> None:
    person = make_user()
    project = make_project(person)["id"]
    assert root.delete(f"/users/{person.id}").status_code == 204
    assert person.client.get("/user").status_code == 401
    assert root.get(f"/projects/{project}").json()["creator_id"] is None


def test_version_and_metadata_need_a_credential(root: httpx2.Client, anonymous: httpx2.Client) -> None:
    version = root.get("/version").json()
    assert version == {"version": __version__, "revision": "modelyard"}
    kubernetes = {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None}
    assert root.get("/metadata").json() == version | {"kas": kubernetes, "enterprise": False}
    for path in ("/version", "/metadata"):
        assert root.head(path).status_code == 200
        assert anonymous.get(path).status_code == 401
