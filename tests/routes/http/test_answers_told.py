"""Statuses and headers of answers are those that `/openapi.json` tells, also where its examples do not lead."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import MLFLOW
from tests.live import LiveServer

# Of all answers, or of none but what the connection says by itself.
USUAL = {"date", "server", "content-length", "content-type", "connection", "cache-control", "x-request-id", "vary"}
USUAL |= {"x-content-type-options", "x-frame-options", "transfer-encoding"}
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream"}
DRAFT = {"Upload-Draft-Interop-Version": "8"}

pytestmark = pytest.mark.once

Ask = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def document(server: LiveServer) -> dict[str, Any]:
    return dict(httpx2.get(f"{server.url}/openapi.json", timeout=60).json())


@pytest.fixture(scope="module")
def ask(server: LiveServer, document: dict[str, Any]) -> Ask:
    """Asks the server, and holds the answer against the document."""

    def asked(method: str, path: str, status: int, **options: Any) -> httpx2.Response:
        headers = {"PRIVATE-TOKEN": server.root_token} | options.pop("headers", {})
        answer = httpx2.request(method, server.url + path, headers=headers, timeout=60, **options)
        assert answer.status_code == status, answer.text
        told = response_of(document, method, path.partition("?")[0], status)
        headers_told = {name.lower(): header.get("required", False) for name, header in told.get("headers", {}).items()}
        assert set(answer.headers) <= headers_told.keys() | USUAL
        assert {name for name, always in headers_told.items() if always} <= set(answer.headers)
        if method != "HEAD":
            assert bool(answer.content) == ("content" in told), told
            kinds = {kind.partition(";")[0] for kind in told.get("content", ())} or {""}
            assert answer.headers.get("content-type", "").partition(";")[0] in kinds
        return answer

    return asked


def response_of(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    """What is told of an answer with that status; where nothing is told of HEAD, it is GET's but for the body."""
    fitting = [each for each in document["paths"] if re.fullmatch(pattern_of(each), path)]
    operations = document["paths"][min(fitting, key=lambda each: each.count("{"))]
    operation = operations.get(method.lower()) or operations[{"HEAD": "get"}[method]]
    response: dict[str, Any] = operation["responses"][str(status)]
    reference = response.get("$ref", "").rpartition("/")[2]
    return dict(document["components"]["responses"][reference] if reference else response)


def pattern_of(template: str) -> str:
    """What the paths of a template look like; two of its parameters are of several segments."""
    return re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{(name|path)\}", ".+", template))


@pytest.fixture(scope="module")
def version(server: LiveServer) -> tuple[str, int]:
    """The path of a project, which is one segment, and a version of a model in it."""
    with server.client(server.root_token) as root:
        project = root.post("/projects", json={"name": secrets.token_hex(8)}).json()
        mlflow = f"/projects/{project['id']}/{MLFLOW}"
        root.post(f"{mlflow}/registered-models/create", json={"name": "m"})
        made = root.post(f"{mlflow}/model-versions/create", json={"name": "m"}).json()["model_version"]
    return project["path_with_namespace"], int(made["version"])


@pytest.fixture(scope="module")
def below(version: tuple[str, int]) -> str:
    return f"/api/v4/projects/{version[0].replace('/', '%2F')}/packages/ml_models/{version[1]}"


def test_files(ask: Ask, below: str) -> None:
    file = f"{below}/files/f"
    etag = ask("PUT", file, 201, content=b"0123456789").headers["etag"]
    ask("GET", file, 200, headers={"Want-Digest": "sha-256"})
    ask("HEAD", file, 200)
    ask("GET", file, 206, headers={"Range": "bytes=0-1"})
    ask("GET", file, 206, headers={"Range": "bytes=0-1,4-5"})
    ask("GET", file, 304, headers={"If-None-Match": etag})
    ask("GET", file, 412, headers={"If-Match": '"x"'})
    ask("GET", file, 416, headers={"Range": "bytes=99-"})


