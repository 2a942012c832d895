"""Projects, packages and files, by the real python-gitlab client."""

from __future__ import annotations

import json
from typing import Any

import gitlab

from harness import SERVER, TOKEN, Yard, run


def connected() -> Any:
    return gitlab.Gitlab(SERVER, private_token=TOKEN)


def make_versions(yard: Yard, count: int) -> list[str]:
    base = f"/projects/{yard.project}/ml/mlflow/api/2.0/mlflow"
    yard.call("POST", f"{base}/registered-models/create?name=m")
    versions = []
    for _ in range(count):
        made = json.loads(yard.call("POST", f"{base}/model-versions/create?name=m"))
        versions.append(made["model_version"]["version"])
    return versions


def flow_the_client_signs_in(yard: Yard) -> None:
    server = connected()
    server.auth()
    assert server.user.username == "root"
    assert server.version()[0]
    for oauth in (gitlab.Gitlab(SERVER, oauth_token=TOKEN),):
        oauth.auth()
    wrong = gitlab.Gitlab(SERVER, private_token="myd_wrong")
    try:
        wrong.auth()
    except gitlab.exceptions.GitlabAuthenticationError:
        pass
    else:
        raise AssertionError("a wrong token was taken")


def flow_projects_go_by_path_and_by_id(yard: Yard) -> None:
    server = connected()
    project = server.projects.get(yard.path)
    assert project.id == yard.project
    assert server.projects.get(yard.project).path_with_namespace == yard.path
    lazy = server.projects.get(yard.path, lazy=True)
    assert list(lazy.packages.list(get_all=True)) == []
    assert yard.project in {each.id for each in server.projects.list(iterator=True)}
    try:
        server.projects.get("no/such")
    except gitlab.exceptions.GitlabGetError as error:
        assert error.response_code == 404
        assert "404 Project Not Found" in str(error)
    else:
        raise AssertionError("an unknown project was found")


def flow_packages_are_listed_over_three_pages_and_deleted(yard: Yard) -> None:
    make_versions(yard, 7)
    project = connected().projects.get(yard.path)
    found = project.packages.list(package_type="ml_model", per_page=3, get_all=True)
    assert len(found) == 7
    assert len(list(project.packages.list(per_page=3, iterator=True))) == 7
    page = project.packages.list(per_page=3, page=3)
    assert len(page) == 1
    shown = project.packages.get(found[0].id)
    assert (shown.name, shown.package_type, shown.status) == ("m", "ml_model", "default")
    shown.delete()
    assert len(project.packages.list(get_all=True)) == 6
    try:
        project.packages.get(found[0].id)
    except gitlab.exceptions.GitlabGetError as error:
        assert error.response_code == 404
    else:
        raise AssertionError("a deleted package is still there")


def flow_files_are_listed_over_three_pages_and_deleted(yard: Yard) -> None:
    (version,) = make_versions(yard, 1)
    for i in range(7):
        yard.put(version, f"dir/f{i}", b"x" * i)
    project = connected().projects.get(yard.project)
    (package,) = project.packages.list()
    files = package.package_files.list(per_page=3, get_all=True)
    assert [(file.file_name, file.size) for file in files] == [(f"dir%2Ff{i}", i) for i in range(7)]
    assert len(list(package.package_files.list(per_page=3, iterator=True))) == 7
    files[0].delete()
    assert len(package.package_files.list(get_all=True)) == 6


def flow_raw_requests_carry_bytes(yard: Yard) -> None:
    (version,) = make_versions(yard, 1)
    server = connected()
    path = f"/projects/{yard.project}/packages/ml_models/{version}/files/z.bin"
    server.http_put(path, post_data=b"\x00\x01bytes", raw=True)
    assert server.http_get(path, raw=True).content == b"\x00\x01bytes"


if __name__ == "__main__":
    run(globals())
