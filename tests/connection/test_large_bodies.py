"""Bodies past the parser and by uvicorn's way: the same answers, the same bytes, and a connection that goes on."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.blobs import _direct
from modelyard.connection import bulk
from modelyard.memory_pages import PAGE_BYTES, Blocks
from modelyard.process.server import server_options
from modelyard.wire import pace
from modelyard.wire.pace import LEAST_BYTES
from tests.live import LiveServer, running
from tests.raw import put_head, read_answer

CONTENT = random.Random(4).randbytes(3_500_001)
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
FORM = "Content-Type: multipart/form-data; boundary=b"
END = b"\r\n--b--\r\n"
MALFORMED = {"message": "400 Bad request - The multipart form is malformed"}
TRUNCATED = {"message": "400 Bad request - The request body ended early"}


@pytest.fixture(params=["past-the-parser", "by-uvicorn"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each test runs on both ways, and holds that the one that it is about was taken."""
    taken = []
    begin = bulk.LargeBody._stand_in

    def noted(body: bulk.LargeBody) -> Any:
        taken.append(body)
        return begin(body)

    monkeypatch.setattr(bulk.LargeBody, "_stand_in", noted)
    monkeypatch.setattr(bulk, "PATIENCE_SECONDS", 0.05)
    if request.param == "by-uvicorn":
        monkeypatch.setattr(bulk, "LARGE_BYTES", sys.maxsize)
    yield request.param
    assert bool(taken) is (request.param == "past-the-parser")


def head(server: LiveServer, url: str, length: int, *headers: str) -> bytes:
    return put_head(server, f"{url}/f", f"Content-Length: {length}", *headers)


def get(server: LiveServer, url: str) -> bytes:
    return put_head(server, f"{url}/f").replace(b"PUT", b"GET", 1)


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_a_large_body_is_stored_as_it_is_and_the_connection_goes_on(
    server: LiveServer, version_url: str, form: bool
) -> None:
    body = PART + CONTENT + END if form else CONTENT
    headers = (FORM,) if form else ()
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(head(server, version_url, len(body), *headers) + body)
            answer = read_answer(connection)
            assert (answer.status, answer.headers["etag"]) == (201, f'"{hashlib.sha256(CONTENT).hexdigest()}"')
        connection.sendall(get(server, version_url))
        assert read_answer(connection).body == CONTENT


def test_a_request_that_follows_at_once_is_answered_too(server: LiveServer, version_url: str) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(CONTENT)) + CONTENT + get(server, version_url))
        answers = connection.makefile("rb")
        assert answers.readline() == b"HTTP/1.1 201 Created\r\n"
        while answers.readline() != b"\r\n":
            pass
        assert answers.read(len(b'{"message":"201 Created"}')) == b'{"message":"201 Created"}'
        assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
        while answers.readline() != b"\r\n":
            pass
        assert answers.read(len(CONTENT)) == CONTENT


def test_a_request_that_waits_behind_another_is_taken_whole(server: LiveServer, version_url: str) -> None:
    with server.connect() as connection:
        connection.sendall(put_head(server, f"{version_url}/f", "Content-Length: 5") + b"hello")
        connection.sendall(head(server, version_url, len(CONTENT)) + CONTENT)
        assert [read_answer(connection).status for _ in range(2)] == [201, 201]
        connection.sendall(get(server, version_url))
        assert read_answer(connection).body == CONTENT


def test_a_client_that_waits_is_told_to_continue_once(server: LiveServer, version_url: str) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(CONTENT), "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(CONTENT)
        assert connection.recv(12) == b"HTTP/1.1 201"


def test_what_comes_in_dribbles_is_joined(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    edges = [0, 1, 2, 70_000, 1_200_000, 1_200_001, 3_400_000, len(CONTENT)]
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(CONTENT)))
        for first, after in pairwise(edges):
            connection.sendall(CONTENT[first:after])
            time.sleep(0.08)
        assert read_answer(connection).status == 201
    assert root.get(f"{version_url}/f").content == CONTENT


def test_a_fault_is_answered_before_the_rest_is_sent_and_the_rest_is_skipped(
    server: LiveServer, version_url: str
) -> None:
    begun, rest = PART + CONTENT + b"\r\n" + PART, CONTENT + END
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(begun) + len(rest), FORM) + begun)
        refusal = read_answer(connection)
        assert (refusal.status, refusal.json()) == (400, {"error": "file is invalid"})
        connection.sendall(rest + get(server, version_url))
        assert read_answer(connection).status == 404  # of the request behind the body, on the same connection


@pytest.mark.parametrize("sent", [1_200_000, 2_500_000])
def test_a_body_that_ends_early_is_refused(
    server: LiveServer, root: httpx2.Client, version_url: str, sent: int
) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(CONTENT)) + CONTENT[:sent])
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
    assert (answer.status, answer.json()) == (400, TRUNCATED)
    assert root.get(f"{version_url}/f").status_code == 404


def test_a_client_that_leaves_after_a_refusal_disturbs_nobody(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    body = b"no form at all" + CONTENT
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(body), FORM) + body[:1_500_000])
        assert read_answer(connection).json() == MALFORMED
    assert root.put(f"{version_url}/f", content=CONTENT).status_code == 201


