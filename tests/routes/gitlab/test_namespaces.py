"""The namespaces API: there are no groups, but users and what the paths of projects lie in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from modelyard.services.people import namespaces
from tests.conftest import Account
from tests.live import LiveServer
from tests.raw import exchange

_serial = itertools.count(1)


@pytest.fixture
def space() -> str:
    return f"space-{next(_serial)}x"  # whose name is no part of a later one's


def paths(client: httpx2.Client, **query: Any) -> list[str]:
    answer = client.get("/namespaces", params={"per_page": 100} | query)
    assert answer.status_code == 200, answer.text
    return [namespace["full_path"] for namespace in answer.json()]


def test_a_users_namespace_has_the_users_id(make_user: Callable[..., Account], server: LiveServer) -> None:
    person = make_user()
    own = {
        "id": person.id,
        "name": person.username,
        "path": person.username,
        "kind": "user",
        "full_path": person.username,
        "parent_id": None,
        "avatar_url": None,
        "web_url": f"{server.url}/{person.username}",
    }
    assert person.client.get("/namespaces").json() == [own]
    assert person.client.get("/user").json()["namespace_id"] == person.id
    for ref in (person.id, person.username, person.username.upper()):
        assert person.client.get(f"/namespaces/{ref}").json() == own


def test_a_group_is_what_projects_lie_in_and_keeps_its_id(
    make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], server: LiveServer, space: str
) -> None:
    person = make_user()
    project = make_project(person, namespace_path=f"{space}/Vision/ocr")
    below, inner, top = (
        person.client.get(f"/namespaces/{path}").json()
        for path in (f"{space}%2Fvision%2FOCR", f"{space}%2FVISION", space)
    )
    assert below == project["namespace"] == person.client.get(f"/projects/{project['id']}").json()["namespace"]
    assert (below["name"], below["kind"], below["full_path"]) == ("ocr", "group", f"{space}/Vision/ocr")
    assert below["web_url"] == f"{server.url}/groups/{space}/Vision/ocr"
    assert (inner["full_path"], below["parent_id"], inner["parent_id"]) == (f"{space}/Vision", inner["id"], top["id"])
    assert top["parent_id"] is None
    for each in (below, inner, top):
        assert each["id"] < 2**53
        assert person.client.get(f"/namespaces/{each['id']}").json() == each
    person.client.delete(f"/projects/{project['id']}")
    assert person.client.get(f"/namespaces/{below['id']}").status_code == 404
    again = make_project(person, namespace_path=f"{space}/vision")
    assert again["namespace"]["id"] == inner["id"]


def test_a_project_says_whose_namespace_it_lies_in(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    person = make_user()
    own, below = make_project(person), make_project(person, namespace_path=f"{person.username}/sub")
    assert (own["namespace"]["id"], own["namespace"]["kind"]) == (person.id, "user")
    assert (below["namespace"]["parent_id"], below["namespace"]["kind"]) == (person.id, "group")
    listed = person.client.get("/projects", params={"owned": True, "sort": "asc"}).json()
    assert [project["namespace"] for project in listed] == [own["namespace"], below["namespace"]]
    changed = person.client.put(f"/projects/{own['id']}", json={"description": "d"}).json()
    assert changed["namespace"] == own["namespace"]
    root.delete(f"/users/{person.id}")
    assert root.get(f"/projects/{own['id']}").json()["namespace"]["kind"] == "group"


def test_listings_show_ones_own_and_those_of_ones_projects(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], space: str
) -> None:
    person, other = make_user(), make_user()
    mine = make_project(person, namespace_path=f"{space}/mine")
    theirs = make_project(other, namespace_path=f"{space}-other/theirs", visibility="public")
    make_project(other, namespace_path=f"{space}-hidden")
    other.client.post(f"/projects/{theirs['id']}/members", json={"user_id": person.id, "access_level": 20})
    expected = [person.username, space, f"{space}/mine", f"{space}-other", f"{space}-other/theirs"]
    assert sorted(paths(person.client)) == sorted(expected)
    assert paths(person.client, owned_only=True) == [person.username, space, f"{space}/mine"]
    assert paths(person.client, top_level_only=True) == [person.username, space, f"{space}-other"]
    assert paths(person.client, search="MIN") == [f"{space}/mine"]
    assert paths(person.client, search=space) == [space, f"{space}-other"]
    assert len(paths(person.client, search=space, full_path_search=True)) == 4
    assert paths(person.client, search=person.username) == [person.username]
    assert paths(person.client, search="%") == []
    everything = paths(root, search=space, full_path_search=True)
    assert set(expected[1:]) | {f"{space}-hidden"} == set(everything)
    assert person.username in paths(root, search=person.username)
    assert space not in paths(root, owned_only=True, search=space)
    assert mine["namespace"]["full_path"] == f"{space}/mine"


def test_listings_are_paged_over_users_and_groups_alike(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], space: str
) -> None:
    people = [make_user(f"{space}-person-{number}") for number in range(3)]
    for number in range(4):
        make_project(people[0], namespace_path=f"{space}-group-{number}")
    for per_page in (1, 2, 3, 5, 100):
        url, found = f"/namespaces?search={space}-&per_page={per_page}", []
        while url:
            answer = root.get(url)
            found += [namespace["full_path"] for namespace in answer.json()]
            assert answer.headers["x-total"] == "7"
            url = answer.links.get("next", {}).get("url", "")
        assert found == [person.username for person in people] + [f"{space}-group-{number}" for number in range(4)]
    assert paths(people[0].client, page=2, per_page=2) == [f"{space}-group-1", f"{space}-group-2"]
    assert paths(people[0].client, page=99) == []


def test_what_one_may_not_know_is_not_shown(
    root: httpx2.Client,
    anonymous: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
    space: str,
) -> None:
    person, stranger = make_user(), make_user()
    project = make_project(person, namespace_path=space)
    group = project["namespace"]["id"]
    missing = {"message": "404 Namespace Not Found"}
    for ref in (person.id, person.username, group, space, f"{space}%2Fnothing", "0", "-1", str(2**63), "%FF", "%zz"):
        refused = stranger.client.get(f"/namespaces/{ref}")
        assert (refused.status_code, refused.json()) == (404, missing), ref
    for ref in (person.id, person.username, group, space):
        assert root.get(f"/namespaces/{ref}").status_code == 200
    person.client.put(f"/projects/{project['id']}", json={"visibility": "internal"})
    assert stranger.client.get(f"/namespaces/{group}").json() == stranger.client.get(f"/namespaces/{space}").json()
    job = {"JOB-TOKEN": person.client.post(f"/projects/{project['id']}/job_tokens").json()["token"]}
    for url in ("/namespaces", f"/namespaces/{group}", f"/namespaces/{space}/exists"):
        assert anonymous.get(url).status_code == 401
        assert anonymous.get(url, headers=job).json() == {"message": "403 Forbidden"}
    body = {"name": "bot", "scopes": ["read_api"]}
    made = person.client.post(f"/projects/{project['id']}/access_tokens", json=body).json()
    bot = client_for(made["token"])
    assert paths(bot) == [space]
    assert bot.get("/user").json()["namespace_id"] is None
    assert bot.get(f"/namespaces/{made['user_id']}").status_code == 404
    assert root.get(f"/namespaces/{bot.get('/user').json()['username']}").status_code == 404


def test_a_namespace_that_exists_is_told_with_one_that_does_not(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], space: str
) -> None:
    person, other = make_user(), make_user()
    top = make_project(other, namespace_path=f"{space}/sub")["namespace"]["parent_id"]
    make_project(other, namespace_path=f"{space}1")

    def asked(client: httpx2.Client, path: str, **query: Any) -> Any:
        answer = client.get(f"/namespaces/{path}/exists", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    free = {"exists": False, "suggests": []}
    assert asked(person.client, other.username.upper())["exists"] is True
    assert asked(person.client, space) == {"exists": True, "suggests": [f"{space}2"]}
    assert asked(person.client, f"{space}%2Fsub")["exists"] is True
    assert asked(person.client, "sub") == asked(person.client, f"{space}-free") == asked(person.client, "-") == free
    assert asked(other.client, "sub", parent_id=top) == {"exists": True, "suggests": ["sub1"]}
    assert asked(other.client, "other", parent_id=top) == asked(other.client, "sub", parent_id="") == free
    refused = person.client.get("/namespaces/sub/exists", params={"parent_id": top})
    assert (refused.status_code, refused.json()) == (404, {"message": "404 Namespace Not Found"})
    assert root.get("/namespaces/sub/exists", params={"parent_id": "x"}).json() == {"error": "parent_id is invalid"}


def test_no_suggestion_is_made_when_all_are_taken(
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    space: str,
) -> None:
    monkeypatch.setattr(namespaces, "MAX_SUGGESTIONS", 2)
    person = make_user()
    for suffix in ("", "1", "2"):
        make_project(person, namespace_path=f"{space}{suffix}")
    assert person.client.get(f"/namespaces/{space}/exists").json() == {"exists": True, "suggests": []}


def test_a_project_is_made_in_the_namespace_of_an_id(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], space: str
) -> None:
    person, other = make_user(), make_user()
    group = make_project(person, namespace_path=space, visibility="public")["namespace"]["id"]
    for client, namespace, path in (
        (person.client, group, f"{space}/a"),
        (person.client, person.id, f"{person.username}/a"),
        (root, other.id, f"{other.username}/a"),
        (root, group, f"{space}/b"),
    ):
        body = {"name": path.rpartition("/")[2], "namespace_id": namespace}
        made = client.post("/projects", json=body)
        assert (made.status_code, made.json()["path_with_namespace"]) == (201, path)
        assert made.json()["namespace"]["id"] == namespace
    form = person.client.post("/projects", data={"name": "form", "namespace_id": "", "namespace_path": space})
    assert form.json()["path_with_namespace"] == f"{space}/form"
    for client, namespace, status, answer in (
        (other.client, group, 403, {"message": "403 Forbidden"}),
        (other.client, person.id, 400, {"message": {"namespace": ["is not valid"]}}),
        (person.client, group + 1, 400, {"message": {"namespace": ["is not valid"]}}),
        (person.client, 2**63, 400, {"message": {"namespace": ["is not valid"]}}),
        (person.client, -1, 400, {"message": {"namespace": ["is not valid"]}}),
        (person.client, "x", 400, {"error": "namespace_id is invalid"}),
    ):
        refused = client.post("/projects", json={"name": "refused", "namespace_id": namespace})
        assert (refused.status_code, refused.json()) == (status, answer)
    both = person.client.post("/projects", json={"name": "x", "namespace_id": group, "namespace_path": space})
    assert both.json() == {"error": "namespace_id, namespace_path are mutually exclusive"}


def test_an_id_that_two_paths_share_means_neither(
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    space: str,
) -> None:
    monkeypatch.setattr(namespaces, "GROUP_BITS", 0)
    person = make_user()
    shared = make_project(person, namespace_path=f"{space}/a")["namespace"]["id"]
    assert person.client.get(f"/namespaces/{shared}").status_code == 404
    assert person.client.post("/projects", json={"name": "x", "namespace_id": shared}).status_code == 400


def test_a_path_that_is_no_text_is_no_namespace(root: httpx2.Client) -> None:
    assert root.get("/namespaces/%FF/exists").json() == {"message": "404 Namespace Not Found"}


def test_a_client_that_names_no_host_gets_urls_of_where_it_came_to(server: LiveServer) -> None:
    head = f"GET /api/v4/namespaces/root HTTP/1.0\r\nPRIVATE-TOKEN: {server.root_token}\r\n\r\n"
    answer = exchange(server, head.encode())
    assert answer.json()["web_url"] == f"{server.url}/root"
