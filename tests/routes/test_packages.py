"""GitLab's packages API: listing and deleting what was uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import Account


@pytest.fixture
def project(make_project: Callable[..., dict[str, Any]]) -> int:
    return int(make_project()["id"])


def test_a_package_and_its_files_have_gitlabs_shape(
    root: httpx.Client, project: int, make_version: Callable[..., int]
) -> None:
    version = make_version(project, "m", tags=[{"key": "gitlab.version", "value": "1.2.3"}])
    root.put(f"/projects/{project}/packages/ml_models/{version}/files/a%20dir/f~1.bin", content=b"content")
    (package,) = root.get(f"/projects/{project}/packages").json()
    assert (package["name"], package["version"], package["package_type"]) == ("m", "1.2.3", "ml_model")
    assert (package["status"], package["tags"]) == ("default", [])
    assert package["_links"]["delete_api_path"] == f"/api/v4/projects/{project}/packages/{package['id']}"
    assert root.get(f"/projects/{project}/packages/{package['id']}").json() == package
    (file,) = root.get(f"/projects/{project}/packages/{package['id']}/package_files").json()
    assert (file["file_name"], file["size"]) == ("a%20dir%2Ff%7E1.bin", 7)
    assert file["file_sha256"] == hashlib.sha256(b"content").hexdigest()


def test_packages_are_narrowed_and_ordered(root: httpx.Client, project: int, make_version: Callable[..., int]) -> None:
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
    assert root.get(f"/projects/{project}/packages", params={"sort": "up"}).status_code == 400


def test_files_are_listed_page_by_page_with_a_token_that_only_reads(
    root: httpx.Client,
    project: int,
    make_version: Callable[..., int],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx.Client],
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
    root: httpx.Client, project: int, make_version: Callable[..., int]
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
    root: httpx.Client,
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
    make_user: Callable[..., Account],
    anonymous: httpx.Client,
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


@pytest.mark.parametrize("package", ["abc", "0", "-1", str(2**63)])
def test_ids_that_no_package_has_are_404(root: httpx.Client, project: int, package: str) -> None:
    for path in (package, f"{package}/package_files"):
        assert root.get(f"/projects/{project}/packages/{path}").json() == {"message": "404 Not Found"}


def test_packages_of_another_project_are_404(
    root: httpx.Client, project: int, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    other = make_project()["id"]
    make_version(other)
    package = root.get(f"/projects/{other}/packages").json()[0]["id"]
    assert root.get(f"/projects/{project}/packages/{package}").status_code == 404
    assert root.delete(f"/projects/{project}/packages/{package}").status_code == 404
