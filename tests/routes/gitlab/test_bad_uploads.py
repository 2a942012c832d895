"""Uploads that must be refused, over a bare socket: the exact answer, and nothing left behind."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.blobs.memory import MemoryBlobReader, MemoryBlobStore
from tests.live import LiveServer, running
from tests.raw import exchange, put_head, read_answer
from tests.waiting import eventually

TOO_LARGE = {"message": "400 Bad request - Artifact file is too large"}
TRUNCATED = {"message": "400 Bad request - The request body ended early"}
MALFORMED = {"message": "400 Bad request - The multipart form is malformed"}
INVALID = {"message": "400 Bad request - Invalid HTTP request received"}
BOUNDARY = "Content-Type: multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'


@pytest.fixture(autouse=True)
def nothing_is_left_behind(server: LiveServer) -> Iterator[None]:
    """Whatever was refused leaves no unfinished write."""
    yield
    eventually(lambda: server.incoming() == [])


def missing(root: httpx2.Client, url: str) -> bool:
    return root.get(url).status_code == 404


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("..", "file_name should be a valid file path"),
        ("%2e%2e", "file_name should be a valid file path"),
        ("%252e%252e", "file_name should be a valid file path, file_name is invalid"),
        ("a/../../etc/passwd", "path should be a valid file path"),
        ("a/%2e%2e/b", "path should be a valid file path"),
        ("%2e%2e%2f.ssh%2fauthorized_keys", "file_name should be a valid file path, file_name is invalid"),
        ("..%5c..%5cb", "file_name should be a valid file path, file_name is invalid"),
        ("a%00b", "file_name is invalid"),
        ("%2fetc%2fpasswd", "file_name should be a valid file path, file_name is invalid"),
        ("dir%2Ffile", "file_name is invalid"),
        ("n" * 256, "file_name is invalid"),
        ("d/" * 600 + "f", "path is invalid"),
        ("a%252fb", "file_name should be a valid file path, file_name is invalid"),
        ("a%25252Fb", "file_name should be a valid file path, file_name is invalid"),
        ("..%255cb", "file_name should be a valid file path, file_name is invalid"),
        ("a%ffb", "file_name is invalid"),
        ("a%0d%0aX-Evil:1", "file_name should be a valid file path, file_name is invalid"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "AUTHORIZE"])
def test_names_against_the_rule_are_refused(
    server: LiveServer, version_url: str, name: str, sentence: str, method: str
) -> None:
    suffix = "/authorize" if method == "AUTHORIZE" else ""
    head = put_head(server, f"{version_url}/{name}{suffix}", "Content-Length: 1")
    answer = exchange(server, head.replace(b"PUT", b"GET", 1) if method == "GET" else head, b"x")
    assert (answer.status, answer.json()) == (400, {"error": sentence})


def test_a_bad_name_is_refused_before_the_credential_is_looked_at(server: LiveServer, version_url: str) -> None:
    answer = exchange(server, put_head(server, f"{version_url}/%2e%2e", "Content-Length: 0", token="wrong"))
    assert answer.status == 400


def test_a_path_that_is_not_encoded_is_refused(server: LiveServer, version_url: str) -> None:
    answer = exchange(server, put_head(server, f"{version_url}/ünïcode.bin", "Content-Length: 1"), b"x")
    assert (answer.status, answer.json()) == (400, INVALID)


@pytest.mark.parametrize(
    "owner", ["abc", "-1", "0", "9223372036854775808", "candidate:", "candidate:0", "1.0.0", "5abc"]
)
@pytest.mark.parametrize("suffix", ["", "/authorize"])
def test_ids_that_no_version_has_are_404(root: httpx2.Client, version_url: str, owner: str, suffix: str) -> None:
    url = f"{version_url.rpartition('/ml_models/')[0]}/ml_models/{owner}/files/f{suffix}"
    answer = root.put(url)
    assert (answer.status_code, answer.json()) == (404, {"message": "404 Not Found"})
    if not suffix:
        assert root.get(url).json() == {"message": "404 Not Found"}


@pytest.mark.parametrize("project", ["abc", "-1", "0", "9223372036854775808", "no%2Fproject", "%zz", "1" * 40])
def test_ids_that_no_project_has_are_404(root: httpx2.Client, project: str) -> None:
    for answer in (
        root.put(f"/projects/{project}/packages/ml_models/1/files/f", content=b"x"),
        root.get(f"/projects/{project}/packages/ml_models/1/files/f"),
        root.put(f"/projects/{project}/packages/ml_models/1/files/f/authorize"),
    ):
        assert (answer.status_code, answer.json()) == (404, {"message": "404 Project Not Found"})


def test_versions_and_candidates_of_another_project_are_404(
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
    make_run: Callable[..., dict[str, Any]],
) -> None:
    here, there = make_project()["id"], make_project()["id"]
    version = make_version(there)
    make_run(there)
    for owner in (version, "candidate:1", "candidate:2"):
        answer = root.put(f"/projects/{here}/packages/ml_models/{owner}/files/f", content=b"x")
        assert (answer.status_code, answer.json()) == (404, {"message": "404 Not Found"})


def test_a_body_too_large_by_its_header_is_refused_before_it_is_sent(server: LiveServer, version_url: str) -> None:
    length = f"Content-Length: {server.settings.max_file_size + 1}"
    answer = exchange(server, put_head(server, f"{version_url}/f", length, "Expect: 100-continue"))
    assert (answer.status, answer.json()) == (400, TOO_LARGE)
    assert answer.headers["connection"] == "close"


def test_a_client_that_does_not_wait_gets_its_refusal_all_the_same(server: LiveServer, version_url: str) -> None:
    size = server.settings.max_file_size + 1
    block = bytes(1024 * 1024)
    blocks = [block] * (size // len(block)) + [b"x"]
    answer = exchange(server, put_head(server, f"{version_url}/f", f"Content-Length: {size}"), *blocks)
    assert (answer.status, answer.json()) == (400, TOO_LARGE)


@pytest.mark.parametrize(
    ("version", "framing"),
    [("HTTP/1.1", framing) for framing in ("short", "large", "large form", "chunks")]
    + [("HTTP/1.0", framing) for framing in ("short", "large", "large form")],
)
def test_a_connection_that_ends_with_a_refusal_ends_after_the_body(
    server: LiveServer, version_url: str, version: str, framing: str
) -> None:
    blocks = [bytes(65536)] * (2 if framing == "short" else 80)
    size = sum(map(len, blocks))
    length = "Transfer-Encoding: chunked" if framing == "chunks" else f"Content-Length: {size}"
    form = (BOUNDARY,) if framing == "large form" else ()  # which is read until it is refused
    token = None if form else "wrong"
    head = put_head(server, f"{version_url}/f", length, "Connection: close", *form, token=token)
    head = head.replace(b"HTTP/1.1", version.encode())
    with server.connect() as connection:
        connection.sendall(head)
        for block in blocks:
            connection.sendall(b"10000\r\n" + block + b"\r\n" if framing == "chunks" else block)
            time.sleep(0.002)
        connection.sendall(b"0\r\n\r\n" if framing == "chunks" else b"")
        answer = read_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (400 if form else 401, "close")
        assert connection.recv(1) == b""  # no reset


def test_what_follows_a_connection_s_last_body_is_not_read(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    follower = put_head(server, f"{version_url}/f", "Content-Length: 0")
    with server.connect() as connection:
        connection.sendall(
            put_head(server, f"{version_url}/g", "Content-Length: 5", "Connection: close", token="wrong")
        )
        assert read_answer(connection).status == 401
        connection.sendall(b"hello" + follower)
        assert connection.recv(1) == b""
    assert missing(root, f"{version_url}/f")


def test_a_connection_whose_last_body_turns_out_malformed_ends(server: LiveServer, version_url: str) -> None:
    headers = ("Transfer-Encoding: chunked", "Connection: close")
    with server.connect() as connection:
        connection.sendall(put_head(server, f"{version_url}/f", *headers, token="wrong"))
        assert read_answer(connection).status == 401
        connection.sendall(b"no chunk\r\n")
        assert connection.recv(1) == b""


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_a_chunked_body_is_stopped_when_it_passes_the_limit(
    server: LiveServer, root: httpx2.Client, version_url: str, form: bool
) -> None:
    def body() -> Iterator[bytes]:
        if form:
            yield PART
        for _ in range(server.settings.max_file_size // (1024 * 1024)):
            yield bytes(1024 * 1024)
        yield b"x"
        if form:
            yield b"\r\n--b--\r\n"

    headers = {"Content-Type": BOUNDARY.partition(": ")[2]} if form else {}
    answer = root.put(f"{version_url}/f", content=body(), headers=headers)
    assert (answer.status_code, answer.json()) == (400, TOO_LARGE)
    assert missing(root, f"{version_url}/f")


def test_a_file_of_exactly_the_limit_is_taken(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    answer = root.put(f"{version_url}/f", content=bytes(server.settings.max_file_size))
    assert answer.status_code == 201


@pytest.mark.parametrize("sent", [0, 1, 5_000_000])
def test_a_body_that_ends_before_its_length_is_refused(
    server: LiveServer, root: httpx2.Client, version_url: str, sent: int
) -> None:
    head = put_head(server, f"{version_url}/f", "Content-Length: 6000000")
    answer = exchange(server, head, bytes(sent), half_close=True)
    assert (answer.status, answer.json()) == (400, TRUNCATED)
    assert missing(root, f"{version_url}/f")


def test_a_chunked_body_without_its_last_chunk_is_refused(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    head = put_head(server, f"{version_url}/f", "Transfer-Encoding: chunked")
    answer = exchange(server, head, b"5\r\nhello\r\n", half_close=True)
    assert (answer.status, answer.json()) == (400, TRUNCATED)
    assert missing(root, f"{version_url}/f")


@pytest.mark.parametrize("content", [b"x", bytes(3_000_000)], ids=["small", "large"])
def test_a_client_that_disappears_leaves_nothing(
    server: LiveServer, root: httpx2.Client, version_url: str, content: bytes
) -> None:
    with server.connect() as connection:
        connection.sendall(put_head(server, f"{version_url}/f", "Content-Length: 6000000") + content)
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # reset, not close
    eventually(lambda: server.incoming() == [])
    assert missing(root, f"{version_url}/f")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"no form at all", MALFORMED),
        (b"", TRUNCATED),
        (PART + b"content", TRUNCATED),
        (PART + b"content\r\n--b", TRUNCATED),
        (b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n', {"error": "file is missing"}),
        (PART + b"one\r\n" + PART + b"two\r\n--b--\r\n", {"error": "file is invalid"}),
        (b"--b\r\nX-Huge: " + b"h" * 20_000 + b"\r\n\r\nx\r\n--b--\r\n", MALFORMED),
        (b"--b\r\n\r\nno headers\r\n--b--\r\n", {"error": "file is missing"}),
    ],
    ids=["no-form", "empty", "open", "half-boundary", "no-file", "two-files", "huge-header", "nameless"],
)
def test_a_form_that_is_not_right_is_refused(
    server: LiveServer, root: httpx2.Client, version_url: str, body: bytes, expected: dict[str, str]
) -> None:
    head = put_head(server, f"{version_url}/f", BOUNDARY, f"Content-Length: {len(body)}")
    answer = exchange(server, head, body)
    assert (answer.status, answer.json()) == (400, expected)
    assert missing(root, f"{version_url}/f")


def test_a_form_without_a_boundary_is_refused(server: LiveServer, version_url: str) -> None:
    head = put_head(server, f"{version_url}/f", "Content-Type: multipart/form-data", "Content-Length: 1")
    answer = exchange(server, head, b"x")
    assert (answer.status, answer.json()) == (400, MALFORMED)


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -5",),
        ("Content-Length: five",),
    ],
    ids=["length-and-chunked", "two-lengths", "negative", "letters"],
)
def test_a_body_whose_length_is_ambiguous_is_refused(
    server: LiveServer, version_url: str, headers: tuple[str, ...]
) -> None:
    answer = exchange(server, put_head(server, f"{version_url}/f", *headers), b"5\r\nhello\r\n0\r\n\r\n")
    assert (answer.status, answer.json()) == (400, INVALID)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


def test_a_client_that_waits_is_told_to_continue(server: LiveServer, version_url: str) -> None:
    with server.connect() as connection:
        connection.sendall(put_head(server, f"{version_url}/f", "Content-Length: 5", "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert read_answer(connection).status == 201


def test_a_client_that_waits_is_refused_without_being_told_to_continue(server: LiveServer, version_url: str) -> None:
    head = put_head(server, f"{version_url}/f", "Content-Length: 5", "Expect: 100-continue", token="wrong")
    with server.connect() as connection:
        connection.sendall(head)
        assert connection.recv(12) == b"HTTP/1.1 401"


def test_a_slow_reader_holds_up_nobody(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    content = bytes(range(256)) * 40_000
    root.put(f"{version_url}/f", content=content)
    with server.connect() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(put_head(server, f"{version_url}/f").replace(b"PUT", b"GET", 1))
        for _ in range(5):
            assert slow.recv(1)
            assert root.get(f"{version_url}/f").content == content


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what a socket takes without sending it")
def test_a_reader_that_does_not_read_gets_little_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = MemoryBlobReader.read

    def noted(reader: MemoryBlobReader, offset: int, length: int) -> bytes:
        read.append(length)
        return original(reader, offset, length)

    monkeypatch.setattr(MemoryBlobReader, "read", noted)
    with running(tmp_path, MemoryBlobStore()) as live, live.client(live.root_token) as root:
        url = _new_version(root)
        root.put(f"{url}/f", content=bytes(20_000_000))
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            slow.connect(("127.0.0.1", live.port))
            slow.sendall(put_head(live, f"{url}/f").replace(b"PUT", b"GET", 1))
            eventually(lambda: len(read) > 10)
            time.sleep(0.3)
            assert sum(read) < 2_000_000  # 6 MB by blocks of 1 MiB, read ahead, and a socket that takes 4 MiB


def test_a_reader_that_leaves_in_the_middle_holds_no_file_open(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    root.put(f"{version_url}/f", content=bytes(20_000_000))

    def open_blobs() -> int:
        descriptors = Path("/proc/self/fd")
        return sum(str(server.settings.blob_root) in _target(each) for each in descriptors.iterdir())

    with server.connect() as connection:
        connection.sendall(put_head(server, f"{version_url}/f").replace(b"PUT", b"GET", 1))
        assert connection.recv(1000)
        assert open_blobs() == 1
    eventually(lambda: open_blobs() == 0)


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def test_a_full_disk_is_507_and_loses_nothing_else(tmp_path: Path) -> None:
    store = MemoryBlobStore(capacity=5_000_000)
    with running(tmp_path, store) as live, live.client(live.root_token) as root:
        url = _new_version(root)
        assert root.put(f"{url}/kept", content=b"kept").status_code == 201
        refused = root.put(f"{url}/f", content=bytes(6_000_000))
        assert (refused.status_code, refused.json()) == (507, {"message": "507 Insufficient Storage"})
        assert missing(root, f"{url}/f")
        assert root.get(f"{url}/kept").content == b"kept"
        assert store.used == 4
        assert root.put(f"{url}/f", content=bytes(1_000_000)).status_code == 201


@pytest.mark.usefixtures("readiness_at_once")
def test_a_broken_store_is_503_and_readiness_turns_red(tmp_path: Path) -> None:
    store = MemoryBlobStore()
    with running(tmp_path, store) as live, live.client(live.root_token) as root:
        url = _new_version(root)
        store.broken = True
        answer = httpx2.get(f"{live.url}/-/readiness")
        assert answer.status_code == 503
        assert answer.json()["blob_store_check"] == [{"status": "failed"}]
        assert answer.json()["database_check"] == [{"status": "ok"}]
        assert root.get(f"{url}/f").status_code == 404


def _new_version(root: httpx2.Client) -> str:
    project = root.post("/projects", json={"name": "p"}).json()["id"]
    base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    root.post(f"{base}/registered-models/create", json={"name": "m"})
    version = root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"