def test_uploads_that_go_on(ask: Ask, below: str, server: LiveServer) -> None:
    named = {"Upload-Metadata": f"path {base64.b64encode(b't').decode()}"}
    begun = ask("POST", f"{below}/uploads", 201, headers=TUS | named | {"Upload-Length": "4"})
    upload = begun.headers["location"].removeprefix(server.url)
    ask("PATCH", upload, 204, headers=CHUNK | {"Upload-Offset": "0"}, content=b"01")
    ask("PATCH", upload, 409, headers=CHUNK | {"Upload-Offset": "0"}, content=b"01")
    ask("PATCH", upload, 412, headers={"Upload-Offset": "2"}, content=b"23")
    ask("PATCH", upload, 204, headers=CHUNK | {"Upload-Offset": "2"}, content=b"23")
    ask("POST", f"{below}/uploads", 201, headers=CHUNK | named | {"Upload-Length": "1"}, content=b"0")
    begun = ask("POST", f"{below}/uploads", 201, headers=TUS | named | {"Upload-Length": "4"})
    session = {"X-Modelyard-Session": begun.headers["location"]}
    ask("PUT", f"{below}/files/t", 202, headers=session | {"Content-Range": "bytes 0-1/4"}, content=b"01")
    ask("PUT", f"{below}/files/t", 201, headers=session | {"Content-Range": "bytes 2-3/4"}, content=b"23")
    begun = ask("POST", f"{below}/uploads", 201, headers=TUS | named | {"Upload-Length": "4"})
    ask("DELETE", begun.headers["location"].removeprefix(server.url), 204, headers=TUS)


def test_what_clients_of_tus_ask_beside_that(ask: Ask, below: str, server: LiveServer) -> None:
    named = {"Upload-Metadata": f"path {base64.b64encode(b'h').decode()}"}
    begun = ask("POST", f"{below}/uploads", 201, headers=TUS | named | {"Upload-Defer-Length": "1"})
    upload = begun.headers["location"].removeprefix(server.url)
    assert ask("HEAD", upload, 200, headers=TUS).headers["upload-defer-length"] == "1"
    ask("POST", upload, 405, headers=TUS)
    ask("POST", upload, 405, headers=TUS | {"X-HTTP-Method-Override": "GET"})
    meant = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Upload-Length": "2"}
    ask("POST", upload, 204, headers=CHUNK | meant, content=b"01")
    assert ask("HEAD", upload, 200, headers=TUS).headers["upload-length"] == "2"
    ask("POST", upload, 204, headers=TUS | {"X-HTTP-Method-Override": "DELETE"})
    ask("HEAD", upload, 404, headers=TUS)
    ask("HEAD", upload, 412, headers={"Tus-Resumable": "0.2.0"})
    for path in (upload, f"{below}/uploads"):
        ask("OPTIONS", path, 204)
        ask("OPTIONS", path, 401, headers={"PRIVATE-TOKEN": "myd_wrong"})


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_the_ietf_s_draft(ask: Ask, below: str, server: LiveServer, method: str) -> None:
    begins, file = DRAFT | {"Upload-Complete": "?0"}, f"{below}/files/{method}"
    chunk = {"Content-Type": "application/partial-upload"}
    upload = ask(method, file, 201, headers=begins).headers["location"].removeprefix(server.url)
    ask("HEAD", upload, 204, headers=DRAFT)
    ask("PATCH", upload, 204, headers=begins | chunk | {"Upload-Offset": "0"}, content=b"01")
    ask("PATCH", upload, 409, headers=begins | chunk | {"Upload-Offset": "0"}, content=b"01")
    ask("PATCH", upload, 400, headers=begins | chunk, content=b"01")
    ends = chunk | {"Upload-Complete": "?1", "Upload-Offset": "2"}
    longer = ends | {"Upload-Length": "9"}
    assert "type" in ask("PATCH", upload, 400, headers=longer, content=b"23").json()
    ask("PATCH", upload, 201, headers=ends, content=b"23")
    ask("HEAD", upload, 204, headers=DRAFT | {"Upload-Complete": "?1"})
    ask(method, file, 201, headers=begins | {"Upload-Complete": "?1"}, content=b"0123")
    ask(method, file, 400, headers=begins | {"Upload-Complete": "1"})
    again = ask(method, file, 201, headers=begins | {"Upload-Length": "4"}, content=b"01").headers["location"]
    ask("DELETE", again.removeprefix(server.url), 204, headers=DRAFT)
    ask("HEAD", again.removeprefix(server.url), 404, headers=DRAFT)


