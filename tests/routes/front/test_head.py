"""HEAD is answered wherever GET is: the same status and headers, and no body."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from modelyard.app import all_routers
from tests.conftest import MLFLOW
from tests.live import LiveServer

CHANGING = {"date", "x-request-id", "transfer-encoding"}


def headers_of(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


@pytest.mark.parametrize("path", ["/user", "/version", "/projects?per_page=1", "/users?per_page=1", "/none"])
def test_an_answer_without_its_body(root: httpx2.Client, path: str) -> None:
    got, told = root.get(path), root.head(path)
    assert (told.status_code, told.content) == (got.status_code, b"")
    assert headers_of(told) == headers_of(got)


def test_every_route_with_get_has_head(root: httpx2.Client, server: LiveServer, version_url: str) -> None:
    project = version_url.split("/")[2]
    root.put(f"{version_url}/f", content=b"content")
    values = {"project": project, "model_version_id": version_url.split("/")[5], "name": "f", "path": "f"}
    for route in (route for module in all_routers() for route in module.router.routes):
        if "GET" in getattr(route, "methods", ()):
            path = str(getattr(route, "path", "")).replace(":path}", "}")
            for name in [part.partition("}")[0] for part in path.split("{")[1:]]:
                path = path.replace(f"{{{name}}}", str(values.get(name, 1)))
            got, told = (root.request(method, f"{server.url}{path}") for method in ("GET", "HEAD"))
            assert (path, told.status_code, told.content) == (path, got.status_code, b"")


def test_probes_and_connections_go_on(server: LiveServer, anonymous: httpx2.Client) -> None:
    for probe in ("health", "liveness", "readiness"):
        assert anonymous.head(f"{server.url}/-/{probe}").status_code == 200
    with server.connect() as connection:
        for _ in range(2):  # no body is left over on the connection
            connection.sendall(b"HEAD /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).endswith(b"\r\n\r\n")


def test_what_has_no_get_has_no_head_and_a_refusal_names_both(root: httpx2.Client, make_project: Any) -> None:
    base = f"/projects/{make_project()['id']}/{MLFLOW}"
    assert root.head(f"{base}/runs/create").status_code == 405
    assert root.head("/users/1/block").status_code == 405
    assert root.patch("/projects").headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/user", "/none", "/projects"])
def test_answers_are_their_clients_alone(root: httpx2.Client, path: str) -> None:
    headers = root.get(path).headers
    assert headers["cache-control"] == "max-age=0, private, must-revalidate"
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "SAMEORIGIN")


def test_a_file_says_itself_how_it_is_cached(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=b"x")
    assert root.get(f"{version_url}/f").headers.get_list("cache-control") == ["private, no-cache"]
