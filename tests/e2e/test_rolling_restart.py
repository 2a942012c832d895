"""SIGHUP with several workers: each is replaced by a new one, and no request notices."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.e2e.processes import MIB, ServerProcess, new_version, serving, slowly
from tests.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it looks at the workers in /proc"),
    pytest.mark.timeout(600),
]

RESTARTS = 4
PAUSE = 0.02  # seconds after each request
SECONDS = 120  # for what takes as long as starting processes on a machine that is busy
SMALL, LARGE = os.urandom(1024), os.urandom(6 * MIB)


def restart(server: ServerProcess) -> None:
    """Restart all workers, and wait until it is done."""
    done = server.log().count("workers replaced")
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: server.log().count("workers replaced") > done, SECONDS)


class Load:
    """Clients that ask again and again, and note every request that does not end as it should."""

    def __init__(self, server: ServerProcess, files: str) -> None:
        self._port = server.port
        self._files = f"/api/v4{files}"
        self._headers = {"Authorization": server.client.headers["authorization"]}
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._connections = ExitStack()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Clients of all kinds at work."""
        kinds: list[tuple[str, Callable[[], None]]] = [
            ("one connection", self._on_one_connection(0)),
            ("rests", self._on_one_connection(0.3)),
            ("rests long", self._on_one_connection(3)),
            ("new connections", self._on_a_new_connection),
            ("new connections", self._on_a_new_connection),
            ("upload", self._upload),
            ("slow upload", self._upload_slowly),
            ("slow download", self._download_slowly),
        ]
        threads = [threading.Thread(target=self._again_and_again, args=kind) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._connections.close()

    def _again_and_again(self, kind: str, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
                self.done[kind] += 1
                time.sleep(PAUSE)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{kind}: {error!r}")

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)

    def _ask_once(self, method: str, name: str, body: object = None) -> bytes:
        with closing(self._connection()) as connection:
            return self._ask(connection, method, name, body)

    def _ask(self, connection: http.client.HTTPConnection, method: str, name: str, body: object = None) -> bytes:
        length = {"Content-Length": str(len(LARGE))} if isinstance(body, Iterator) else {}
        connection.request(method, f"{self._files}/{name}", body, self._headers | length)  # type: ignore[arg-type]
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (200, 201), (answer.status, content[:200])
        return content

    def _on_one_connection(self, rest: float) -> Callable[[], None]:
        connection = self._connections.enter_context(closing(self._connection()))

        def work() -> None:
            # What the server has not said that it closes is open: no client sends a request a second time.
            try:
                assert self._ask(connection, "GET", "small") == SMALL
            except Exception:
                connection.close()
                raise
            time.sleep(rest)

        return work

    def _on_a_new_connection(self) -> None:
        assert self._ask_once("GET", "small") == SMALL

    def _upload(self) -> None:
        name = f"new-{next(self._numbers)}"
        self._ask_once("PUT", name, name.encode())
        assert self._ask_once("GET", name) == name.encode()

    def _upload_slowly(self) -> None:
        """For longer than a restart may take, and than transfers get at a stop."""
        self._ask_once("PUT", "slow", slowly(LARGE, 1.5))
        assert self._ask_once("GET", "slow") == LARGE

    def _download_slowly(self) -> None:
        with closing(self._connection()) as connection:
            connection.request("GET", f"{self._files}/large", headers=self._headers)
            answer = connection.getresponse()
            received = b""
            while part := answer.read(MIB // 2):
                received += part
                time.sleep(0.5)
        assert received == LARGE


def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    environment = {"MODELYARD_SHUTDOWN_TIMEOUT": "1"}
    with serving(tmp_path, "--workers", "2", environment=environment) as server:
        with server.client as client:  # whose connection, as long as it rests, would keep a worker
            files = new_version(client)
            for name, content in (("small", SMALL), ("large", LARGE)):
                assert client.put(f"{files}/{name}", content=content).status_code == 201
        load, seen = Load(server, files), set(server.workers(2))
        with load.going_on():
            for _ in range(RESTARTS):
                restart(server)
        assert load.failures == []
        assert set(load.done) == {
            *("one connection", "rests", "rests long", "new connections", "upload", "slow upload", "slow download")
        }
        eventually(lambda: seen.isdisjoint(server.workers(2)), SECONDS)


def test_a_connection_that_rests_is_ended_with_its_next_answer_and_a_worker_lives_as_long_as_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, ExitStack() as stack:
        before, patient = server.workers(2), httpx2.Limits(keepalive_expiry=None)
        resting = [stack.enter_context(httpx2.Client(limits=patient)) for _ in range(16)]
        eventually(lambda: server.log().count("Application startup complete") == len(before), SECONDS)
        for each in resting:
            assert "connection" not in each.get(f"http://127.0.0.1:{server.port}/-/health").headers
        restart(server)
        assert set(before) < set(server.workers(4))
        for each in resting:
            answer = each.get(f"http://127.0.0.1:{server.port}/-/readiness")
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        eventually(lambda: set(before).isdisjoint(server.workers(2)), SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_a_restart(tmp_path: Path, number: signal.Signals) -> None:
    """And the workers that come, those that go, and the others."""
    with serving(tmp_path, "--workers", "2") as server, httpx2.Client() as resting:
        resting.get(f"http://127.0.0.1:{server.port}/-/health")
        workers = {*server.workers(2)}
        server.process.send_signal(signal.SIGHUP)
        workers.update(server.workers(3))
        server.process.send_signal(number)
        assert server.process.wait(SECONDS) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_restart_reads_the_settings_anew(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, server.client as client:
        files = new_version(client)
        assert client.put(f"{files}/a", content=bytes(100)).status_code == 201
        (tmp_path / ".env").write_text("MODELYARD_MAX_FILE_SIZE=99\n")
        restart(server)
        for _ in range(8):
            with server.client as other:
                assert other.put(f"{files}/a", content=bytes(100)).status_code == 400


def test_workers_that_cannot_start_leave_those_that_serve(tmp_path: Path) -> None:
    """Whether they come for them, or for one that died; as soon as they can, they do."""
    with serving(tmp_path, "--workers", "2") as server:
        health = f"http://127.0.0.1:{server.port}/-/health"
        before = server.workers(2)
        eventually(lambda: server.log().count("Application startup complete") == 2, SECONDS)  # with the old settings
        (tmp_path / ".env").write_text("MODELYARD_GC_GRACE=soon\n")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "replacing workers given up" in server.log(), SECONDS)
        assert server.workers(2) == before
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: server.log().count("worker cannot serve") >= 2, SECONDS)
        eventually(lambda: "worker died" in server.log())
        time.sleep(1)  # until what waited for the dead one is let go
        for _ in range(16):
            assert httpx2.get(health, timeout=5).status_code == 200
        assert "MODELYARD_GC_GRACE: input should be a valid integer" in server.log()
        assert "Traceback" not in server.log()
        (tmp_path / ".env").unlink()
        eventually(lambda: len(server.workers(2)) == 2, SECONDS)
        restart(server)
        assert set(before).isdisjoint(server.workers(2))
        assert httpx2.get(health).status_code == 200


def test_workers_can_be_added_and_taken_away(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        health = f"http://127.0.0.1:{server.port}/-/health"
        server.process.send_signal(signal.SIGTTIN)
        server.workers(3)
        for count in (2, 1, 1):
            server.process.send_signal(signal.SIGTTOU)
            eventually(lambda: len(server.workers(count)) == count, SECONDS)  # noqa: B023 - it is called at once
            for _ in range(8):
                assert httpx2.get(health, timeout=SECONDS).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGWINCH])
def test_signals_without_a_meaning_end_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        before = server.workers(2)
        server.process.send_signal(number)
        restart(server)
        assert server.process.poll() is None
        assert set(before).isdisjoint(server.workers(2))
