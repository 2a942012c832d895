"""Every operation of the OpenAPI document, asked by strangers and guests with bodies that nobody should send.

Whoever adds an endpoint has it held to this without a line: who is not known is told so, whatever came with it; and
what is refused costs little memory, no long turn of the event loop, and a short answer.
"""

from __future__ import annotations

import http.client
import json
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.databases import migrated_database
from tests.raw import Answer, read_answer

MIB = 1024 * 1024
SIZE = 8 * MIB - 1024
MEMORY_BYTES = 20 * MIB
BODY_BYTES = 8 * MIB  # the body itself, of those who may send one
TURN_SECONDS = 0.05
ANSWER_BYTES = 4096
WRONG = "myd_wrong"
WRITING = ("post", "put", "patch", "delete")

FIELD = b"%(field)s"
NAMED_WITHIN = 64  # the first bytes of a body, in which its field is named

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def _filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    return start + unit * ((SIZE - len(start) - len(end)) // len(unit)) + end


BODIES: dict[str, tuple[str, bytes]] = {
    "numbers": (JSON, _filled(b'{"%(field)s":[', b"0,", b"0]}")),
    "objects": (JSON, _filled(b'{"%(field)s":[', b"{},", b"{}]}")),
    "texts": (JSON, _filled(b'{"%(field)s":[', b'"ab",', b'"ab"]}')),
    "members": (JSON, _filled(b"{", b'"a":0,', b'"b":1}')),
    "deep": (JSON, _filled(b'{"%(field)s":', b"[", b"")),
    "text": (JSON, _filled(b'{"%(field)s":"', b"a", b'"}')),
    "escapes": (JSON, _filled(b'{"%(field)s":["\\\\u0000', b"\\\\", b'"]}')),
    "pairs": (FORM, b"&" * SIZE),
    "quoted": (FORM, _filled(b"%(field)s=", b"%%41", b"").replace(b"%%", b"%")),
    "parts": (
        "multipart/form-data; boundary=b",
        _filled(b"", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n', b"--b--\r\n"),
    ),
}


@dataclass(frozen=True)
class Operation:
    """One operation of the document, and the field of its body that is a list, if one is."""

    method: str
    path: str
    field: str
    public: bool
    strange: bool  # no credential is looked at

    def told(self, token: str | None) -> Container[int]:
        """What somebody is answered who is not known."""
        if self.strange:
            return range(200, 500)
        return {200, 204, 401, 404} if self.public and token is None else {401}


@dataclass(frozen=True)
class Host:
    """The watched server."""

    port: int
    root: httpx2.Client
    guest: str
    operations: tuple[Operation, ...]

    def costs(self) -> dict[str, float]:
        """Memory in bytes and the longest turn in seconds since this was last asked for."""
        found: dict[str, float] = json.loads(self.send(b"GET", "/-/costs", []).body)
        return found

    def send(self, method: bytes, path: str, headers: list[str], *body: bytes | memoryview) -> Answer:
        """What is answered, as soon as it is, though the body, in its parts, is not sent whole then."""
        lines = [f"{method.decode()} {path} HTTP/1.1", "Host: x", *headers, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            with suppress(ConnectionError):
                connection.sendall("\r\n".join(lines).encode())
                for piece in _pieces(body):
                    if select.select([connection], [], [], 0)[0]:
                        break
                    connection.sendall(piece)
            return read_answer(connection, method.decode())


def _pieces(body: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    for part in body:
        for start in range(0, len(part), 65536):
            yield part[start : start + 65536]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("watched")
    command = [sys.executable, "-m", "tests.hostile.watched", str(folder), migrated_database(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as root:
                yield _prepared(root, folder, port)
        finally:
            process.kill()


def _prepared(root: httpx2.Client, folder: Path, port: int) -> Host:
    root.headers["PRIVATE-TOKEN"] = (folder / "root-token").read_text().strip()
    user = root.post("/api/v4/users", json={"username": "guest", "name": "g", "email": "g@example.com"}).json()["id"]
    made = root.post(f"/api/v4/users/{user}/personal_access_tokens", json={"name": "t", "scopes": ["api"]}).json()
    project = root.post("/api/v4/projects", json={"name": "p"}).json()["id"]
    root.post(f"/api/v4/projects/{project}/members", json={"user_id": user, "access_level": 10})
    operations = tuple(_operations(root.get("/openapi.json").json(), project))
    for each in operations:  # whose first request makes what later ones find
        root.request(each.method, each.path, json={}, headers={"PRIVATE-TOKEN": made["token"]})
    return Host(port, root, made["token"], operations)


def _operations(document: dict[str, Any], project: int) -> Iterator[Operation]:
    for template, methods in document["paths"].items():
        if template == "/metrics":  # which is open to this machine
            continue
        filled = template.replace("{project}", str(project)).replace("{path}", "candidate:1/file")
        filled = filled.replace("{owner}/{repository}", "root/p").replace("{revision}", "main")
        path = re.sub(r"\{\w+\}", "1", filled)
        for method, told in methods.items():
            field, security = _list_field(document, told), told.get("security")
            yield Operation(method.upper(), path, field, {} in (security or ()), security is None)


def _list_field(document: dict[str, Any], told: dict[str, Any]) -> str:
    schema = told.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for name, field in schema.get("properties", {}).items():
        if "array" in {field.get("type"), *(kind.get("type") for kind in field.get("anyOf", ()))}:
            return str(name)
    return next(iter(schema.get("properties", {})), "x")


def _is_file(operation: Operation) -> bool:
    """Whether the body is a file's, which is as large as it likes."""
    return operation.method == "PUT" and ("/files/" in operation.path or "/mlflow-artifacts/" in operation.path)


def _shortest(host: Host, turn: float, ask: Callable[[], object]) -> float:
    """The longest turn of the loop while it is asked; the least of three tries, as other work on the machine only adds
    to it.
    """
    for _ in range(2):
        if turn >= TURN_SECONDS:
            ask()
            turn = min(turn, host.costs()["turn"])
    return turn


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("token", [None, WRONG], ids=["without", "wrong"])
def test_strangers_are_told_that_alone(host: Host, token: str | None, kind: str) -> None:
    credential = [f"PRIVATE-TOKEN: {token}"] if token else []
    content_type, body = BODIES[kind]
    before = host.costs()["now"]

    def ask() -> None:
        for operation in host.operations:
            headers = [*credential, f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
            answer = host.send(operation.method.encode(), operation.path, headers, body)
            assert answer.status in operation.told(token), (operation, answer)
            assert len(answer.body) < ANSWER_BYTES

    ask()
    costs = host.costs()
    assert costs["peak"] - before < MEMORY_BYTES
    assert _shortest(host, costs["turn"], ask) < TURN_SECONDS


@pytest.mark.parametrize("kind", BODIES)
def test_guests_make_nobody_wait(host: Host, kind: str) -> None:
    content_type, pattern = BODIES[kind]
    rest = memoryview(pattern)[NAMED_WITHIN:]  # of which no operation needs a copy
    assert FIELD not in bytes(rest)
    before = host.costs()["now"]
    for operation in host.operations:
        if _is_file(operation):
            continue
        body = (pattern[:NAMED_WITHIN].replace(FIELD, operation.field.encode()), rest)
        length = f"Content-Length: {sum(map(len, body))}"
        headers = [f"PRIVATE-TOKEN: {host.guest}", f"Content-Type: {content_type}", length]
        answer = host.send(operation.method.encode(), operation.path, headers, *body)
        assert answer.status < 500 or answer.status == http.client.NOT_IMPLEMENTED, (operation, answer)
        assert len(answer.body) < ANSWER_BYTES or answer.status == http.client.OK
        costs = host.costs()
        again = partial(host.send, operation.method.encode(), operation.path, headers, *body)
        assert _shortest(host, costs["turn"], again) < TURN_SECONDS, (operation, costs)
        assert costs["peak"] - before < BODY_BYTES + MEMORY_BYTES, (operation, costs)
        before = costs["now"]


def test_bodies_that_never_end_are_not_waited_for(host: Host) -> None:
    """Nobody's, where it is announced to be large or its end is not known; but of what strangers are to send."""
    for operation in host.operations:
        if operation.strange or (operation.method == "GET" and not operation.public):
            continue
        for framing in ("Content-Length: 8000000", "Transfer-Encoding: chunked", "Expect: 100-continue"):
            headers = [f"PRIVATE-TOKEN: {WRONG}", f"Content-Type: {JSON}", framing]
            if framing.startswith("Expect"):
                headers.append("Content-Length: 100")
            answer = host.send(operation.method.encode(), operation.path, headers)
            assert answer.status == 401, (operation, framing, answer)


@pytest.mark.parametrize("token", [None, WRONG], ids=["without", "wrong"])
def test_long_paths_are_forgotten(host: Host, token: str | None) -> None:
    credential = [f"PRIVATE-TOKEN: {token}"] if token else []
    before = host.costs()["now"]
    for number in range(1500):
        long = f"{number}".ljust(5000, "a")
        path = f"/api/v4/projects/{long}%2F{long}/packages/ml_models/candidate:{long}/files/f"
        assert host.send(b"GET", path, credential).status in {401, 404}
    assert host.costs()["now"] - before < 8 * MIB
