"""A server that lists an issuer of each kind, and what projects trust of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.issuers import FakeIssuer, running_issuer
from tests.live import LiveServer, running
from tests.routes.oauth import ci

_serial = itertools.count(1)
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
BINDINGS: dict[str, dict[str, str]] = {
    "gitlab": {"project_id": "42"},
    "github": {"repository_id": "74", "repository_owner_id": "65"},
    "kubernetes": {"namespace": "ml", "service_account": "trainer"},
    "generic": {"sub": "organization:o:pipeline:p"},
}
CLAIMS: dict[str, Callable[..., dict[str, Any]]] = {
    "gitlab": ci.gitlab,
    "github": ci.github,
    "kubernetes": ci.pod,
    "generic": ci.other,
}


@dataclass
class Trusting:
    """A fresh project that trusts jobs of one issuer, which no other project trusts."""

    yard: Yard
    issuer: FakeIssuer
    kind: str
    id: int
    path: str
    publisher: dict[str, Any]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a job says that the project trusts, unless it is changed."""
        return CLAIMS[self.kind](self.issuer, **(self.own | changed))

    @property
    def own(self) -> dict[str, Any]:
        return own_claims(self.kind, self.publisher["claims"])

    def exchange(self, **changed: Any) -> httpx2.Response:
        return self.yard.exchange(self.issuer.sign(self.claims(**changed)))

    def token(self, **changed: Any) -> str:
        answer = self.exchange(**changed)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def refused(self, **changed: Any) -> str:
        """Why a job is refused that differs in this."""
        return self.yard.refused(self.issuer.sign(self.claims(**changed)))


@dataclass
class Yard:
    """The server, and its issuers by kind."""

    server: LiveServer
    root: httpx2.Client
    web: httpx2.Client
    issuers: dict[str, FakeIssuer]

    def list_issuer(self, issuer: FakeIssuer, kind: str = "gitlab", **fields: Any) -> dict[str, Any]:
        body = {"name": f"issuer-{next(_serial)}", "kind": kind, "url": issuer.url} | fields
        answer = self.root.post("/issuers", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def project(self, **fields: Any) -> dict[str, Any]:
        answer = self.root.post("/projects", json={"name": f"trusting-{next(_serial)}"} | fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def trust(self, project_id: int, issuer: str, claims: dict[str, str], **fields: Any) -> dict[str, Any]:
        body = {"issuer": issuer, "claims": claims} | fields
        answer = self.root.post(f"/projects/{project_id}/trusted_publishers", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def exchange(self, token: str, **fields: Any) -> httpx2.Response:
        body = {"grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": token} | fields
        return self.web.post("/oauth/token", json={name: each for name, each in body.items() if each is not None})

    def refused(self, token: str, **fields: Any) -> str:
        answer = self.exchange(token, **fields)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"] in {"invalid_grant", "invalid_target"}
        assert answer.headers["cache-control"] == "no-store"
        return str(answer.json()["error_description"])

    def as_job(self, token: str) -> httpx2.Client:
        return httpx2.Client(base_url=self.server.api, headers={"JOB-TOKEN": token}, timeout=30)

    def trusting(self, kind: str = "gitlab", issuer: FakeIssuer | None = None, **fields: Any) -> Trusting:
        """A fresh project with a publisher of its own ids."""
        project = self.project()
        found = issuer or self.issuers[kind]
        claims = own_ids(kind) | fields.pop("claims", {})
        made = self.trust(project["id"], found.url, claims, **fields)
        return Trusting(self, found, kind, project["id"], project["path_with_namespace"], made)


def own_ids(kind: str) -> dict[str, str]:
    """What no other publisher is bound to."""
    number = next(_serial)
    fresh = {"project_id": f"{42_000 + number}", "repository_id": f"{74_000 + number}", "namespace": f"ml-{number}"}
    return {
        name: fresh.get(name, f"{value}-{number}" if name == "sub" else value) for name, value in BINDINGS[kind].items()
    }


def own_claims(kind: str, bound: dict[str, str]) -> dict[str, Any]:
    """The claims of a job that a binding is of."""
    if kind == "gitlab":
        return {"project_id": bound["project_id"], "job_project_id": bound["project_id"]}
    if kind == "kubernetes":
        namespace, name = bound["namespace"], bound["service_account"]
        account = {"name": name, "uid": "uid-1"}
        told = {"namespace": namespace, "serviceaccount": account, "pod": {"name": "train-0", "uid": "uid-2"}}
        return {"sub": f"system:serviceaccount:{namespace}:{name}", "kubernetes.io": told}
    return {name: value for name, value in bound.items() if name in BINDINGS[kind]}


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("yard")
        server = stack.enter_context(running(folder, loopback_issuers=True, external_url=ci.AUDIENCE))
        root = stack.enter_context(server.client(server.root_token))
        web = stack.enter_context(httpx2.Client(base_url=server.url, timeout=30))
        found = Yard(server, root, web, {kind: stack.enter_context(running_issuer()) for kind in CLAIMS})
        for kind, issuer in found.issuers.items():
            found.list_issuer(issuer, kind, name=kind)
        yield found
