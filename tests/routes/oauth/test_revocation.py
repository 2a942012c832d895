"""What an OAuth client finds out by itself, and how it ends a token that it does not need any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import running
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import GRANT, Yard

METADATA = "/.well-known/oauth-authorization-server"
REVOKE = "/oauth/revoke"


def test_the_server_tells_its_endpoints_and_each_is_there(yard: Yard) -> None:
    told = yard.web.get(METADATA)
    assert told.status_code == 200
    document = told.json()
    assert document == {
        "issuer": ci.AUDIENCE,
        "token_endpoint": f"{ci.AUDIENCE}/oauth/token",
        "revocation_endpoint": f"{ci.AUDIENCE}{REVOKE}",
        "device_authorization_endpoint": f"{ci.AUDIENCE}/oauth/authorize_device",
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code", GRANT],
        "response_types_supported": [],
        "scopes_supported": ["api", "read_api"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }
    for name, url in document.items():
        if name.endswith("_endpoint"):
            answer = yard.web.post(url.removeprefix(ci.AUDIENCE))
            assert (name, answer.status_code, answer.json()["error"]) == (name, 400, "invalid_request")
    assert yard.web.post(METADATA).headers["allow"] == "GET, HEAD"


def test_without_pages_devices_are_not_told_of_and_without_an_issuer_there_is_nothing(tmp_path: Path) -> None:
    with (
        running(tmp_path, pages=False, external_url=ci.AUDIENCE) as live,
        live.client(live.root_token) as root,
        httpx2.Client(base_url=live.url) as web,
    ):
        for path, method in ((METADATA, "GET"), (REVOKE, "POST")):
            assert web.request(method, path).status_code == 404
        issuer = {"name": "ci", "kind": "gitlab", "url": "https://gitlab.example.com"}
        assert root.post("/issuers", json=issuer).status_code == 201
        document = web.get(METADATA).json()
        assert document["grant_types_supported"] == [GRANT]
        assert "device_authorization_endpoint" not in document


def revoked(yard: Yard) -> set[int]:
    """The ids of the last events of job tokens that were revoked."""
    events = yard.root.get("/audit_events", params={"per_page": 100}).json()
    return {each["id"] for each in events if each["event_name"] == "job_token_revoked"}


@pytest.mark.parametrize("how", ["data", "json"])
def test_a_job_ends_its_token_when_it_is_done(yard: Yard, how: str) -> None:
    trusting = yard.trusting("kubernetes")
    token, other = trusting.token(), trusting.token()
    before = revoked(yard)
    sent: dict[str, Any] = {how: {"token": token, "token_type_hint": "access_token"}}
    with yard.as_job(token) as job, yard.as_job(other) as beside:
        project = f"/projects/{trusting.id}"
        assert job.get(project).status_code == 200
        answer = yard.web.post(REVOKE, **sent)
        assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (200, {}, "no-store")
        assert job.get(project).status_code == 401
        assert beside.get(project).status_code == 200
    assert yard.web.post(REVOKE, **sent).status_code == 200  # also for one that has ended
    assert len(revoked(yard) - before) == 1


def test_a_personal_token_is_ended_by_whoever_has_it(yard: Yard) -> None:
    new = {"name": "device", "scopes": ["read_api"]}
    token = yard.root.post("/users/1/personal_access_tokens", json=new).json()["token"]
    with yard.server.client(token) as client:
        assert client.get("/user").status_code == 200
        assert yard.web.post(REVOKE, data={"token": token}).status_code == 200
        assert client.get("/user").status_code == 401


def test_a_token_of_a_project_is_ended_where_it_is_listed(yard: Yard) -> None:
    new = {"name": "bot", "scopes": ["api"], "access_level": 20}
    token = yard.root.post(f"/projects/{yard.project()['id']}/access_tokens", json=new).json()["token"]
    answer = yard.web.post(REVOKE, data={"token": token})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")
    with yard.server.client(token) as client:
        assert client.get("/user").status_code == 200


@pytest.mark.parametrize("token", ["x", "myd_" + "x" * 49, "eyJhbGciOiJub25lIn0.e30.", "\u00e9", "a" * 30_000])
def test_what_is_no_token_is_told_nothing_of(yard: Yard, token: str) -> None:
    answer = yard.web.post(REVOKE, json={"token": token})
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": ["x"]}, {"token": None}, {"token": "a" * 32_769}])
def test_what_names_no_token_is_an_invalid_request(yard: Yard, body: dict[str, Any]) -> None:
    answer = yard.web.post(REVOKE, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    twice = yard.web.post(
        REVOKE, content="token=a&token=b", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")


def test_one_address_ends_so_many_a_minute(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.routes.oauth.revocation.MAX_A_MINUTE", 0)
    answer = yard.web.post(REVOKE, data={"token": "x"})
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