def test_a_post_to_a_file_that_begins_nothing(ask: Ask, below: str) -> None:
    ask("POST", f"{below}/files/p", 405, content=b"01")


def test_parts_of_mlflow_s_clients(ask: Ask, below: str, version: tuple[str, int], server: LiveServer) -> None:
    project = below.partition("/packages")[0]
    artifacts = f"{project}/ml/mlflow/api/2.0/mlflow-artifacts"
    ask("PUT", f"{artifacts}/artifacts/{version[1]}/a", 200, content=b"a")
    asked = {"path": "parts", "num_parts": 1}
    begun = ask("POST", f"{artifacts}/mpu/create/{version[1]}", 200, json=asked).json()
    ask("PUT", begun["credentials"][0]["url"].removeprefix(server.url), 200, content=b"a")


def test_hugging_face_s(ask: Ask, version: tuple[str, int], below: str) -> None:
    ask("PUT", f"{below}/files/hub", 201, content=b"0123")
    ask("GET", f"/{version[0]}/resolve/main/hub", 200)
    ask("HEAD", f"/{version[0]}/resolve/main/hub", 200)
    ask("GET", f"/{version[0]}/resolve/main/hub", 206, headers={"Range": "bytes=0-1"})
    ask("GET", f"/{version[0]}/resolve/main/none", 404)
    ask("GET", f"/api/models/{version[0]}/tree/main/none", 404)
    ask("POST", f"/api/models/{version[0]}/branch/7.0.0", 200, json={})
    ask("POST", f"/api/models/{version[0]}/branch/7.0.0", 409, json={})
    ask("POST", f"/api/models/{version[0]}/tag/main", 409, json={"tag": "7.0.0"})
    namespace, _slash, name = version[0].partition("/")
    again = ask("POST", "/api/repos/create", 409, json={"name": name, "organization": namespace}).json()
    assert again.keys() == {"url", "name", "error"}


def test_objects_of_git_lfs(ask: Ask, version: tuple[str, int], server: LiveServer) -> None:
    content = secrets.token_bytes(100)
    wanted = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    batch = f"/{version[0]}.git/info/lfs/objects/batch"
    offered = ask("POST", batch, 200, json={"operation": "upload", "objects": [wanted]}).json()["objects"][0]
    ask("PUT", offered["actions"]["upload"]["href"].removeprefix(server.url), 200, content=content)
    ask("POST", batch, 501, json={"operation": "download", "objects": [wanted]})


def test_oauth_s(ask: Ask, server: LiveServer) -> None:
    """Of the exchange only what is answered without the id token of a job, or without an issuer."""
    ask("POST", "/oauth/authorize_device", 200, data={"client_id": "x"})
    ask("POST", "/oauth/authorize_device", 400, json={"client_id": "x", "scope": "sudo"})
    device = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "x", "device_code": "x"}
    ask("POST", "/oauth/token", 400, data=device)
    ask("POST", "/oauth/token", 413, content=b"x" * 70_000, headers={"Content-Type": "application/json"})
    ask("POST", "/oauth/token", 415, content=b"{}", headers={"Content-Encoding": "gzip"})
    ask("POST", "/oauth/token", 403, data=device, headers={"Sec-Fetch-Site": "cross-site"})
    with server.client(server.root_token) as root:
        issuer = {"name": secrets.token_hex(8), "kind": "generic", "url": f"https://{secrets.token_hex(8)}.example.com"}
        made = root.post("/issuers", json=issuer | {"audience": "yard"}).json()["id"]
        try:
            ask("POST", "/oauth/revoke", 200, data={"token": "x"})
            ask("POST", "/oauth/revoke", 400, data={})
            ask("POST", "/-/oidc/mint-token", 422, json={"token": "x"})
            ask("POST", "/-/oidc/mint-token", 403, json={}, headers={"Sec-Fetch-Site": "cross-site"})
            ask("GET", "/-/oidc/audience", 200)
            ask("GET", "/.well-known/oauth-authorization-server", 200)
        finally:
            root.delete(f"/issuers/{made}")


def test_refusals(ask: Ask, below: str) -> None:
    ask("GET", "/metrics", 404, headers={"Via": "1.1 proxy"})
    ask("POST", f"{below.partition('/packages')[0]}/access_tokens/self/rotate", 405, json={})
