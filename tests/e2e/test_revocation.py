"""Three replicas on one database change what the others remember: no answer is older than a change that had been
acknowledged before the request was sent.

`MODELYARD_REVOKING=60` has them do so for a minute.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from modelyard.access.policy import Role
from tests import postgres
from tests.e2e.processes import ServerProcess, launched, wait_until_ready
from tests.ports import free_port

SECONDS = float(os.environ.get("MODELYARD_REVOKING", "6"))
TOKEN = secrets.token_urlsafe(32)
READERS = 2  # of each replica, so that lookups are shared and remembered all the time

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 4 * SECONDS)]


@dataclass
class Replicas:
    """Three server processes, and clients of each."""

    ports: Sequence[int]
    serial: Iterator[int]
    opened: ExitStack  # clients

    def clients(self, token: str) -> list[httpx2.Client]:
        """A client of each replica."""
        headers = {"Authorization": f"Bearer {token}"}
        bases = [f"http://127.0.0.1:{port}/api/v4" for port in self.ports]
        return [self.opened.enter_context(httpx2.Client(base_url=base, headers=headers, timeout=60)) for base in bases]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("revocation")
    environment = {
        "MODELYARD_DATABASE_URL": postgres.cluster().fresh(),
        "MODELYARD_BLOB_URL": f"file://{folder}/blobs",
        "MODELYARD_ROOT_TOKEN": TOKEN,
    }
    with ExitStack() as stack:
        servers: list[ServerProcess] = []
        for number in range(3):
            (folder / str(number)).mkdir()
            server = launched(folder / str(number), free_port(), variables=environment)
            stack.callback(server.kill)
            wait_until_ready(server)
            servers.append(server)
        yield Replicas([server.port for server in servers], itertools.count(1), stack.enter_context(ExitStack()))


def made(answer: httpx2.Response) -> Any:
    assert answer.is_success, (answer.url, answer.status_code, answer.text)
    return answer.json() if answer.content else None


class Scene:
    """A project with a file, and a user of it; who changes something does so through one replica after the other."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.turn = itertools.cycle(range(3))
        self.roots = replicas.clients(TOKEN)
        name = f"p{next(replicas.serial)}"
        self.user = made(
            self.root.post("/users", json={"username": name, "name": name, "email": f"{name}@example.com"})
        )
        self.project = made(self.root.post("/projects", json={"name": name}))["id"]
        made(self.root.post(f"{self.mlflow}/registered-models/create", json={"name": "m"}))
        self.join(Role.DEVELOPER)

    @property
    def root(self) -> httpx2.Client:
        """The administrator, at the next replica."""
        return self.roots[next(self.turn)]

    @property
    def mlflow(self) -> str:
        return f"/projects/{self.project}/ml/mlflow/api/2.0/mlflow"

    def join(self, level: Role) -> None:
        member = {"user_id": self.user["id"], "access_level": int(level)}
        made(self.root.post(f"/projects/{self.project}/members", json=member))

    def new_file(self, content: bytes = b"one") -> str:
        version = made(self.root.post(f"{self.mlflow}/model-versions/create", json={"name": "m"}))["model_version"]
        url = f"/projects/{self.project}/packages/ml_models/{version['version']}/files/f"
        made(self.root.put(url, content=content))
        return url

    def new_token(self) -> tuple[int, list[httpx2.Client]]:
        body = {"name": "t", "scopes": ["api"]}
        token = made(self.root.post(f"/users/{self.user['id']}/personal_access_tokens", json=body))
        return token["id"], self.replicas.clients(token["token"])


def everywhere(clients: Sequence[httpx2.Client], url: str, method: str = "GET") -> list[int]:
    """What each replica answers, asked twice: what is found first is remembered then."""
    return [client.request(method, url).status_code for client in clients for _ in range(2)]


def revoking(scene: Scene) -> None:
    url = scene.new_file()
    token, clients = scene.new_token()
    assert everywhere(clients, url) == [200] * 6
    made(scene.root.delete(f"/personal_access_tokens/{token}"))
    assert everywhere(clients, url) == [401] * 6


def blocking(scene: Scene) -> None:
    url = scene.new_file()
    _token, clients = scene.new_token()
    assert everywhere(clients, url) == [200] * 6
    made(scene.root.post(f"/users/{scene.user['id']}/block"))
    assert set(everywhere(clients, url)) <= {401, 403}
    made(scene.root.post(f"/users/{scene.user['id']}/unblock"))
    assert everywhere(clients, url) == [200] * 6


def demoting(scene: Scene) -> None:
    url = scene.new_file()
    _token, clients = scene.new_token()
    member = f"/projects/{scene.project}/members/{scene.user['id']}"
    assert everywhere(clients, f"{url}/authorize", "PUT") == [200] * 6
    made(scene.root.put(member, json={"access_level": int(Role.GUEST)}))
    assert everywhere(clients, f"{url}/authorize", "PUT") == [403] * 6
    made(scene.root.delete(member))
    assert everywhere(clients, url) == [404] * 6
    scene.join(Role.DEVELOPER)
    assert everywhere(clients, url) == [200] * 6


def replacing(scene: Scene) -> None:
    url = scene.new_file()
    for content in (b"two", b"three"):
        for client in scene.roots:
            client.get(url)
        made(scene.root.put(url, content=content))
        assert [client.get(url).content for client in scene.roots for _ in range(2)] == [content] * 6


def deleting(scene: Scene) -> None:
    url = scene.new_file()
    assert everywhere(scene.roots, url) == [200] * 6
    gone = {"name": "m", "version": url.split("/")[5]}
    made(scene.root.request("DELETE", f"{scene.mlflow}/model-versions/delete", json=gone))
    assert everywhere(scene.roots, url) == [404] * 6


@pytest.mark.parametrize("changing", [revoking, blocking, demoting, replacing, deleting])
def test_no_answer_is_older_than_a_change(replicas: Replicas, changing: Callable[[Scene], None]) -> None:
    scene, over = Scene(replicas), threading.Event()
    busy = scene.new_file()

    def read_on(client: httpx2.Client) -> int:
        count = 0
        while not over.is_set():
            assert client.get(busy).status_code == 200
            count += 1
        return count

    clients = [client for _ in range(READERS) for client in replicas.clients(TOKEN)]
    with ThreadPoolExecutor(len(clients)) as threads:
        readers = [threads.submit(read_on, client) for client in clients]
        try:
            end = time.monotonic() + SECONDS / 5
            changing(scene)
            while time.monotonic() < end:
                changing(scene)
        finally:
            over.set()
        assert all(reader.result() for reader in readers)
