"""Three server processes behind a real nginx, with PostgreSQL and Swift: each may end at any time."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import postgres
from tests.e2e.processes import MIB, ServerProcess, launched, new_version, slowly, upkeep, wait_until_ready
from tests.nginx import Nginx, require_nginx, running_nginx
from tests.ports import free_port
from tests.s3 import BUCKET, S3Server

TOKEN = secrets.token_urlsafe(32)
CLIENTS = 4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Yard:
    """The replicas, each with a data folder of its own, and what is in front of them."""

    nginx: Nginx
    folder: Path
    environment: dict[str, str]
    replicas: list[ServerProcess]

    def client(self, replica: ServerProcess | None = None) -> httpx2.Client:
        """A client of one replica, or of nginx."""
        port = replica.port if replica else self.nginx.port
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v4", headers=headers, timeout=60)

    def restart(self, number: int) -> None:
        """Start a replica that has ended, at the same address."""
        old = self.replicas[number]
        self.replicas[number] = launched(old.folder, old.port, variables=self.environment)
        wait_until_ready(self.replicas[number])


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, swift: S3Server) -> Iterator[Yard]:
    require_nginx()
    folder = tmp_path_factory.mktemp("replicas")
    environment = swift.environment | {
        "MODELYARD_DATABASE_URL": postgres.cluster().fresh(migrated=False),
        "MODELYARD_BLOB_URL": f"s3://{BUCKET}/{secrets.token_hex(4)}",
        "MODELYARD_ROOT_TOKEN": TOKEN,
        "MODELYARD_SHUTDOWN_DELAY": "5",
    }
    with ExitStack() as stack:
        replicas = []
        for number in range(3):
            (folder / str(number)).mkdir()
            replicas.append(launched(folder / str(number), free_port(), variables=environment))
        running = Yard(Nginx(0, folder), folder, environment, replicas)
        stack.callback(_end, running)
        for replica in replicas:
            wait_until_ready(replica)
        running.nginx = stack.enter_context(running_nginx(folder / "nginx", [each.port for each in replicas]))
        yield running


def _end(yard: Yard) -> None:
    for replica in yard.replicas:
        if replica.process.poll() is None:
            replica.kill()


@dataclass
class Load:
    """What clients sent meanwhile: requests that failed, with the time when they began, and uploads that were kept."""

    failed: list[tuple[float, str]] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)

    def sent(self, client: httpx2.Client, method: str, url: str, **options: Any) -> bool:
        """Send a request; whether it was answered well."""
        begun = time.monotonic()
        try:
            answer = client.request(method, url, **options)
        except httpx2.TransportError as error:
            self.failed.append((begun, f"{method} {error!r}"))
            return False
        if answer.status_code >= 400 or (method == "GET" and len(answer.content) != MIB):
            self.failed.append((begun, f"{method} {answer.status_code} {answer.text[:200]}"))
            return False
        self.answered[method] += 1
        return True


@contextmanager
def load(yard: Yard) -> Iterator[Load]:
    """Clients that go on until the block ends, with all kinds of requests, one after the other."""
    seen, over = Load(), threading.Event()
    with yard.client() as client:
        files = new_version(client, f"p-{secrets.token_hex(4)}")
        assert client.put(f"{files}/read", content=b"x" * MIB).status_code == 201
    runs = f"{files.partition('/packages')[0]}/ml/mlflow/api/2.0/mlflow/runs/create"

    def work(number: int) -> None:
        with yard.client() as client:
            for i in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
                name, content = f"{files}/{number}-{i}", os.urandom(2 * MIB if i % 10 == 0 else 1000)
                if seen.sent(client, "PUT", name, content=content):
                    seen.kept[name] = content
                seen.sent(client, "GET", f"{files}/read")
                seen.sent(client, "POST", runs, json={"experiment_id": "0"})
                time.sleep(0.05)  # so that little has to be read again at the end

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
    with yard.client() as client:
        for name, content in seen.kept.items():
            assert client.get(name).content == content


def test_what_one_replica_takes_another_gives(yard: Yard) -> None:
    content = os.urandom(20 * MIB)
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(yard.client(each)) for each in yard.replicas)
        files = new_version(first)
        assert first.put(f"{files}/large", content=content).status_code == 201
        assert second.get(f"{files}/large").content == content
        assert third.get(f"{files}/large", headers={"Range": "bytes=5-9"}).content == content[5:10]
        token = first.post("/users/1/personal_access_tokens", json={"name": "t", "scopes": ["api"]}).json()
        own = {"Authorization": f"Bearer {token['token']}"}
        for other in (second, third):
            assert other.get(f"{files}/large", headers=own | {"Range": "bytes=0-0"}).status_code == 206
        assert third.delete(f"/personal_access_tokens/{token['id']}").status_code == 204
        for other in (first, second):
            assert other.get(f"{files}/large", headers=own).status_code == 401
        package = second.get(f"{files.partition('/ml_models')[0]}").json()[0]["id"]
        assert second.delete(f"{files.partition('/ml_models')[0]}/{package}").status_code == 204
        for other in (first, third):
            assert other.get(f"{files}/large").status_code == 404


def test_rolling_all_replicas_one_by_one_fails_no_request(yard: Yard) -> None:
    with load(yard) as seen:
        time.sleep(1)
        for number, replica in enumerate(list(yard.replicas)):
            replica.process.send_signal(signal.SIGTERM)
            assert replica.process.wait(60) == 0
            yard.restart(number)
            time.sleep(1)
    assert seen.failed == []
    assert min(seen.answered[method] for method in ("PUT", "GET", "POST")) > 20
    for replica in yard.replicas:
        assert f"127.0.0.1:{replica.port} 20" in yard.nginx.log()


def test_a_kill_fails_nothing_but_what_was_under_way_there(yard: Yard) -> None:
    killed = yard.replicas[1]
    before = len(yard.nginx.log().splitlines())
    with load(yard) as seen:
        time.sleep(1.5)
        killed.kill()
        moment = time.monotonic()  # a process that is dying still takes connections: only now it is gone
        time.sleep(2)
        yard.restart(1)
        time.sleep(1)
    assert [failure for begun, failure in seen.failed if begun > moment] == []
    assert len(seen.failed) <= CLIENTS
    for line in yard.nginx.log().splitlines()[before:]:
        assert not re.search(r'" 50\d ', line) or f" 127.0.0.1:{killed.port} 502 " in line, line
    checked = upkeep(yard.folder, yard.environment, "check", "--read")
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr


def test_a_long_upload_outlives_the_stop_of_its_replica(yard: Yard) -> None:
    content, answers, begun = os.urandom(30 * MIB), [], threading.Event()
    with yard.client(yard.replicas[0]) as client:
        files = new_version(client, f"p-{secrets.token_hex(4)}")

        def upload() -> None:
            with yard.client(yard.replicas[0]) as other:
                answers.append(other.put(f"{files}/slow", content=slowly(content, 0.25, begun)))

        uploading = threading.Thread(target=upload)
        uploading.start()
        assert begun.wait(60)
        yard.replicas[0].process.send_signal(signal.SIGTERM)
        ready = f"http://127.0.0.1:{yard.replicas[0].port}/-/readiness"
        while (answer := httpx2.get(ready)).status_code == 200:
            time.sleep(0.02)
        assert answer.json() == {"status": "failed", "shutdown_check": [{"status": "failed"}]}
        assert answer.headers["connection"] == "close"
        assert client.get("/version").headers["connection"] == "close"  # taken all the same
    assert yard.replicas[0].process.wait(60) == 0
    uploading.join()
    assert [each.status_code for each in answers] == [201]
    yard.restart(0)
    with yard.client() as client:
        assert client.get(f"{files}/slow").content == content
