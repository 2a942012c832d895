"""Which model a repository's id means, to whom, and how what there is none of is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer
from tests.raw import exchange
from tests.routes.hub.conftest import Hub, Repo


def shown(client: httpx2.Client, repository: str) -> Any:
    answer = client.get(f"/api/models/{repository}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx2.Response) -> tuple[int, str | None, str]:
    assert list(answer.json()) == ["error"]
    message = answer.headers["x-error-message"]
    assert message.isascii()
    assert message.isprintable()
    return answer.status_code, answer.headers.get("x-error-code"), answer.json()["error"]


NO_REPOSITORY = (404, "RepoNotFound", "Repository not found")


def test_a_project_means_the_model_that_is_named_like_it(
    hub: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    repo = make_repo()
    add_version(repo.project, "aaa-other", {"other": b"o"})
    info = shown(hub, repo.id)
    assert (info["id"], info["author"]) == (repo.id, "root")
    assert [each["rfilename"] for each in info["siblings"]] == ["config.json"]


def test_a_project_with_one_model_means_that(
    hub: httpx2.Client, make_project: Callable[..., dict[str, Any]], add_version: Callable[..., int]
) -> None:
    project = make_project()
    add_version(project["id"], "any name", {"f": b"f"})
    assert shown(hub, project["path_with_namespace"])["id"] == project["path_with_namespace"]


def test_any_model_has_an_id_with_its_projects_path(
    hub: httpx2.Client, make_project: Callable[..., dict[str, Any]], add_version: Callable[..., int]
) -> None:
    project = make_project(namespace_path="root/deep.er/still")
    joined = project["path_with_namespace"].replace("/", "__")
    for model in ("one", "Two"):
        add_version(project["id"], model, {model: b"f"})
        assert [each["rfilename"] for each in shown(hub, f"{joined}/{model}")["siblings"]] == [model]
        assert shown(hub, f"{joined}/{model}")["id"] == f"{joined}/{model}"


def test_the_primary_model_is_shown_by_its_projects_id_however_it_is_asked_for(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo()
    for asked in (repo.id, repo.id.upper(), f"{repo.id.replace('/', '__')}/{repo.model}"):
        assert shown(hub, asked)["id"] == repo.id


def test_a_name_in_another_case_is_found_unless_two_models_have_it(
    hub: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    repo = make_repo()
    joined = repo.id.replace("/", "__")
    add_version(repo.project, "Churn", {"upper": b""})
    assert shown(hub, f"{joined}/cHURN")["id"] == f"{joined}/Churn"
    add_version(repo.project, "churn", {"lower": b""})
    assert shown(hub, f"{joined}/churn")["siblings"] == [{"rfilename": "lower"}]
    assert shown(hub, f"{joined}/Churn")["siblings"] == [{"rfilename": "upper"}]
    assert refused(hub.get(f"/api/models/{joined}/CHURN")) == NO_REPOSITORY


def test_a_project_of_several_models_names_them(
    hub: httpx2.Client,
    hub_client: Hub,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    add_version: Callable[..., int],
) -> None:
    project = make_project()
    path = project["path_with_namespace"]
    joined = path.replace("/", "__")
    assert refused(hub.get(f"/api/models/{path}")) == NO_REPOSITORY
    for model in ("one", "two", "not this one"):
        add_version(project["id"], model, {})
    said = f"{path} has several models; ask for one of {joined}/one, {joined}/two"
    assert refused(hub.get(f"/api/models/{path}")) == (404, "RepoNotFound", said)
    assert refused(hub_client(make_user().token).get(f"/api/models/{path}")) == NO_REPOSITORY
    assert refused(hub.get(f"/api/models/{joined}/three")) == NO_REPOSITORY


@pytest.mark.parametrize("path", ["", "/revision/main", "/revision/" + "0" * 40, "/auth-check"])
def test_what_one_may_not_see_is_missing(
    hub_client: Hub, make_repo: Callable[..., Repo], make_user: Callable[..., Account], path: str
) -> None:
    private, internal = make_repo(), make_repo(visibility="internal")
    person = hub_client(make_user().token)
    anonymous = hub_client(None)
    for client, repository in (
        (anonymous, private.id),
        (anonymous, internal.id),
        (person, private.id),
        (anonymous, "no/where"),
        (person, "root/nowhere"),
    ):
        answer = client.get(f"/api/models/{repository}{path}")
        assert refused(answer) == NO_REPOSITORY
        assert client.head(f"/api/models/{repository}{path}").headers["x-error-code"] == "RepoNotFound"


def test_anybody_may_see_what_is_public_and_members_what_is_private(
    root: httpx2.Client, hub_client: Hub, make_repo: Callable[..., Repo], make_user: Callable[..., Account]
) -> None:
    assert shown(hub_client(None), make_repo(visibility="public").id)["private"] is False
    repo, person = make_repo(), make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": person.id, "access_level": 10})
    assert shown(hub_client(person.token), repo.id)["private"] is True


def test_a_job_elsewhere_is_told_that_it_may_not_read_what_it_sees(
    hub_client: Hub, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo, other = make_repo(visibility="public"), make_repo()
    job = root.post(f"/projects/{other.project}/job_tokens").json()["token"]
    answer = hub_client(job).get(f"/api/models/{repo.id}")
    assert refused(answer)[:2] == (403, "GatedRepo")
    assert "another project" in answer.json()["error"]
    assert shown(hub_client(job), other.id)["id"] == other.id


@pytest.mark.parametrize(
    "asked",
    [
        "a--b/c",
        "a/b..c",
        "a@b/c",
        "a%20b/c",
        "-a/b",
        "a/b-",
        "a/b.git",
        "a/%00",
        "a/%ff",
        "a/%",
        "a%2Fb/c",
        "x" * 97 + "/a",
    ],
)
def test_an_id_outside_the_clients_rule_is_missing(hub: httpx2.Client, asked: str) -> None:
    assert refused(hub.get(f"/api/models/{asked}")) == NO_REPOSITORY


def test_somebody_elses_path_takes_no_name(
    root: httpx2.Client, hub: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    """A namespace with two underscores could stand for the path of a project: nothing is found by it."""
    repo = make_repo()
    joined = repo.id.replace("/", "__")
    made = root.post("/projects", json={"name": repo.model, "namespace_path": joined}).json()
    add_version(made["id"], repo.model, {"wrong": b""})
    assert shown(hub, f"{joined}/{repo.model}")["siblings"] == [{"rfilename": "config.json"}]
    assert refused(hub.get(f"/api/models/{joined}/other")) == NO_REPOSITORY


@pytest.mark.parametrize("credential", ["Bearer myd_wrong", "Bearer hf_wrong", "Basic %%%", "Bearer"])
def test_a_wrong_token_is_told_in_the_words_that_the_client_knows_also_where_none_is_needed(
    stranger: httpx2.Client, make_repo: Callable[..., Repo], credential: str
) -> None:
    repo = make_repo(visibility="public")
    for path in (f"/api/models/{repo.id}", "/api/whoami-v2", "/api/agent-harnesses"):
        answer = stranger.get(path, headers={"Authorization": credential})
        assert refused(answer)[:2] == (401, None)
        assert answer.headers["x-error-message"] == "Invalid credentials in Authorization header"


def test_a_revoked_token_is_told_so(
    root: httpx2.Client, hub_client: Hub, make_user: Callable[..., Account], make_token: Callable[..., dict[str, Any]]
) -> None:
    token = make_token(make_user().id)
    root.delete(f"/personal_access_tokens/{token['id']}")
    answer = hub_client(token["token"]).get("/api/whoami-v2")
    assert refused(answer)[:2] == (401, None)
    assert "revoked" in answer.json()["error"]
    assert answer.headers["x-error-message"] == "Invalid credentials in Authorization header"


@pytest.mark.parametrize("path", ["/api/models/a/b/unknown", "/api/nothing", "/api", "/a/b.git/info/refs", "/api/v5/x"])
def test_an_unknown_path_of_the_api_is_refused_in_its_shape(hub: httpx2.Client, path: str) -> None:
    assert refused(hub.get(path)) == (404, None, "404 Not Found")


def test_a_method_that_is_not_known_is_refused_in_the_apis_shape(hub: httpx2.Client) -> None:
    assert refused(hub.put("/api/whoami-v2")) == (405, None, "405 Not Allowed")


@pytest.mark.parametrize("path", ["/api/v4/nothing", "/api/v4", "/nothing", "/api/v4/projects/a%2Fb/c.git/x"])
def test_refusals_of_other_apis_keep_their_shape(hub: httpx2.Client, path: str) -> None:
    answer = hub.get(path)
    assert "x-error-message" not in answer.headers
    assert answer.status_code == 404


def test_what_is_no_request_is_refused_in_the_apis_shape(server: LiveServer) -> None:
    for path, key in (("/api/models/a/b", "error"), ("/a/b/resolve/main/f", "error"), ("/api/v4/projects", "message")):
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
        answer = exchange(server, head.encode())
        assert answer.status == 400
        assert list(answer.json()) == [key]
        assert ("x-error-message" in answer.headers) == (key == "error")