def test_digests_are_held(root: httpx2.Client, version_url: str) -> None:
    wrong = root.put(f"{version_url}/f", content=CONTENT, headers={"Content-Digest": f"sha-256=:{'A' * 43}=:"})
    assert (wrong.status_code, wrong.json()) == (
        400,
        {"message": "400 Bad request - The content does not match its digest"},
    )


def test_uploads_side_by_side_do_not_mix(
    server: LiveServer, clients: Callable[[str | None], httpx2.Client], version_url: str
) -> None:
    contents = [random.Random(seed).randbytes(2_000_000 + seed) for seed in range(6)]
    root = clients(server.root_token)
    senders = [
        threading.Thread(target=root.put, args=(f"{version_url}/{index}",), kwargs={"content": content})
        for index, content in enumerate(contents)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert [root.get(f"{version_url}/{index}").content for index in range(6)] == contents


def test_asyncios_own_loop_does_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.live.server_options", lambda settings: server_options(settings) | {"loop": "asyncio"})
    with running(tmp_path) as live, live.client(live.root_token) as root:
        url = new_version(root)
        assert root.put(f"{url}/f", content=CONTENT).status_code == 201
        assert root.get(f"{url}/f").content == CONTENT


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what really went past the page cache."""
    lengths: list[int] = []
    real = os.pwritev

    def noted(descriptor: int, chunks: Sequence[memoryview], offset: int) -> int:
        size = real(descriptor, chunks, offset)
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            lengths.append(size)
        return size

    monkeypatch.setattr(os, "pwritev", noted)
    monkeypatch.setattr(_direct, "FROM_BYTES", 25 * PAGE_BYTES)
    monkeypatch.setattr(_direct, "LEAST_BYTES", 2 * PAGE_BYTES)
    return lengths


@pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's own")
@pytest.mark.parametrize("kind", ["raw", "form", "form-with-digest"])
def test_most_of_a_large_body_goes_past_the_page_cache(
    server: LiveServer, root: httpx2.Client, version_url: str, written: list[int], way: str, kind: str
) -> None:
    content = b"\r\n--" + CONTENT + b"\r\n--"
    body = content if kind == "raw" else PART + content + END
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    headers = {"raw": [], "form": [FORM], "form-with-digest": [FORM, f"Content-Digest: sha-256=:{digest}:"]}[kind]
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(body), *headers) + body)
        assert read_answer(connection).status == 201
    assert root.get(f"{version_url}/f").content == content
    # What comes with the head, and what lies beside whole pages, goes through it.
    assert (len(content) - 400_000 < sum(written) < len(content) - 100_000) is (way == "past-the-parser")


@pytest.mark.parametrize("way", ["past-the-parser"], indirect=True)
def test_the_few_bytes_of_a_dawdler_do_not_hold_many_blocks(
    server: LiveServer, root: httpx2.Client, version_url: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    del way
    begun: list[int] = []
    take = Blocks.take

    def noted(blocks: Blocks, size: int, offset: int) -> memoryview:
        block = take(blocks, size, offset)
        begun.append(len(blocks._blocks))
        return block

    monkeypatch.setattr(Blocks, "take", noted)
    with server.connect() as connection:
        connection.sendall(head(server, version_url, len(CONTENT)) + CONTENT[:1_100_000])
        time.sleep(0.5)
        read = len(begun)
        for index in range(20):
            connection.sendall(CONTENT[1_100_000:][3 * index : 3 * index + 3])
            time.sleep(0.1)
        dawdled = begun[read:]
        connection.sendall(CONTENT[1_100_060:])
        assert read_answer(connection).status == 201
    assert len(dawdled) >= 10
    assert max(dawdled) <= max(begun[:read]) + 1
    assert root.get(f"{version_url}/f").content == CONTENT


@pytest.mark.parametrize("way", ["past-the-parser"], indirect=True)
def test_the_next_large_body_of_a_connection_has_the_pace_of_the_one_before(
    server: LiveServer, version_url: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    del way
    monkeypatch.setattr(pace, "QUICK_SECONDS", 60.0)
    bodies: list[list[int]] = []
    take = Blocks.take

    def noted(blocks: Blocks, size: int, offset: int) -> memoryview:
        bodies[-1].append(size)
        return take(blocks, size, offset)

    monkeypatch.setattr(Blocks, "take", noted)
    with server.connect() as connection:
        for _ in range(2):
            bodies.append([])
            connection.sendall(head(server, version_url, len(CONTENT)) + CONTENT)
            assert read_answer(connection).status == 201
    first, second = bodies
    assert first[0] == LEAST_BYTES < first[-1] <= second[0] <= second[-1]


class Paused:
    """A connection that notes what its transport says of its buffer."""

    earned = 0

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


@pytest.mark.parametrize("way", ["unused"], indirect=True)
def test_an_answer_that_waits_for_its_reader_hears_of_him(way: str) -> None:
    del way
    connection = Paused()
    body = bulk.LargeBody(connection, None, 1)  # type: ignore[arg-type] # all that it needs for this
    body.pause_writing()
    body.resume_writing()
    assert connection.told == ["pause", "resume"]


def new_version(root: httpx2.Client) -> str:
    project = root.post("/projects", json={"name": "p"}).json()["id"]
    base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    root.post(f"{base}/registered-models/create", json={"name": "m"})
    version = root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"
