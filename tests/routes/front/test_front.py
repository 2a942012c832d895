"""What is believed of a request before it is routed, and the pages beside the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from modelyard.routes.front.middleware import MAX_LOGGED_PATH
from tests.live import LiveServer


@pytest.mark.parametrize("path", ["/projects", "/projects/1/packages/ml_models/candidate:1/files/f"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_sites_change_nothing(root: httpx2.Client, method: str, path: str) -> None:
    answer = root.request(method, path, headers={"Sec-Fetch-Site": "cross-site"})
    message = "403 Forbidden - Requests of other sites change nothing"
    assert (answer.status_code, answer.json()["message"]) == (403, message)


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
def test_pages_of_this_site_may_change_what_their_reader_may(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], site: str
) -> None:
    project = make_project()["id"]
    assert root.put(f"/projects/{project}", json={"description": site}, headers={"Sec-Fetch-Site": site}).is_success


def test_other_sites_may_lead_here(root: httpx2.Client) -> None:
    assert root.get("/projects", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("forwarded", ["nobody", "10.0.0.1 <script>", "unknown", "_hidden", "1.2.3", ""])
def test_what_is_no_address_is_not_the_clients(root: httpx2.Client, forwarded: str) -> None:
    request_id = f"forwarded-{abs(hash(forwarded))}"
    headers = {"X-Forwarded-For": forwarded, "X-Request-Id": request_id}
    root.post("/projects", json={"name": request_id}, headers=headers)
    events = [e for e in root.get("/audit_events").json() if e["details"].get("request_id") == request_id]
    assert {event["details"]["ip_address"] for event in events} == {"127.0.0.1"}


def test_a_line_of_the_log_is_bounded(root: httpx2.Client) -> None:
    with capture_logs() as lines:
        root.get("/" + "a" * 10_000)
    (path,) = [line["path"] for line in lines if line["event"] == "request"]
    assert len(path) == MAX_LOGGED_PATH


def test_the_document_is_written_down_once(server: LiveServer) -> None:
    first = httpx2.get(f"{server.url}/openapi.json", timeout=60)
    assert first.json()["openapi"].startswith("3.")
    written = server.app.state.openapi
    assert httpx2.get(f"{server.url}/openapi.json", timeout=60).content == first.content == written.result()
    assert server.app.state.openapi is written


def test_the_page_of_the_api_loads_nothing_but_the_server_s_own_files(server: LiveServer) -> None:
    page = httpx2.get(f"{server.url}/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(loaded) >= 2
    for path in loaded:
        assert path.startswith("/")
        assert not path.startswith("//")
        assert httpx2.get(f"{server.url}{path}").status_code == 200, path
