"""What the server tells of projects, models and versions, and what else it may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from modelyard_client import Registry
from modelyard_client.catalog import Catalog
from modelyard_client.credentials import Login
from modelyard_client.errors import NotFound, Refused, UsageMistake
from modelyard_client.http.transport import Transport
from modelyard_client.stopping import Stop
from modelyard_client.targets import parse
from tests.client.meddler import Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer


@pytest.fixture
def catalog(server: LiveServer, account: Account) -> Catalog:
    return Catalog(Transport(Login(server.url, account.token), Stop()))


def test_versions_come_over_all_pages(server: LiveServer) -> None:
    pages = [
        {"model_versions": [{"version": "2", "aliases": ["2.0.0"]}], "next_page_token": "t"},
        {"model_versions": [{"version": "1"}]},
    ]

    def hook(request: Request) -> Meddling:
        search = "model-versions/search" in request.path
        return answer("200 OK", json.dumps(pages["page_token=t" in request.path] if search else {}).encode())

    with meddling(server.port, hook) as line, Registry(line.url, "token") as registry:
        assert registry.host == line.url
        assert [(each.version, each.id) for each in registry.versions("g/p/m")] == [("2.0.0", "2"), ("1", "1")]
        with pytest.raises(UsageMistake, match="names a version already"):
            registry.versions("g/p/m@1.0.0")


def test_a_model_without_versions_has_no_newest(registry: Registry, account: Account, project: dict[str, Any]) -> None:
    url = f"/projects/{project['id']}/ml/mlflow/api/2.0/mlflow/registered-models/create"
    assert account.client.post(url, json={"name": "bare"}).status_code == 200
    with pytest.raises(NotFound, match="has no versions yet"):
        registry.files(f"{project['path_with_namespace']}/bare")


def test_a_project_that_somebody_else_has_made_meanwhile_is_taken_and_another_refusal_is_told(
    server: LiveServer, account: Account, make_project: Callable[..., dict[str, Any]]
) -> None:
    path = make_project(account)["path_with_namespace"]
    refusals = [
        answer("400 Bad Request", b'{"message": "no name"}'),
        answer("400 No", b'{"message": "has been taken"}'),
    ]

    def hook(request: Request) -> Meddling | None:
        if request.method == "GET" and request.path.endswith(path.replace("/", "%2F")):
            return answer("404 Not Found", b"{}")
        return refusals.pop() if (request.method, request.path) == ("POST", "/api/v4/projects") else None

    with meddling(server.port, hook) as line:
        catalog = Catalog(Transport(Login(line.url, account.token), Stop()))
        assert catalog.create(parse(f"{path}/taken@1.0.0")).target.model == "taken"
        with pytest.raises(Refused, match="no name"):
            catalog.create(parse(f"{path}/refused@1.0.0"))


def test_a_file_that_is_not_there_can_neither_be_looked_at_nor_removed(catalog: Catalog, target: str) -> None:
    place = catalog.place(parse(target))
    with pytest.raises(NotFound, match="has no file 'x'"):
        catalog.file(place, "x")
    with pytest.raises(NotFound, match="has no file 'x'"):
        catalog.remove_file(place, "x")


def test_what_tells_no_digest_is_no_modelyard(server: LiveServer, account: Account, target: str) -> None:
    def hook(request: Request) -> Meddling | None:
        return answer("200 OK", b"", X_Nothing="1") if request.method == "HEAD" else None

    with meddling(server.port, hook) as line:
        catalog = Catalog(Transport(Login(line.url, account.token), Stop()))
        with pytest.raises(Refused, match="no SHA-256"):
            catalog.file(catalog.place(parse(target)), "x")


def test_removing_no_file_is_a_mistake(registry: Registry, target: str) -> None:
    with pytest.raises(UsageMistake, match="remove_version"):
        registry.remove(target, [])
