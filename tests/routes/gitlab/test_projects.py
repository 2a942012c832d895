"""The projects API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer


def test_a_project_is_made_and_found_by_id_and_by_path(root: httpx2.Client, server: LiveServer) -> None:
    made = root.post("/projects", data={"name": "My Models", "visibility": "internal", "description": "d"})
    assert made.status_code == 201
    project = made.json()
    assert (project["path_with_namespace"], project["visibility"]) == ("root/my-models", "internal")
    assert project["web_url"] == f"{server.url}/{project['path_with_namespace']}"
    assert project["namespace"]["full_path"] == "root"
    assert project["permissions"]["project_access"] == {"access_level": 50}
    for ref in (project["id"], "root%2Fmy-models", "Root%2fMY-Models"):
        assert root.get(f"/projects/{ref}").json() == project


def test_a_project_changes_and_goes(root: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> None:
    project = make_project()["id"]
    changed = root.put(f"/projects/{project}", json={"name": "N", "path": f"moved-{project}", "visibility": "public"})
    assert (changed.json()["name"], changed.json()["visibility"]) == ("N", "public")
    assert root.get(f"/projects/root%2Fmoved-{project}").json()["id"] == project
    gone = root.delete(f"/projects/{project}")
    assert (gone.status_code, gone.json()) == (202, {"message": "202 Accepted"})
    assert root.get(f"/projects/{project}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "path": "-x"}, "path"),
        ({"name": "x", "path": "x.git"}, "path"),
        ({"name": "x", "path": "a/b"}, "path"),
        ({"name": "!!!"}, "path"),
        ({"name": " ", "path": "ok"}, "name"),
        ({"name": "x" * 256, "path": "ok"}, "name"),
        ({"name": "x", "namespace_path": "a//b"}, "namespace_path"),
        ({"name": "x", "namespace_path": "/".join("a" * 21)}, "namespace_path"),
        ({"name": "x", "description": "d" * 2001}, "description"),
    ],
)
def test_what_the_rules_refuse_names_the_field(root: httpx2.Client, body: dict[str, str], field: str) -> None:
    refused = root.post("/projects", json=body)
    assert refused.status_code == 400
    assert list(refused.json()["message"]) == [field]


@pytest.mark.parametrize(("field", "value"), [("name", ""), ("path", ""), ("path", "-x"), ("name", "x" * 256)])
def test_a_change_obeys_the_rules_too(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], field: str, value: str
) -> None:
    project = make_project()
    refused = root.put(f"/projects/{project['id']}", json={field: value})
    assert refused.status_code == 400
    assert list(refused.json()["message"]) == [field]
    assert root.get(f"/projects/{project['id']}").json() == project


def test_parameters_are_checked(root: httpx2.Client) -> None:
    assert root.post("/projects", json={"name": "x", "visibility": "secret"}).json() == {
        "error": "visibility does not have a valid value"
    }
    assert "at least one" in root.post("/projects", json={}).json()["error"]
    assert root.get("/projects", params={"order_by": "luck"}).json() == {
        "error": "order_by does not have a valid value"
    }
    assert root.post("/projects", content=b"[1]", headers={"Content-Type": "application/json"}).json() == {
        "error": "The request body is not a JSON object"
    }
    assert root.post("/projects", content=b" " * 9_000_000).status_code == 413


def test_a_path_is_taken_whatever_its_case(root: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> None:
    taken, other = make_project(), make_project()
    refusal = {"message": {"path": ["has already been taken"]}}
    assert root.post("/projects", json={"path": taken["path"].upper()}).json() == refusal
    assert root.put(f"/projects/{other['id']}", json={"path": taken["path"]}).json() == refusal


def test_namespaces_belong_to_users_or_to_their_owners(
    make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    one, other = make_user(), make_user()
    space = f"space-of-{one.username}"
    make_project(one, namespace_path=f"{space}/sub")
    make_project(one, namespace_path=space)
    for namespace in (space, f"{space}/other", one.username, one.username.upper()):
        refused = other.client.post("/projects", json={"name": "x", "namespace_path": namespace})
        assert refused.status_code == 403


@pytest.mark.parametrize("below", ["", "/sub", "/sub/sub"])
def test_what_an_administrator_makes_in_a_users_namespace_is_the_users(
    root: httpx2.Client, make_user: Callable[..., Account], below: str
) -> None:
    person = make_user()
    made = root.post("/projects", json={"name": "x", "namespace_path": f"{person.username}{below}"}).json()
    assert made["permissions"]["project_access"] is None
    assert root.get(f"/projects/{made['id']}").json() == made
    assert person.client.get(f"/projects/{made['id']}").json()["permissions"]["project_access"] == {"access_level": 50}


def test_an_administrator_makes_a_project_for_a_user(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    person = make_user()
    made = root.post(f"/projects/user/{person.id}", json={"name": "For You", "visibility": "internal"})
    assert made.status_code == 201
    project = made.json()
    assert project["path_with_namespace"] == f"{person.username}/for-you"
    assert person.client.get(f"/projects/{project['id']}").json()["permissions"]["project_access"]["access_level"] == 50
    body, taken = {"name": "For You"}, {"message": {"path": ["has already been taken"]}}
    for client, user_id, status, answer in (
        (root, person.id, 400, taken),
        (root, 999999, 404, {"message": "404 User Not Found"}),
        (person.client, person.id, 403, {"message": "403 Forbidden"}),
    ):
        refused = client.post(f"/projects/user/{user_id}", json=body)
        assert (refused.status_code, refused.json()) == (status, answer)
    assert root.post(f"/projects/user/{person.id}", json={}).status_code == 400


def test_listings_show_what_one_sees(
    anonymous: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    person = make_user()
    made = {v: make_project(visibility=v, description="needle")["id"] for v in ("private", "internal", "public")}
    own = make_project(person, description="needle")["id"]

    def seen(client: httpx2.Client, **query: str | bool) -> set[int]:
        params: dict[str, str | int | bool] = {"search": "needle", "per_page": 100, **query}
        answer = client.get("/projects", params=params)
        return {project["id"] for project in answer.json()}

    assert seen(anonymous) == {made["public"]}
    assert seen(person.client) == {made["internal"], made["public"], own}
    assert seen(person.client, membership=True) == seen(person.client, owned=True) == {own}
    assert seen(person.client, visibility="internal") == {made["internal"]}
    assert seen(person.client, search="no%such_thing") == set()


def test_a_users_projects_are_those_in_the_users_namespace_that_one_sees(
    root: httpx2.Client,
    anonymous: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
) -> None:
    person, member, stranger = make_user(), make_user(), make_user()
    make_project(make_user(f"{person.username}-2"))
    make_project(person, namespace_path=f"{person.username}-space")
    kinds = ("private", "internal", "public")
    private, internal, public = (make_project(person, visibility=visibility)["id"] for visibility in kinds)
    below = make_project(person, namespace_path=f"{person.username}/sub")["id"]
    root.post(f"/projects/{private}/members", json={"user_id": member.id, "access_level": 10})

    def listed(client: httpx2.Client, ref: object = person.id, **query: Any) -> list[int]:
        answer = client.get(f"/users/{ref}/projects", params={"order_by": "id", "sort": "asc"} | query)
        assert answer.status_code == 200, answer.text
        return [project["id"] for project in answer.json()]

    everything = [private, internal, public, below]
    assert listed(person.client) == listed(root) == listed(root, person.username.upper()) == everything
    assert listed(member.client) == [private, internal, public]
    assert listed(stranger.client) == [internal, public]
    assert listed(anonymous) == listed(anonymous, person.username) == listed(root, visibility="public") == [public]
    assert listed(member.client, membership=True) == [private]
    assert listed(member.client, owned=True) == listed(root, archived=True) == listed(anonymous, search="none") == []
    assert listed(person.client, min_access_level=50, id_after=internal) == [public, below]
    answer = anonymous.get(f"/users/{person.id}/projects?simple=true&per_page=1")
    (simple,) = answer.json()
    assert (simple["namespace"]["full_path"], answer.headers["x-total"]) == (person.username, "1")
    assert "creator_id" not in simple
    pages = person.client.get(f"/users/{person.username}/projects?pagination=keyset&order_by=id&per_page=3")
    assert [project["id"] for project in person.client.get(pages.links["next"]["url"]).json()] == [private]
    assert person.client.head(f"/users/{person.id}/projects").headers["x-total"] == "4"


def test_strangers_are_told_of_users_only_by_public_projects(
    anonymous: httpx2.Client,
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
) -> None:
    person = make_user()
    project = make_project(person, visibility="internal")["id"]
    made = person.client.post(f"/projects/{project}/access_tokens", json={"name": "bot", "scopes": ["api"]}).json()
    missing = {"message": "404 User Not Found"}
    for ref in (person.id, person.username, made["user_id"], 999999, "nobody-here", "0", str(2**63), "%FF", "%zz"):
        refused = anonymous.get(f"/users/{ref}/projects")
        assert (refused.status_code, refused.json()) == (404, missing), ref
    for ref in (made["user_id"], 999999, "nobody-here", str(2**63), "%FF"):
        assert root.get(f"/users/{ref}/projects").json() == missing
    assert anonymous.get(f"/users/{person.id}/projects", headers={"PRIVATE-TOKEN": "wrong"}).status_code == 401
    other = make_project(person, visibility="public")["id"]
    job = {"JOB-TOKEN": person.client.post(f"/projects/{project}/job_tokens").json()["token"]}
    listed = anonymous.get(f"/users/{person.id}/projects", headers=job).json()
    assert [each["id"] for each in listed] == [project]
    assert [each["id"] for each in anonymous.get(f"/users/{person.id}/projects").json()] == [other]


def test_a_job_lists_its_own_project_alone(
    anonymous: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    person = make_user()
    own, _other, _public = make_project(person)["id"], make_project(person), make_project(visibility="public")
    job = {"JOB-TOKEN": person.client.post(f"/projects/{own}/job_tokens").json()["token"]}
    assert [project["id"] for project in anonymous.get("/projects", headers=job).json()] == [own]


def test_listings_are_ordered_and_paged(make_user: Callable[..., Account], make_project: Callable[..., Any]) -> None:
    person = make_user()
    ids = [make_project(person)["id"] for _ in range(5)]
    url, found, pages = "/projects?owned=true&per_page=2&order_by=id&sort=asc", [], 0
    while url:
        answer = person.client.get(url)
        found += [project["id"] for project in answer.json()]
        assert (answer.headers["x-total"], answer.headers["x-total-pages"]) == ("5", "3")
        url, pages = answer.links.get("next", {}).get("url", ""), pages + 1
    assert (found, pages) == (ids, 3)


NOWHERE = (
    {"archived": True},
    {"active": False},
    {"starred": True},
    {"imported": True},
    {"topic": "nlp"},
    {"topic_id": 1},
    {"marked_for_deletion_on": "2026-05-01"},
    {"with_issues_enabled": True},
    {"with_merge_requests_enabled": True},
    {"with_programming_language": "Ruby"},
)


@pytest.mark.parametrize("asked", NOWHERE, ids=lambda asked: str(next(iter(asked))))
def test_what_no_project_here_can_be_is_not_answered_by_all_of_them(
    make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], asked: dict[str, Any]
) -> None:
    person = make_user()
    project = make_project(person)["id"]
    answer = person.client.get("/projects", params={"owned": True} | asked)
    assert (answer.status_code, answer.json(), answer.headers["x-total"]) == (200, [], "0")
    other: dict[str, Any] = {name: not value if isinstance(value, bool) else "" for name, value in asked.items()}
    assert [each["id"] for each in person.client.get("/projects", params={"owned": True} | other).json()] == [project]


def test_listings_are_narrowed_by_role_id_and_time(
    server: LiveServer,
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
) -> None:
    person = make_user()
    first, second, third = (make_project()["id"] for _ in range(3))
    for project, level in ((first, 20), (second, 30), (third, 50)):
        root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": level})
    with server.app.state.database.writing() as registry:
        for project, day in ((first, 10), (second, 20), (third, 30)):
            registry.projects.by_id(project).updated_at = day * 86_400_000

    def listed(**query: Any) -> list[int]:
        params: dict[str, Any] = {"membership": True, "order_by": "id", "sort": "asc"} | query
        return [project["id"] for project in person.client.get("/projects", params=params).json()]

    assert listed(min_access_level=30) == [second, third]
    assert listed(min_access_level=50) == [third]
    assert listed(id_after=first) == [second, third]
    assert listed(id_before=third, id_after=first) == [second]
    assert listed(id_after="", id_before="") == listed(id_after=-(2**70), id_before=2**70) == [first, second, third]
    assert listed(id_after=2**63) == listed(id_before=-(2**63)) == []
    assert listed(last_activity_after="1970-01-21") == listed(updated_after="1970-01-21T00:00:00Z") == [second, third]
    assert listed(last_activity_before="1970-01-21T01:00:00+01:00") == [first, second]
    assert listed(updated_before="1970-01-31", last_activity_before="1970-01-11") == [first]
    assert listed(updated_before="1970-01-01") == []
    assert listed(updated_after="") == [first, second, third]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"min_access_level": 35}, "min_access_level does not have a valid value"),
        ({"min_access_level": "developer"}, "min_access_level does not have a valid value"),
        ({"id_after": "x"}, "id_after is invalid"),
        ({"last_activity_after": "yesterday"}, "last_activity_after is invalid"),
        ({"updated_before": "2026-02-30"}, "updated_before is invalid"),
        ({"updated_before": "0.5"}, "updated_before is invalid"),
        ({"archived": "perhaps"}, "archived is invalid"),
        ({"pagination": "random"}, "pagination does not have a valid value"),
    ],
)
def test_filters_that_make_no_sense_are_refused(root: httpx2.Client, query: dict[str, Any], sentence: str) -> None:
    refused = root.get("/projects", params=query)
    assert (refused.status_code, refused.json()) == (400, {"error": sentence})


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_by_keyset_follow_each_other_while_projects_go(
    make_user: Callable[..., Account], make_project: Callable[..., Any], sort: str
) -> None:
    person = make_user()
    ids = sorted((make_project(person)["id"] for _ in range(5)), reverse=sort == "desc")
    url, found, pages = f"/projects?pagination=keyset&order_by=id&sort={sort}&owned=true&per_page=2", [], 0
    while url:
        answer = person.client.get(url)
        rows = [project["id"] for project in answer.json()]
        for row in rows:
            assert person.client.delete(f"/projects/{row}").status_code == 202
        found += rows
        assert not {"x-page", "x-next-page", "x-total", "x-total-pages"} & set(answer.headers)
        assert set(answer.links) <= {"next"}
        url, pages = answer.links.get("next", {}).get("url", ""), pages + 1
    assert (found, pages) == (ids, 3)
    assert person.client.get("/projects?pagination=keyset&order_by=id&owned=true").json() == []


def test_an_order_that_has_no_keyset_has_numbered_pages(
    make_user: Callable[..., Account], make_project: Callable[..., Any]
) -> None:
    person = make_user()
    ids = [make_project(person)["id"] for _ in range(3)]
    answer = person.client.get("/projects?pagination=keyset&owned=true&per_page=2&sort=asc")
    assert ([project["id"] for project in answer.json()], answer.headers["x-total"]) == (ids[:2], "3")
    following = person.client.get(answer.links["next"]["url"])
    assert [project["id"] for project in following.json()] == ids[2:]


def test_simple_shows_what_tells_projects_apart(root: httpx2.Client, make_project: Callable[..., Any]) -> None:
    project = make_project()
    query = {"id_after": project["id"] - 1, "id_before": project["id"] + 1, "statistics": True}
    (full,) = root.get("/projects", params=query).json()
    (simple,) = root.get("/projects", params=query | {"simple": True}).json()
    assert simple.items() <= full.items()
    assert set(full) - set(simple) == {"archived", "creator_id", "updated_at", "_links", "statistics", "storage_limit"}


def test_maintainers_describe_and_owners_decide(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    person, project = make_user(), make_project()["id"]
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 40})
    assert person.client.put(f"/projects/{project}", json={"description": "d"}).json()["description"] == "d"
    assert person.client.put(f"/projects/{project}", json={"visibility": "public"}).status_code == 403
    assert person.client.delete(f"/projects/{project}").status_code == 403
    root.put(f"/projects/{project}/members/{person.id}", json={"access_level": 30})
    assert person.client.put(f"/projects/{project}", json={"description": "e"}).status_code == 403


def test_unknown_methods_and_paths_have_gitlabs_bodies(root: httpx2.Client) -> None:
    refused = root.patch("/projects")
    assert (refused.status_code, refused.json()) == (405, {"error": "405 Not Allowed"})
    assert refused.headers["allow"] == "GET, HEAD, POST"
    assert root.get("/nothing/here").json() == {"error": "404 Not Found"}


def test_slashes_are_squeezed_and_a_trailing_one_falls_away(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()
    assert root.get(f"/projects//{project['id']}/").json()["id"] == project["id"]
