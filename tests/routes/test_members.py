"""The members API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from modelyard.clock import now
from tests.conftest import Account
from tests.live import LiveServer

TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"


@pytest.fixture
def owner(make_user: Callable[..., Account]) -> Account:
    return make_user()


@pytest.fixture
def members(owner: Account, make_project: Callable[..., dict[str, Any]]) -> str:
    return f"/projects/{make_project(owner)['id']}/members"


def test_a_member_comes_changes_and_goes(owner: Account, members: str, make_user: Callable[..., Account]) -> None:
    person = make_user()
    added = owner.client.post(members, data={"user_id": person.id, "access_level": 30, "expires_at": TOMORROW})
    assert added.status_code == 201
    member = added.json()
    assert (member["id"], member["username"], member["access_level"]) == (person.id, person.username, 30)
    assert (member["expires_at"], member["membership_state"]) == (TOMORROW, "active")
    assert owner.client.get(f"{members}/{person.id}").json() == member
    changed = owner.client.put(f"{members}/{person.id}", json={"access_level": 20}).json()
    assert (changed["access_level"], changed["expires_at"]) == (20, TOMORROW)
    assert owner.client.delete(f"{members}/{person.id}").status_code == 204
    assert owner.client.get(f"{members}/{person.id}").json() == {"message": "404 Not Found"}


def test_a_membership_ends_on_its_day(
    owner: Account, members: str, make_user: Callable[..., Account], server: LiveServer
) -> None:
    person, project = make_user(), members.split("/")[2]
    owner.client.post(members, json={"username": person.username, "access_level": 30, "expires_at": TOMORROW})
    assert person.client.get(f"/projects/{project}").status_code == 200
    with server.app.state.database.writing() as registry:
        registry.members.find(int(project), person.id)[0].expires_at = now()
    assert person.client.get(f"/projects/{project}").status_code == 404
    assert owner.client.get(f"{members}/{person.id}").status_code == 404
    assert [member["id"] for member in owner.client.get(members).json()] == [owner.id]
    again = owner.client.post(members, json={"user_id": person.id, "access_level": 20})
    assert (again.status_code, again.json()["expires_at"]) == (201, None)


@pytest.mark.parametrize(
    "nothing", [{"json": {"expires_at": None}}, {"data": {"expires_at": ""}}], ids=["json", "form"]
)
def test_a_membership_is_made_lasting(
    owner: Account, members: str, make_user: Callable[..., Account], nothing: dict[str, Any]
) -> None:
    url = f"{members}/{make_user().id}"
    owner.client.post(members, json={"user_id": url.rpartition("/")[2], "access_level": 30, "expires_at": TOMORROW})
    lasting = owner.client.put(url, params={"access_level": 30}, **nothing)
    assert (lasting.status_code, lasting.json()["expires_at"]) == (200, None)


def test_members_are_listed_for_members(
    owner: Account, members: str, make_user: Callable[..., Account], anonymous: httpx.Client
) -> None:
    person, stranger = make_user(), make_user()
    owner.client.post(members, json={"user_id": person.id, "access_level": 10})
    listed = person.client.get(members)
    assert [member["id"] for member in listed.json()] == [owner.id, person.id]
    assert listed.headers["x-total"] == "2"
    found = person.client.get(members, params={"query": person.username}).json()
    assert [member["id"] for member in found] == [person.id]
    assert stranger.client.get(members).status_code == 404
    assert anonymous.get(members).status_code == 401


def test_members_of_a_public_project_are_not_for_strangers(
    owner: Account, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project(owner, visibility="public")["id"]
    assert make_user().client.get(f"/projects/{project}/members").status_code == 403


def test_bad_members_are_refused(owner: Account, members: str, make_user: Callable[..., Account]) -> None:
    person = make_user()
    for body, status, answer in (
        ({"user_id": 999999, "access_level": 30}, 404, {"message": "404 User Not Found"}),
        ({"username": "nobody-here", "access_level": 30}, 404, {"message": "404 User Not Found"}),
        ({"user_id": person.id}, 400, {"error": "access_level is missing"}),
        ({"user_id": person.id, "access_level": 35}, 400, {"error": "access_level does not have a valid value"}),
        (
            {"user_id": person.id, "username": person.username, "access_level": 30},
            400,
            {"error": "user_id, username are mutually exclusive"},
        ),
        ({"user_id": owner.id, "access_level": 30}, 409, {"message": "Member already exists"}),
        (
            {"user_id": person.id, "access_level": 30, "expires_at": "2020-01-01"},
            400,
            {"message": {"expires_at": ["cannot be a date in the past"]}},
        ),
    ):
        refused = owner.client.post(members, json=body)
        assert (refused.status_code, refused.json()) == (status, answer)
    assert "at least one" in owner.client.post(members, json={"access_level": 30}).json()["error"]


def test_nobody_grants_or_touches_a_role_above_their_own(
    owner: Account, members: str, make_user: Callable[..., Account]
) -> None:
    maintainer, person = make_user(), make_user()
    owner.client.post(members, json={"user_id": maintainer.id, "access_level": 40})
    refusal = {"message": "403 Forbidden - The access level is above your own"}
    assert maintainer.client.post(members, json={"user_id": person.id, "access_level": 50}).json() == refusal
    assert maintainer.client.put(f"{members}/{owner.id}", json={"access_level": 30}).json() == refusal
    assert maintainer.client.delete(f"{members}/{owner.id}").json() == refusal
    assert maintainer.client.post(members, json={"user_id": person.id, "access_level": 40}).status_code == 201


def test_members_may_leave_but_the_last_owner_stays(
    owner: Account, members: str, make_user: Callable[..., Account]
) -> None:
    person, other = make_user(), make_user()
    for each in (person, other):
        owner.client.post(members, json={"user_id": each.id, "access_level": 20})
    assert person.client.delete(f"{members}/{other.id}").status_code == 403
    assert person.client.delete(f"{members}/{person.id}").status_code == 204
    refusal = {"message": "400 Bad request - The last owner must stay"}
    assert owner.client.delete(f"{members}/{owner.id}").json() == refusal
    for change in ({"access_level": 40}, {"access_level": 50, "expires_at": TOMORROW}):
        assert owner.client.put(f"{members}/{owner.id}", json=change).json() == refusal
    assert owner.client.put(f"{members}/{owner.id}", json={"access_level": 50}).status_code == 200


def test_an_owner_for_a_while_may_be_lowered_or_removed_beside_one_for_good(
    owner: Account, members: str, make_user: Callable[..., Account]
) -> None:
    person = make_user()
    owner.client.post(members, json={"user_id": person.id, "access_level": 50, "expires_at": TOMORROW})
    assert owner.client.delete(f"{members}/{owner.id}").status_code == 400
    assert owner.client.put(f"{members}/{person.id}", json={"access_level": 40}).status_code == 200
    owner.client.put(f"{members}/{person.id}", json={"access_level": 50})
    assert owner.client.delete(f"{members}/{person.id}").status_code == 204


def test_a_bot_does_not_stand_in_for_the_last_owner(owner: Account, members: str) -> None:
    body = {"name": "bot", "scopes": ["api"], "access_level": 50}
    assert owner.client.post(f"{members.removesuffix('members')}access_tokens", json=body).status_code == 201
    assert owner.client.delete(f"{members}/{owner.id}").status_code == 400
