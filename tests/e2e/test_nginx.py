"""The example of nginx's configuration, in front of a real server with a folder of blobs."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest

from tests.live import LiveServer, running
from tests.nginx import Nginx, require_nginx, running_nginx

MIB = 1024 * 1024
CONTENT = os.urandom(3 * MIB + 17)
SAME = ("etag", "last-modified", "repr-digest", "content-type", "content-disposition", "cache-control")
SAME_TOO = ("x-content-type-options", "content-length", "content-range")


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    require_nginx()
    folder = tmp_path_factory.mktemp("yard")
    with running(folder, max_file_size=64 * MIB, x_accel_redirect="/blobs/") as live:
        yield live


@pytest.fixture(scope="module")
def nginx(yard: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), [yard.port], yard.settings.blob_root) as front:
        yield front


@pytest.fixture(scope="module")
def client(yard: LiveServer, nginx: Nginx) -> Iterator[httpx2.Client]:
    headers = {"PRIVATE-TOKEN": yard.root_token}
    with httpx2.Client(base_url=f"{nginx.url}/api/v4", headers=headers, timeout=30) as through:
        yield through


@pytest.fixture(scope="module")
def direct(yard: LiveServer) -> Iterator[httpx2.Client]:
    with yard.client(yard.root_token) as past:
        yield past


@pytest.fixture(scope="module")
def files(client: httpx2.Client) -> str:
    """The files of a version; its project is named by a path with an encoded slash."""
    assert client.post("/projects", json={"name": "fronted"}).status_code == 201
    mlflow = "/projects/root%2Ffronted/ml/mlflow/api/2.0/mlflow"
    assert client.post(f"{mlflow}/registered-models/create", json={"name": "m"}).status_code == 200
    version = client.post(f"{mlflow}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    base = f"/projects/root%2Ffronted/packages/ml_models/{version}/files"
    assert client.put(f"{base}/large", content=CONTENT).status_code == 201
    return base


def test_names_pass_untouched(client: httpx2.Client, direct: httpx2.Client, files: str) -> None:
    for name in ("a%20b", "d%C3%A9j%C3%A0/v%2Bu", "q%3Fx", "semi;colon&and=", "100%25", "a%2520b"):
        assert client.put(f"{files}/{name}", content=name.encode()).status_code == 201, name
        assert direct.get(f"{files}/{name}").content == name.encode()
        assert client.get(f"{files}/{name}").content == name.encode()
    for refused in ("a%2Fb", "a%252Fb", "..%2Fx"):
        through, past = client.put(f"{files}/{refused}", content=b"x"), direct.put(f"{files}/{refused}", content=b"x")
        assert (through.status_code, through.json()) == (past.status_code, past.json())
        assert through.status_code == 400
    assert client.get(f"{files}//large").content == CONTENT


def test_addresses_are_those_that_the_client_sees(client: httpx2.Client, nginx: Nginx, files: str) -> None:
    offered = client.put(f"{files}/large/authorize").json()["URL"]
    assert offered == f"{nginx.url}/api/v4{files}/large"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("asked", [None, "bytes=0-0", "bytes=100-", "bytes=-17", "bytes=1048576-2097151", "lines=1-2"])
def test_nginx_sends_the_same_bytes_and_headers_as_we_do(
    client: httpx2.Client, direct: httpx2.Client, files: str, method: str, asked: str | None
) -> None:
    headers = {"Range": asked} if asked else {}
    through, past = (each.request(method, f"{files}/large", headers=headers) for each in (client, direct))
    assert through.status_code == past.status_code
    assert through.content == past.content
    assert {name: through.headers.get(name) for name in SAME + SAME_TOO} == {
        name: past.headers.get(name) for name in SAME + SAME_TOO
    }
    assert "x-accel-redirect" not in through.headers
    assert through.headers["x-request-id"]
    if through.status_code == 200:  # with a range, nginx does not say that it takes ranges
        assert through.headers["accept-ranges"] == "bytes"


def test_nginx_reads_the_file_and_not_we(
    client: httpx2.Client, yard: LiveServer, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("read by modelyard")

    monkeypatch.setattr(yard.app.state.files.downloads, "source", refuse)
    received = hashlib.sha256()
    with client.stream("GET", f"{files}/large") as answer:
        for block in answer.iter_raw():
            received.update(block)
    assert received.digest() == hashlib.sha256(CONTENT).digest()


def test_the_older_question_for_a_digest_is_answered(client: httpx2.Client, direct: httpx2.Client, files: str) -> None:
    for headers, status in (({}, 200), ({"Range": "bytes=5-9"}, 206)):
        through, past = (
            each.get(f"{files}/large", headers=headers | {"Want-Digest": "SHA-256"}) for each in (client, direct)
        )
        assert (through.status_code, through.headers["digest"]) == (status, past.headers["digest"])
    assert "digest" not in client.get(f"{files}/large").headers


def test_several_ranges_are_all_there(client: httpx2.Client, files: str) -> None:
    answer = client.get(f"{files}/large", headers={"Range": "bytes=0-4,1000000-1000009"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    assert CONTENT[:5] in answer.content
    assert CONTENT[1000000:1000010] in answer.content


def test_conditions_and_refusals_are_ours(client: httpx2.Client, direct: httpx2.Client, files: str) -> None:
    etag = client.head(f"{files}/large").headers["etag"]
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-Match": etag}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Range": etag, "Range": "bytes=5-9"}, 206),
        ({"If-Range": '"other"', "Range": "bytes=5-9"}, 200),
        ({"Range": f"bytes={len(CONTENT)}-"}, 416),
        ({"PRIVATE-TOKEN": "wrong"}, 401),
    ):
        through, past = (each.get(f"{files}/large", headers=headers) for each in (client, direct))
        assert (through.status_code, past.status_code) == (status, status)
        assert through.content == past.content


@pytest.mark.usefixtures("files")
def test_the_folder_of_the_blobs_is_closed(nginx: Nginx) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert httpx2.get(f"{nginx.url}/blobs/sha256/{digest[:2]}/{digest[2:4]}/{digest}").status_code == 404


def test_whoever_comes_past_nginx_gets_bytes(direct: httpx2.Client, files: str) -> None:
    answer = direct.get(f"{files}/large")
    assert answer.content == CONTENT
    assert "x-accel-redirect" not in answer.headers


def test_an_upload_arrives_while_it_is_sent(yard: LiveServer, nginx: Nginx, files: str) -> None:
    head = (
        f"PUT /api/v4{files}/streamed HTTP/1.1\r\nHost: x\r\nPRIVATE-TOKEN: {yard.root_token}\r\n"
        f"Content-Length: {4 * MIB}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as connection:
        connection.sendall(head.encode() + CONTENT[: 3 * MIB])
        while sum(path.stat().st_size for path in yard.incoming()) < 2 * MIB:
            threading.Event().wait(0.02)  # all of it would have to be sent first, were it buffered
        connection.sendall(bytes(MIB))
        assert connection.recv(12) == b"HTTP/1.1 201"


def test_a_file_that_is_too_large_is_refused_by_us(client: httpx2.Client, files: str) -> None:
    answer = client.put(f"{files}/huge/authorize", params={"size": 65 * MIB})
    assert (answer.status_code, answer.json()["message"]) == (400, "400 Bad request - Artifact file is too large")


@pytest.mark.parametrize("size", [4 * MIB, 40 * MIB])
def test_an_upload_that_is_refused_early_hears_why(client: httpx2.Client, files: str, size: int) -> None:
    for headers, status in (({"PRIVATE-TOKEN": "wrong"}, 401), ({"If-Match": '"other"'}, 412)):
        for _ in range(3):
            # nginx closes the connection afterwards, as the rest of the body is on its way, and does not say so.
            answer = client.put(f"{files}/large", content=bytes(size), headers=headers | {"Connection": "close"})
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


def test_what_a_client_says_of_its_scheme_is_not_believed(
    client: httpx2.Client, direct: httpx2.Client, files: str
) -> None:
    claims = {"X-Forwarded-Proto": "https"}
    through, past = (each.put(f"{files}/large/authorize", headers=claims).json() for each in (client, direct))
    assert (through["URL"].partition(":")[0], past["URL"].partition(":")[0]) == ("http", "https")
