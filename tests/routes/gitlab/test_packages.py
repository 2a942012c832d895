"""GitLab's packages API: listing and deleting what was uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Account

ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}


@pytest.fixture
def project(make_project: Callable[..., dict[str, Any]]) -> int:
    return int(make_project()["id"])


def test_a_package_and_its_files_have_gitlabs_shape(
    root: httpx2.Client, project: int, make_version: Callable[..., int]
) -> None:
    version = make_version(project, "m", tags=[{"key": "gitlab.version", "value": "1.2.3"}])
    root.put(f"/projects/{project}/packages/ml_models/{version}/files/a%20dir/f~1.bin", content=b"content")
    (package,) = root.get(f"/projects/{project}/packages").json()
    assert (package["name"], package["version"], package["package_type"]) == ("m", "1.2.3", "ml_model")
    assert (package["status"], package["tags"]) == ("default", [])
    assert package["_links"]["delete_api_path"] == f"/api/v4/projects/{project}/packages/{package['id']}"
    assert root.get(f"/projects/{project}/packages/{package['id']}").json() == package | {"versions": []}
    (file,) = root.get(f"/projects/{project}/packages/{package['id']}/package_files").json()
    assert (file["file_name"], file["size"]) == ("a%20dir%2Ff%7E1.bin", 7)
    assert file["file_sha256"] == hashlib.sha256(b"content").hexdigest()


def test_packages_are_narrowed_and_ordered(root: httpx2.Client, project: int, make_version: Callable[..., int]) -> None:
    for name in ("beta", "alpha", "gamma"):
        make_version(project, name)
    make_version(project, "alpha")

    def listed(**query: str) -> list[str]:
        packages = root.get(f"/projects/{project}/packages", params=query).json()
        return [f"{package['name']} {package['version']}" for package in packages]

    assert listed(order_by="name") == ["alpha 1.0.0", "alpha 1.0.1", "beta 1.0.0", "gamma 1.0.0"]
    assert listed(order_by="name", sort="desc")[0] == "gamma 1.0.0"
    assert listed(package_name="lph") == ["alpha 1.0.0", "alpha 1.0.1"]
    assert listed(package_name="alpha", package_version="1.0.1") == ["alpha 1.0.1"]
    assert listed(package_type="ml_model", per_page="1") == ["beta 1.0.0"]
    assert listed(package_type="npm") == listed(status="hidden") == listed(package_name="%") == []
    for name in ("package_type", "status", "order_by", "sort"):
        refused = root.get(f"/projects/{project}/packages", params={name: "luck"})
        assert (refused.status_code, refused.json()) == (400, {"error": f"{name} does not have a valid value"})


def test_a_package_tells_its_other_versions_newest_first(
    root: httpx2.Client, project: int, make_version: Callable[..., int]
) -> None:
    for name in ("m", "m", "other", "m"):
        make_version(project, name)
    first, second, _other, third = root.get(f"/projects/{project}/packages").json()
    keys = ("id", "version", "created_at", "tags")
    expected = [{key: package[key] for key in keys} for package in (third, first)]
    assert root.get(f"/projects/{project}/packages/{second['id']}").json()["versions"] == expected


def test_files_are_listed_page_by_page_with_a_token_that_only_reads(
    root: httpx2.Client,
    project: int,
    make_version: Callable[..., int],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
) -> None:
    version = make_version(project)
    for i in range(5):
        root.put(f"/projects/{project}/packages/ml_models/{version}/files/f{i}", content=b"x")
    reader = client_for(make_token(1, ("read_api",))["token"])
    package = reader.get(f"/projects/{project}/packages").json()[0]["id"]
    url, names = f"/projects/{project}/packages/{package}/package_files?per_page=2&order_by=file_name&sort=desc", []
    while url:
        answer = reader.get(url)
        names += [file["file_name"] for file in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert names == ["f4", "f3", "f2", "f1", "f0"]


def test_deleting_the_newest_file_serves_the_one_before_it(
    root: httpx2.Client, project: int, make_version: Callable[..., int]
) -> None:
    url = f"/projects/{project}/packages/ml_models/{make_version(project)}/files/f"
    for content in (b"one", b"two"):
        root.put(url, content=content)
    package = root.get(f"/projects/{project}/packages").json()[0]["id"]
    files = f"/projects/{project}/packages/{package}/package_files"
    for served in (b"one", None):
        newest = root.get(files, params={"sort": "desc"}).json()[0]["id"]
        gone = root.delete(f"{files}/{newest}")
        assert (gone.status_code, gone.content) == (204, b"")
        assert root.get(url).content == served if served else root.get(url).status_code == 404
    assert root.delete(f"{files}/{newest}").json() == {"message": "404 Not Found"}


def test_readers_list_and_developers_delete(
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
    make_user: Callable[..., Account],
    anonymous: httpx2.Client,
) -> None:
    project = make_project(visibility="public")["id"]
    make_version(project)
    package = anonymous.get(f"/projects/{project}/packages").json()[0]["id"]
    url = f"/projects/{project}/packages/{package}"
    person = make_user()
    assert anonymous.delete(url).status_code == 401
    assert person.client.delete(url).status_code == 403
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 20})
    assert person.client.delete(url).status_code == 403
    root.put(f"/projects/{project}/members/{person.id}", json={"access_level": 30})
    assert person.client.delete(url).status_code == 204
    assert anonymous.get(url).json() == {"message": "404 Not Found"}


@pytest.mark.once
@pytest.mark.parametrize("visibility", ["private", "internal", "public"])
@pytest.mark.parametrize("role", [*ROLES, "stranger", "anonymous"])
def test_who_lists_and_who_deletes(
    root: httpx2.Client,
    anonymous: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
    make_user: Callable[..., Account],
    role: str,
    visibility: str,
) -> None:
    project = make_project(visibility=visibility)["id"]
    root.put(f"/projects/{project}/packages/ml_models/{make_version(project)}/files/f", content=b"x")
    package = root.get(f"/projects/{project}/packages").json()[0]["id"]
    files = f"/projects/{project}/packages/{package}/package_files"
    file = root.get(files).json()[0]["id"]
    person = make_user()
    client = anonymous if role == "anonymous" else person.client
    if role in ROLES:
        root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": ROLES[role]})
    open_to_all = visibility == "public" or (visibility == "internal" and role == "stranger")
    for url in (f"/projects/{project}/packages", f"/projects/{project}/packages/{package}", files):
        assert client.get(url).status_code == (200 if role in ROLES or open_to_all else 404)
    hidden = role == "stranger" and visibility == "private"
    refusal = 401 if role == "anonymous" else 404 if hidden else 403
    for url in (f"{files}/{file}", f"/projects/{project}/packages/{package}"):
        assert client.delete(url).status_code == (204 if ROLES.get(role, 0) >= ROLES["developer"] else refusal)


@pytest.mark.parametrize("package", ["abc", "0", "-1", str(2**63)])
def test_ids_that_no_package_has_are_404(root: httpx2.Client, project: int, package: str) -> None:
    for path in (package, f"{package}/package_files"):
        assert root.get(f"/projects/{project}/packages/{path}").json() == {"message": "404 Not Found"}


def test_packages_of_another_project_are_404(
    root: httpx2.Client, project: int, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    other = make_project()["id"]
    make_version(other)
    package = root.get(f"/projects/{other}/packages").json()[0]["id"]
    assert root.get(f"/projects/{project}/packages/{package}").status_code == 404
    assert root.delete(f"/projects/{project}/packages/{package}").status_code == 404
