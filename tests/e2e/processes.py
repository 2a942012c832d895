"""The server as a process of its own, one or several of them on one registry."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.commands import Command, environment_of, finished
from tests.databases import migrated_database
from tests.ports import free_port
from tests.preloaded import SPAWNED
from tests.waiting import eventually, listens

MIB = 1024 * 1024


@dataclass
class ServerProcess:
    """`modelyard serve` on a folder."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def client(self) -> httpx2.Client:
        token = (self.folder / "data" / "root-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}/api/v4", headers=headers, timeout=60)

    def log(self) -> str:
        """All that it has written."""
        return (self.folder / "server.log").read_text()

    def workers(self, count: int) -> list[int]:
        """The ids of its server processes, once there are so many."""
        found: list[int] = []

        def are_there() -> bool:
            found[:] = [pid for pid in self._children() if SPAWNED in _told_of(pid)]
            return len(found) == count

        eventually(are_there)
        return found

    def _children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def peak_memory(self) -> int:
        """Bytes that were resident at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def kill(self) -> None:
        """Kill the process, and with it its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """One server, with a clean environment and `environment` in addition; its database has the newest schema."""
    if "MODELYARD_DATABASE_URL" not in (environment or {}):
        migrated_database(folder / "data")
    with _started(folder, arguments, environment or {}) as server:
        wait_until_ready(server)
        yield server


@contextmanager
def replicas(folder: Path, count: int, **variables: str) -> Iterator[list[ServerProcess]]:
    """Several servers on one registry and one folder of blobs, started at once."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_started(folder, (), variables)) for _ in range(count)]
        for server in servers:
            wait_until_ready(server)
        yield servers


def new_version(client: httpx2.Client, name: str = "p") -> str:
    """The path of the files of a new version, in a new project of that name."""
    project = client.post("/projects", json={"name": name}).json()["id"]
    base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    client.post(f"{base}/registered-models/create", json={"name": "m"})
    version = client.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"


def upkeep(folder: Path, variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on a server's folder, with a grace period that is over at once."""
    environment = environment_of(folder, {"MODELYARD_GC_GRACE": "0", **variables})
    return finished(arguments, cwd=folder, env=environment)


def slowly(content: bytes, pause: float, begun: threading.Event | None = None) -> Iterator[bytes]:
    """The content in pieces of 1 MiB, with pauses in seconds; `begun` is set when 4 MiB are sent."""
    for start in range(0, len(content), MIB):
        yield content[start : start + MIB]
        if begun and start >= 3 * MIB:
            begun.set()
        time.sleep(pause)


def together(work: Callable[[int], None], count: int) -> None:
    """Run `work` in that many threads at once; fails if any of them does."""
    failures: list[BaseException] = []

    def guarded(i: int) -> None:
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _told_of(pid: int) -> str:
    """What a process was started with, and its name; nothing where it has ended meanwhile."""
    try:
        return "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "comm"))
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def _started(folder: Path, arguments: tuple[str, ...], variables: Mapping[str, str]) -> Iterator[ServerProcess]:
    server = launched(folder, free_port(), arguments, variables)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(60)


def launched(
    folder: Path, port: int, arguments: tuple[str, ...] = (), variables: Mapping[str, str] | None = None
) -> ServerProcess:
    """A server that was just started, which the caller ends."""
    with (folder / "server.log").open("ab") as log:
        process = Command(
            ("serve", "--port", str(port), *arguments),
            cwd=folder,
            env=environment_of(folder, variables),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return ServerProcess(folder, port, process)


def wait_until_ready(server: ServerProcess) -> None:
    for _ in range(1200):
        assert server.process.poll() is None, "the server stopped at its start"
        try:
            ready = f"http://127.0.0.1:{server.port}/-/readiness"
            if listens(server.port) and httpx2.get(ready).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not become ready")
