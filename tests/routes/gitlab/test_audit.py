"""The audit trail: whatever changes is told, with who, from where and by which request; and nobody reads it unasked."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert
from starlette.routing import Match

from modelyard.app import all_routers
from modelyard.clock import DAY, now
from modelyard.registry.people.audit import ENTITIES, PRUNED_AT_ONCE
from modelyard.registry.tables import AuditEvent
from modelyard.routes.hub import elsewhere
from modelyard.services.people import audit
from tests.conftest import MLFLOW, Account
from tests.live import LiveServer, running
from tests.routes.hub.sending import file, header
from tests.tus import CHUNK_TYPE, VERSION, metadata

ROOT = "root"  # the administrator, whose namespace it is

API = "/api/v4"
_ids = itertools.count(1)

# Routes that change nothing, or nothing that the trail is about: experiments, runs and their data.
NOT_TOLD = {
    f"{API}/projects/{{project}}/packages/ml_models/{{model_version_id}}/files/{{name:path}}/authorize",
    f"{API}/uploads/{{upload_id}}/parts/{{number}}",  # the file is told of
    f"{API}/projects/{{project}}/ml/mlflow/ajax-api/2.0/mlflow/experiments/search-datasets",
    "/api/models/{owner}/{repository}/paths-info/{revision}",
    "/api/models/{owner}/{repository}/preupload/{revision}",
    "/api/validate-yaml",
    "/api/repos/move",  # which is refused
}
BEFORE_A_COMMIT = ("/{owner}/{repository}.git/info/lfs/", "/api/xet/")  # which is what is told
NOT_TOLD_BELOW = (
    "experiments/",
    "runs/",
    "registered-models/get-latest-versions",
    "registered-models/search",
    "model-versions/search",
    "logged-models/search",
    "logged-models/{model_id}/",
)
DATA = {("PATCH", f"{API}/projects/{{project}}/{MLFLOW}/logged-models/{{model_id}}")}


def events(root: httpx2.Client, request_id: str, **query: Any) -> list[dict[str, Any]]:
    """The events that a request left, newest first."""
    listed = root.get("/audit_events", params={"per_page": 100} | query).json()
    return [event for event in listed if event["details"]["request_id"] == request_id]


class Walk:
    """Sends requests that change something, and sees what they leave."""

    def __init__(self, root: httpx2.Client, client: httpx2.Client) -> None:
        self.root = root
        self.client = client
        self.walked: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        request_id = f"audited-{next(_ids)}"
        headers = {"X-Request-Id": request_id, **options.pop("headers", {})}
        answer = self.client.request(method, path, headers=headers, **options)
        assert answer.is_success, (method, path, answer.text)
        found = events(self.root, request_id)
        assert found, f"{method} {path} left no event"
        assert {event["details"]["ip_address"] for event in found} == {"127.0.0.1"}
        assert {event["entity_type"] for event in found} <= set(ENTITIES)
        assert all(event["details"]["author_name"] for event in found)
        self.walked.add((method, route_of(method, str(answer.request.url.raw_path, "ascii").partition("?")[0])))
        self.found, self.answered = found, answer
        return answer.json() if answer.content else None


def route_of(method: str, path: str) -> str:
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}
    routes = [route for module in all_routers() for route in module.router.routes]
    return next(str(route.path) for route in routes if route.matches(scope)[0] is Match.FULL)


def is_told(method: str, path: str) -> bool:
    below = path.partition(f"{MLFLOW}/")[2]
    return not (
        path in NOT_TOLD
        or path.startswith(BEFORE_A_COMMIT)
        or below.startswith(NOT_TOLD_BELOW)
        or (method, path) in DATA
    )


@pytest.fixture
def walk(root: httpx2.Client) -> Walk:
    return Walk(root, root)


def test_every_writing_route_leaves_an_event(
    walk: Walk, server: LiveServer, make_run: Callable[..., dict[str, Any]]
) -> None:
    name = f"walker-{next(_ids)}"
    user = walk("POST", "/users", json={"username": name, "email": "a@example.com"})["id"]
    walk("PUT", f"/users/{user}", json={"name": "Walker"})
    walk("POST", f"/users/{user}/block")
    walk("POST", f"/users/{user}/unblock")
    walk("POST", f"/users/{user}/deactivate")
    walk("POST", f"/users/{user}/activate")
    token = walk("POST", f"/users/{user}/personal_access_tokens", json={"name": "t", "scopes": ["api"]})
    token = walk("POST", f"/personal_access_tokens/{token['id']}/rotate")
    walk("DELETE", f"/personal_access_tokens/{token['id']}")
    project = walk("POST", "/projects", json={"name": name})["id"]
    walk("PUT", f"/projects/{project}", json={"visibility": "internal", "description": "d"})
    walk("POST", f"/projects/{project}/members", json={"user_id": user, "access_level": 20})
    walk("PUT", f"/projects/{project}/members/{user}", json={"access_level": 30})
    walk("DELETE", f"/projects/{project}/members/{user}")
    access = walk("POST", f"/projects/{project}/access_tokens", json={"name": "t", "scopes": ["api"]})
    access = walk("POST", f"/projects/{project}/access_tokens/{access['id']}/rotate")
    walk("DELETE", f"/projects/{project}/access_tokens/{access['id']}")
    job = walk("POST", f"/projects/{project}/job_tokens")
    walk("DELETE", f"/projects/{project}/job_tokens/{job['id']}")
    _walk_publishers(walk, f"/projects/{project}/trusted_publishers")
    # For trials: people could not be sent back without an external URL.
    server.app.state.settings = server.settings.model_copy(update={"loopback_issuers": True})
    _walk_providers(walk)
    server.app.state.settings = server.settings
    _walk_models(walk, f"/projects/{project}/{MLFLOW}")
    _walk_files(walk, project, make_run(project)["iid"])
    _walk_repository(walk, f"{name}-hub")
    _walk_uploads(walk, f"/projects/{project}", make_run(project)["iid"])
    walk("DELETE", f"/projects/{project}")
    walk("POST", f"/projects/user/{user}", json={"name": name})
    walk("DELETE", f"/users/{user}")
    writing = {
        (method, str(route.path))
        for module in all_routers()
        for route in module.router.routes
        if module is not elsewhere  # which refuses whatever is asked
        for method in route.methods - {"GET", "HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path in writing - walk.walked if is_told(method, path)} == set()
    assert all(is_told(*each) for each in walk.walked)


def _walk_publishers(walk: Walk, publishers: str) -> None:
    """The issuer is gone in the end: without one, there is nothing of its kind."""
    body = {"name": f"issuer-{next(_ids)}", "kind": "generic", "url": "https://ci.example.com", "audience": "yard"}
    issuer = walk("POST", "/issuers", json=body)["id"]
    walk("PUT", f"/issuers/{issuer}", json={"audience": "other"})
    narrowed = walk.root.get("/audit_events", params={"entity_type": "Issuer", "entity_id": issuer}).json()
    assert [event["event_name"] for event in narrowed] == ["issuer_updated", "issuer_created"]
    publisher = walk("POST", publishers, json={"issuer": body["name"], "claims": {"sub": "s"}})["id"]
    walk("DELETE", f"{publishers}/{publisher}")
    walk("DELETE", f"/issuers/{issuer}")


def _walk_providers(walk: Walk) -> None:
    body = {"name": f"provider-{next(_ids)}", "issuer": "https://id.example.com", "client_id": "yard"}
    provider = walk("POST", "/sign_on_providers", json=body)["id"]
    walk("PUT", f"/sign_on_providers/{provider}", json={"label": "Example", "client_secret": "s"})
    groups = f"/sign_on_providers/{provider}/groups"
    walk("DELETE", f"{groups}/{walk('POST', groups, json={'name': 'staff'})['id']}")
    walk("DELETE", f"/sign_on_providers/{provider}")


def _walk_models(walk: Walk, base: str) -> None:
    walk("POST", f"{base}/registered-models/create", json={"name": "m"})
    walk("PATCH", f"{base}/registered-models/update", json={"name": "m", "description": "d"})
    walk("POST", f"{base}/registered-models/rename", json={"name": "m", "new_name": "n"})
    walk("POST", f"{base}/registered-models/set-tag", json={"name": "n", "key": "k", "value": "v"})
    walk("DELETE", f"{base}/registered-models/delete-tag", json={"name": "n", "key": "k"})
    made = walk("POST", f"{base}/model-versions/create", json={"name": "n"})["model_version"]
    version = {"name": "n", "version": made["version"]}
    walk("POST", f"{base}/registered-models/alias", json=version | {"alias": "best"})
    walk("DELETE", f"{base}/registered-models/alias", json={"name": "n", "alias": "best"})
    walk("PATCH", f"{base}/model-versions/update", json=version | {"description": "d"})
    walk("POST", f"{base}/model-versions/transition-stage", json=version | {"stage": "Staging"})
    walk("POST", f"{base}/model-versions/set-tag", json=version | {"key": "k", "value": "v"})
    walk("DELETE", f"{base}/model-versions/delete-tag", json=version | {"key": "k"})
    walk("DELETE", f"{base}/model-versions/delete", json=version)
    logged = walk("POST", f"{base}/logged-models", json={"experiment_id": "0"})["model"]["info"]["model_id"]
    walk("DELETE", f"{base}/logged-models/{logged}")
    walk("POST", f"{base}/model-versions/create", json={"name": "n"})
    walk("DELETE", f"{base}/registered-models/delete", json={"name": "n"})
    assert [event["event_name"] for event in walk.found] == ["ml_model_destroyed", "ml_model_version_destroyed"]


def _walk_files(walk: Walk, project: int, run: int) -> None:
    walk("PUT", f"/projects/{project}/packages/ml_models/candidate:{run}/files/a", content=b"a")
    artifacts = f"/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/candidate:{run}"
    walk("PUT", f"{artifacts}/b", content=b"b")
    walk("DELETE", f"{artifacts}/b")
    (package,) = walk.root.get(f"/projects/{project}/packages").json()
    (file,) = walk.root.get(f"/projects/{project}/packages/{package['id']}/package_files").json()
    walk("DELETE", f"/projects/{project}/packages/{package['id']}/package_files/{file['id']}")
    walk("DELETE", f"/projects/{project}/packages/{package['id']}")


def _walk_uploads(walk: Walk, base: str, run: int) -> None:
    files = f"{base}/packages/ml_models/candidate:{run}"
    headers = VERSION | {"Upload-Length": "1", "Upload-Metadata": metadata(path="f")}
    walk("POST", f"{files}/uploads", headers=headers)
    chunk = VERSION | {"Upload-Offset": "0", "Content-Type": CHUNK_TYPE}
    walk("PATCH", walk.answered.headers["Location"], headers=chunk, content=b"x")
    for method, more in (("DELETE", {}), ("POST", {"X-HTTP-Method-Override": "DELETE"})):
        walk("POST", f"{files}/files/g", headers={"Upload-Complete": "?0"})
        walk(method, walk.answered.headers["Location"], headers=VERSION | more)
    mpu = f"{base}/ml/mlflow/api/2.0/mlflow-artifacts/mpu"
    for operation in ("complete", "abort"):
        begun = walk("POST", f"{mpu}/create/candidate:{run}", json={"path": operation, "num_parts": 1})
        etag = httpx2.put(begun["credentials"][0]["url"], content=b"y", timeout=60).headers["ETag"]
        ended = {"path": operation, "upload_id": begun["upload_id"], "parts": [{"part_number": 1, "etag": etag}]}
        walk("POST", f"{mpu}/{operation}/candidate:{run}", json=ended)


def _walk_repository(walk: Walk, name: str) -> None:
    at_top = httpx2.Client(base_url=walk.client.base_url.copy_with(raw_path=b"/"), headers=walk.client.headers)
    base = f"/api/models/{ROOT}/{name}"
    with at_top as client:
        hub = Walk(walk.root, client)
        hub("POST", "/api/repos/create", json={"name": name})
        hub("PUT", f"{base}/settings", json={"private": False})
        hub("POST", f"{base}/commit/main", content=header("words") + b"\n" + file("f", b"f"))
        assert (hub.found[0]["event_name"], hub.found[0]["details"]["commit"]) == ("package_files_changed", "words")
        hub("POST", f"{base}/branch/2.0.0", json={})
        hub("POST", f"{base}/tag/main", json={"tag": "3.0.0"})
        hub("DELETE", f"{base}/branch/2.0.0")
        hub("DELETE", f"{base}/tag/3.0.0")
        hub("DELETE", "/api/repos/delete", json={"name": name})
    assert {event["event_name"] for event in hub.found} >= {"ml_model_destroyed", "project_destroyed"}
    walk.walked |= hub.walked


@pytest.mark.parametrize(
    ("changed", "value"),
    [("name", "other"), ("path", "other"), ("visibility", "public"), ("description", "d"), ("storage_limit", 7)],
)
def test_whatever_is_changed_of_a_project_is_told(
    walk: Walk, make_project: Callable[..., dict[str, Any]], changed: str, value: object
) -> None:
    project = make_project()
    answer = walk("PUT", f"/projects/{project['id']}", json={changed: value})
    assert answer[changed] == value
    (event,) = walk.found
    assert (event["event_name"], event["details"]["change"]) == ("project_updated", changed)
    assert changed == "description" or str(event["details"]["to"]).endswith(str(value))


@pytest.mark.parametrize(("changed", "value"), [("name", "Other"), ("email", "other@example.com"), ("admin", True)])
def test_whatever_is_changed_of_a_user_is_told(
    walk: Walk, make_user: Callable[..., Account], changed: str, value: object
) -> None:
    walk("PUT", f"/users/{make_user().id}", json={changed: value})
    (event,) = walk.found
    assert (event["event_name"], event["details"]["change"]) == ("user_updated", changed)


def test_an_event_tells_who_from_where_by_which_request_and_when(
    root: httpx2.Client, make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]]
) -> None:
    ada, owner = make_user(), make_user()
    project = make_project(owner)
    walk, before = Walk(root, owner.client), now()
    walk("POST", f"/projects/{project['id']}/members", json={"user_id": ada.id, "access_level": 30})
    walk("PUT", f"/projects/{project['id']}/members/{ada.id}", json={"access_level": 40})
    (event,) = walk.found
    token = owner.client.get("/personal_access_tokens/self").json()
    assert {key: event[key] for key in ("author_id", "entity_id", "entity_type", "event_name")} == {
        "author_id": owner.id,
        "entity_id": project["id"],
        "entity_type": "Project",
        "event_name": "member_updated",
    }
    assert event["details"] == {
        "author_name": owner.username,
        "target_id": ada.id,
        "target_type": "User",
        "target_details": ada.username,
        "ip_address": "127.0.0.1",
        "entity_path": project["path_with_namespace"],
        "request_id": event["details"]["request_id"],
        "token_id": token["id"],
        "change": "access_level",
        "from": "Developer",
        "to": "Maintainer",
        "custom_message": "Member updated",
    }
    assert root.get(f"/audit_events/{event['id']}").json() == event
    assert owner.client.get(f"/projects/{project['id']}/audit_events/{event['id']}").json() == event
    assert before // 1000 <= int(datetime.fromisoformat(event["created_at"]).timestamp()) <= now() // 1000


def test_a_forwarded_address_is_told(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    user = make_user()
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": f"forwarded-{user.id}"}
    root.put(f"/users/{user.id}", json={"name": "Other"}, headers=headers)
    (event,) = events(root, headers["X-Request-Id"])
    assert event["details"]["ip_address"] == "203.0.113.9"


def test_what_fails_or_changes_nothing_leaves_no_event(root: httpx2.Client, version_url: str) -> None:
    assert root.put(f"{version_url}/f", content=b"same").status_code == 201
    for request_id, method, url, options in (
        ("same-bytes", "PUT", f"{version_url}/f", {"content": b"same"}),
        ("refused", "PUT", f"{version_url}/f", {"content": b"x", "headers": {"If-None-Match": "*"}}),
        ("taken", "POST", "/users", {"json": {"username": "root"}}),
        ("unchanged", "PUT", f"/projects/{version_url.split('/')[2]}", {"json": {"visibility": "private"}}),
    ):
        headers = options.pop("headers", {}) | {"X-Request-Id": request_id}  # type: ignore[operator]
        root.request(method, url, headers=headers, **options)
        assert events(root, request_id) == []


def test_no_event_holds_a_secret(root: httpx2.Client, server: LiveServer, make_user: Callable[..., Account]) -> None:
    user = make_user()
    project = user.client.post("/projects", json={"name": "secrets"}).json()["id"]
    bot = user.client.post(f"/projects/{project}/access_tokens", json={"name": "t", "scopes": ["api"]}).json()["token"]
    job = user.client.post(f"/projects/{project}/job_tokens").json()["token"]
    fresh = user.client.post("/personal_access_tokens/self/rotate").json()["token"]
    model = f"/projects/{project}/{MLFLOW}/registered-models"
    headers = {"PRIVATE-TOKEN": fresh}
    user.client.post(f"{model}/create", json={"name": "m", "description": "hidden words"}, headers=headers)
    user.client.post(f"{model}/set-tag", json={"name": "m", "key": "k", "value": "hidden words"}, headers=headers)
    text = root.get("/audit_events", params={"per_page": 100}).text
    assert "ml_model_updated" in text
    for secret in (user.token, bot, job, fresh, server.root_token, "hidden words"):
        assert secret not in text


def test_only_administrators_read_all_of_it_and_maintainers_their_projects(
    root: httpx2.Client,
    anonymous: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
) -> None:
    maintainer, developer = make_user(), make_user()
    mine, other = make_project()["id"], make_project()["id"]
    for person, level in ((maintainer, 40), (developer, 30)):
        root.post(f"/projects/{mine}/members", json={"user_id": person.id, "access_level": level})
    listed = maintainer.client.get(f"/projects/{mine}/audit_events").json()
    assert {(event["entity_type"], event["entity_id"]) for event in listed} == {("Project", mine)}
    foreign = root.get("/audit_events", params={"entity_type": "Project", "entity_id": other}).json()[0]["id"]
    for client, path, status in (
        (maintainer.client, "/audit_events", 403),
        (maintainer.client, f"/audit_events/{listed[0]['id']}", 403),
        (maintainer.client, f"/projects/{other}/audit_events", 404),
        (maintainer.client, f"/projects/{mine}/audit_events/{foreign}", 404),
        (developer.client, f"/projects/{mine}/audit_events", 403),
        (anonymous, "/audit_events", 401),
        (root, "/audit_events/0", 404),
        (root, "/audit_events/x", 404),
    ):
        assert client.get(path).status_code == status, path


def test_the_list_is_narrowed_and_paged_as_gitlabs(root: httpx2.Client, make_user: Callable[..., Account]) -> None:
    user = make_user()
    for name in ("B", "C"):
        root.put(f"/users/{user.id}", json={"name": name})
    query: dict[str, str | int] = {"entity_type": "User", "entity_id": user.id}
    listed = root.get("/audit_events", params=query)
    assert [event["details"].get("to") for event in listed.json()] == ["C", "B", None, None]
    assert (listed.headers["x-total"], listed.headers["x-page"]) == ("4", "1")
    page = root.get("/audit_events", params=query | {"per_page": 1, "page": 2})
    assert [event["details"]["to"] for event in page.json()] == ["B"]
    assert 'rel="next"' in page.headers["link"]
    newest, oldest = listed.json()[0]["created_at"], listed.json()[-1]["created_at"]
    assert (
        len(root.get("/audit_events", params=query | {"created_after": oldest, "created_before": newest}).json()) == 4
    )
    assert root.get("/audit_events", params=query | {"created_after": "2100-01-01"}).json() == []
    assert root.get("/audit_events", params=query | {"created_before": "2000-01-01T00:00:00+02:00"}).json() == []
    for bad in ({"entity_id": 1}, {"entity_type": "Key"}, {"created_after": "yesterday"}):
        assert root.get("/audit_events", params=bad).status_code == 400


def test_the_operator_is_told_too(tmp_path: Path) -> None:
    with running(tmp_path) as live, live.client(live.root_token) as root:
        first = root.get("/audit_events").json()
    assert [(each["event_name"], each["author_id"], each["details"]["author_name"]) for each in first] == [
        ("personal_access_token_created", -1, "operator"),
        ("user_created", -1, "operator"),
    ]
    assert first[0]["entity_type"] == "User"


def test_old_events_are_forgotten_in_batches_and_young_ones_kept(server: LiveServer, root: httpx2.Client) -> None:
    database = server.app.state.database
    old = {"author_id": 1, "entity_type": "User", "entity_id": 0, "event_name": "old", "details": "{}"}
    rows = [old | {"created_at": now() - 11 * DAY}] * (PRUNED_AT_ONCE + 1) + [old | {"created_at": now() - 9 * DAY}]
    audit.prune(database, 10)  # what others left
    with database.writing() as registry:
        registry.session.execute(insert(AuditEvent), rows)
    assert audit.prune(database, 0) == 0
    assert audit.prune(database, 10) == PRUNED_AT_ONCE + 1
    assert audit.prune(database, 10) == 0
    assert root.get("/audit_events", params={"entity_type": "User", "entity_id": 0}).headers["x-total"] == "1"
