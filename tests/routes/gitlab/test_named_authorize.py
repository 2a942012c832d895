"""Files whose own name is `authorize`, by the direct way and by FastAPI's routes, which must agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from modelyard.routes.front.direct import DirectRoutes
from tests.hostile.forms import END, FORM, part
from tests.live import LiveServer, running
from tests.programs import curl
from tests.raw import exchange, put_head

ALLOWED = {"MaximumSize", "UploadHashFunctions", "Method", "URL", "Exists"}
HINT = "; a file named authorize is taken as a form or with Content-Type: application/octet-stream"
OCTETS = {"Content-Type": "application/octet-stream"}
LARGE = b"%PDF" + bytes(range(256)) * 10_000


@pytest.fixture(scope="module", params=["direct", "fastapi"])
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with pytest.MonkeyPatch.context() as patch, running(tmp_path_factory.mktemp("yard")) as live:
        if request.param == "fastapi":
            patch.setattr(DirectRoutes, "_find", lambda _self, _scope: None)
        yield live


@pytest.fixture
def root(yard: LiveServer) -> Iterator[httpx2.Client]:
    with yard.client(yard.root_token) as client:
        yield client


@pytest.fixture
def project(root: httpx2.Client) -> int:
    """A project with candidate 1."""
    project = int(root.post("/projects", json={"name": f"p-{uuid4().hex}"}).json()["id"])
    root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    return project


@pytest.fixture
def files(project: int) -> str:
    return f"/projects/{project}/packages/ml_models/candidate:1/files"


@pytest.fixture
def artifacts(project: int) -> str:
    return f"/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/candidate:1"


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", ["a/authorize", "authorize", "authorize/authorize", "a/authorize/b"])
def test_a_file_of_that_name_is_read_like_any_other(
    root: httpx2.Client, files: str, artifacts: str, name: str, content: bytes
) -> None:
    assert root.put(f"{artifacts}/{name}", content=content).status_code == 200
    for url in (f"{files}/{name}", f"{artifacts}/{name}"):
        got = root.get(url)
        assert (got.status_code, got.content) == (200, content)
        assert root.head(url).headers["content-length"] == str(len(content))
        assert root.get(url, headers={"Range": "bytes=1-2"}).content == content[1:3]
        assert root.get(url, headers={"If-None-Match": got.headers["etag"]}).status_code == 304
        assert root.get(url, headers={"If-Match": '"other"'}).status_code == 412
        assert root.get(f"{url}x").status_code == 404


def test_a_file_of_that_name_that_is_not_there_is_404(root: httpx2.Client, files: str) -> None:
    for name in ("a/authorize", "authorize", "authorize/authorize"):
        assert root.get(f"{files}/{name}").json() == {"message": "404 Not found"}
        assert root.head(f"{files}/{name}").status_code == 404


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"bytes", OCTETS),
        (b'{"size": 1}', OCTETS),
        (b"bytes", {"Content-Type": "text/plain"}),
        (b"bytes", {}),
        (b"%PDF", {}),
        (b"\xef\xbb\xbf{}", {}),
        (LARGE, {}),
        (LARGE, OCTETS),
        (part(b"file", b"in a form") + END, {"Content-Type": FORM}),
    ],
    ids=["octets", "json-as-octets", "text", "untyped", "pdf", "byte-order-mark", "large-untyped", "large", "form"],
)
def test_what_is_clearly_a_file_is_taken(
    root: httpx2.Client, files: str, content: bytes, headers: dict[str, str]
) -> None:
    stored = root.put(f"{files}/a/authorize", content=content, headers=headers)
    assert (stored.status_code, stored.json()) == (201, {"message": "201 Created"})
    assert stored.headers["location"].endswith(f"{files}/a/authorize")
    expected = b"in a form" if "multipart" in headers.get("Content-Type", "") else content
    assert root.get(f"{files}/a/authorize").content == expected
    assert root.get(f"{files}/a").status_code == 404


def test_a_chunked_file_is_taken_by_its_first_byte(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    head = put_head(yard, f"{files}/a/authorize", "Transfer-Encoding: chunked")
    assert exchange(yard, head, b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n").status == 201
    assert root.get(f"{files}/a/authorize").content == b"abcdef"
    typed = put_head(yard, f"{files}/b/authorize", "Transfer-Encoding: chunked", "Content-Type: application/x-empty")
    assert exchange(yard, typed, b"0\r\n\r\n").status == 201
    assert root.get(f"{files}/b/authorize").content == b""


def test_curl_uploads_a_file_of_that_name(yard: LiveServer, root: httpx2.Client, files: str, tmp_path: Path) -> None:
    (tmp_path / "authorize").write_bytes(LARGE)
    token = ("--header", f"Authorization: Bearer {yard.root_token}")
    assert curl(tmp_path, *token, "--upload-file", "authorize", f"{yard.api}{files}/a/")[0] == 201
    assert root.get(f"{files}/a/authorize").content == LARGE
    form = ("--request", "PUT", "--form", "file=@authorize")
    assert curl(tmp_path, *token, *form, f"{yard.api}{files}/b/authorize")[0] == 201
    assert root.get(f"{files}/b/authorize").content == LARGE


@pytest.mark.parametrize(
    ("content", "headers", "reason"),
    [
        (b"{not json", {}, "The request body is not valid JSON"),
        (b"bytes", {"Content-Type": "application/json"}, "The request body is not valid JSON"),
        (b"[1]", {"Content-Type": "application/json"}, "The request body is not a JSON object"),
        (b'{"a": 1}', {}, "The request body has neither size nor sha256"),
        (b'{"a": 1}', {"Content-Type": "application/vnd.x+json"}, "The request body has neither size nor sha256"),
        (
            b"a=1&b=2",
            {"Content-Type": "application/x-www-form-urlencoded"},
            "The request body has neither size nor sha256",
        ),
    ],
)
def test_what_may_be_either_is_refused_with_words_that_say_why(
    root: httpx2.Client, files: str, content: bytes, headers: dict[str, str], reason: str
) -> None:
    refused = root.put(f"{files}/a/authorize", content=content, headers=headers)
    assert (refused.status_code, refused.json()) == (400, {"error": reason + HINT})
    assert root.get(f"{files}/a/authorize").status_code == 404


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {}),
        (b"", OCTETS),
        (b"", {"Content-Type": FORM}),
        (b" \r\n", {}),
        (b"{}", {}),
        (b'\n{"size": 3}', {}),
        (b'{"size": 3, "other": 1}', {"Content-Type": "application/json; charset=utf-8"}),
        (b"size=3", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
@pytest.mark.parametrize("name", ["a", "a/authorize", "authorize"])
def test_claims_are_still_claims(
    root: httpx2.Client, files: str, name: str, content: bytes, headers: dict[str, str]
) -> None:
    answer = root.put(f"{files}/{name}/authorize", content=content, headers=headers)
    assert (answer.status_code, set(answer.json())) == (200, ALLOWED)
    assert answer.json()["URL"].endswith(f"{files}/{name}")
    assert root.get(f"{files}/{name}/authorize").status_code == 404


def test_a_file_of_that_name_is_held_to_what_every_upload_is(root: httpx2.Client, files: str) -> None:
    url = f"{files}/a/authorize"
    assert root.put(url, content=b"x", headers=OCTETS | {"Content-Encoding": "gzip"}).status_code == 415
    assert root.put(url, content=b"x", headers=OCTETS | {"X-Checksum-Md5": "0" * 32}).status_code == 400
    assert root.put(url, content=b"x", headers=OCTETS | {"X-Modelyard-Upload": "unknown"}).status_code == 400
    assert root.put(url, headers={"X-Modelyard-Upload": "unknown"}).status_code == 400
    assert root.put(url, content=b"x", headers=OCTETS | {"PRIVATE-TOKEN": "wrong"}).status_code == 401
    assert root.put(url, content=b"x", headers={"PRIVATE-TOKEN": "wrong"}).status_code == 401
    assert root.get(url).status_code == 404
    assert root.put(url, content=b"x", headers=OCTETS | {"If-None-Match": "*"}).status_code == 201
    assert root.put(url, content=b"y", headers=OCTETS | {"If-None-Match": "*"}).status_code == 412
    assert root.get(url).content == b"x"
    exists = root.put(f"{url}/authorize").json()["Exists"]
    assert exists["Size"] == 1


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(root: httpx2.Client, files: str, method: str) -> None:
    refused = root.request(method, f"{files}/a/authorize")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, PUT")


def test_a_name_that_is_encoded_is_no_question(root: httpx2.Client, files: str) -> None:
    assert root.put(f"{files}/a/%61uthorize", content=b'{"size": 1}').status_code == 201
    assert root.get(f"{files}/a/authorize").content == b'{"size": 1}'
