"""The members API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
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
    owner: Account, members: str, make_user: Callable[..., Account], anonymous: httpx2.Client
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


@pytest.mark.parametrize("below", ["", "/all", "/{}", "/all/{}"])
def test_members_are_for_members_alone(
    owner: Account,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    anonymous: httpx2.Client,
    below: str,
) -> None:
    for visibility, status in (("public", 403), ("private", 404)):
        project = make_project(owner, visibility=visibility)["id"]
        url = f"/projects/{project}/members{below.format(owner.id)}"
        job = {"JOB-TOKEN": owner.client.post(f"/projects/{project}/job_tokens").json()["token"]}
        assert make_user().client.get(url).status_code == status
        assert anonymous.get(url).status_code == 401
        assert anonymous.get(url, headers=job).status_code == 403
        guest = make_user()
        owner.client.post(f"/projects/{project}/members", json={"user_id": guest.id, "access_level": 10})
        assert guest.client.get(url).status_code == owner.client.head(url).status_code == 200


def test_all_members_are_those_of_the_project_as_there_are_no_groups(
    owner: Account, members: str, make_user: Callable[..., Account], root: httpx2.Client
) -> None:
    person, gone = make_user(), make_user()
    for each in (person, gone):
        owner.client.post(members, json={"user_id": each.id, "access_level": 30, "expires_at": TOMORROW})
    owner.client.delete(f"{members}/{gone.id}")
    direct = owner.client.get(members).json()
    assert owner.client.get(f"{members}/all").json() == root.get(f"{members}/all").json() == direct
    assert [member["id"] for member in direct] == [owner.id, person.id]
    for member in direct:
        assert owner.client.get(f"{members}/all/{member['id']}").json() == member
    for nobody in (gone.id, 1, 999999, "abc", 2**63):
        refused = owner.client.get(f"{members}/all/{nobody}")
        assert (refused.status_code, refused.json()) == (404, {"message": "404 Not Found"})
    page = owner.client.get(f"{members}/all?per_page=1")
    assert (len(page.json()), page.headers["x-total"]) == (1, "2")
    assert page.links["next"]["url"].endswith(f"{members}/all?page=2&per_page=1")
    assert owner.client.put(f"{members}/all", json={"access_level": 20}).status_code == 404


@pytest.mark.parametrize("below", ["", "/all"])
def test_listed_members_are_narrowed(
    owner: Account, members: str, make_user: Callable[..., Account], below: str
) -> None:
    one, other = make_user(), make_user()
    for each in (one, other):
        owner.client.post(members, json={"user_id": each.id, "access_level": 30})

    def listed(query: Any) -> list[int]:
        answer = owner.client.get(f"{members}{below}", params=query)
        assert answer.status_code == 200, answer.text
        found = [member["id"] for member in answer.json()]
        assert answer.headers["x-total"] == str(len(found))
        return found

    assert listed({"user_ids[]": [one.id, owner.id, 999999]}) == [owner.id, one.id]
    assert (
        listed({"user_ids": f"{one.id},{other.id}"}) == listed({"user_ids": [one.id, other.id]}) == [one.id, other.id]
    )
    assert listed({"user_ids": f"{2**70},-1"}) == []
    assert listed({"user_ids": ""}) == listed({"skip_users": ""}) == [owner.id, one.id, other.id]
    assert listed({"skip_users[]": [one.id, 2**70]}) == [owner.id, other.id]
    assert listed({"user_ids": one.id, "query": other.username}) == []
    assert listed({"state": "active"}) == [owner.id, one.id, other.id]
    for value in ("x", "1,x", "1.5"):
        refused = owner.client.get(f"{members}{below}", params={"user_ids": value})
        assert (refused.status_code, refused.json()) == (400, {"error": "user_ids is invalid"})
    many = {"user_ids": [1] * 20_000}
    assert owner.client.request("GET", f"{members}{below}", json=many).json() == {"error": "user_ids is invalid"}


def test_nobody_waits_for_a_membership_here(owner: Account, members: str) -> None:
    awaiting = owner.client.get(f"{members}/all", params={"state": "awaiting"})
    assert (awaiting.json(), awaiting.headers["x-total"]) == ([], "0")
    assert owner.client.get(f"{members}/all", params={"state": "gone"}).json() == {
        "error": "state does not have a valid value"
    }


def test_administrators_see_what_somebody_is_a_member_of(
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    server: LiveServer,
) -> None:
    person = make_user()
    own, other, ended = make_project(person), make_project(), make_project()
    for project, level in ((other, 20), (ended, 30)):
        root.post(f"/projects/{project['id']}/members", json={"user_id": person.id, "access_level": level})
    with server.app.state.database.writing() as registry:
        registry.members.find(ended["id"], person.id)[0].expires_at = now()
    url = f"/users/{person.id}/memberships"
    listed = root.get(url)
    assert listed.json() == [
        {"source_id": own["id"], "source_name": own["name"], "source_type": "Project", "access_level": 50},
        {"source_id": other["id"], "source_name": other["name"], "source_type": "Project", "access_level": 20},
    ]
    assert (root.get(url, params={"type": "Project"}).json(), listed.headers["x-total"]) == (listed.json(), "2")
    assert [row["source_id"] for row in root.get(url, params={"per_page": 1, "page": 2}).json()] == [other["id"]]
    assert root.get(url, params={"type": "Namespace"}).json() == []
    assert root.get(url, params={"type": "Group"}).json() == {"error": "type does not have a valid value"}
    assert person.client.get(url).json() == {"message": "403 Forbidden"}
    assert root.get("/users/999999/memberships").json() == {"message": "404 User Not Found"}


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
