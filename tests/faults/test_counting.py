"""What only counts fails no request, no start and no worker, whatever becomes of the folder for temporary files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.commands import Command, environment_of
from tests.e2e.processes import MIB, ServerProcess, new_version, serving, wait_until_ready
from tests.faults.conftest import SMALL
from tests.faults.test_disk import small_disk
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it looks at the workers in /proc"),
    pytest.mark.timeout(600),
]

WORKERS = ("--workers", "2")


def fill(folder: Path) -> None:
    with suppress(OSError), (folder / "others").open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()


def take_all_names(folder: Path) -> None:
    with suppress(OSError):
        for number in range(100_000):
            (folder / f"other-{number}").touch()


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", folder.parent], check=True)


def ask_every_route(server: ServerProcess) -> int:
    """Ask each route for something, each as the first of its kind; how many requests that were."""
    asked = 0
    with server.client as client:
        paths = httpx2.get(f"http://127.0.0.1:{server.port}/openapi.json", timeout=60).json()["paths"]
        for path, operations in paths.items():
            if path.startswith("/api/v4/") and "get" in operations:
                assert client.get(_filled(path.removeprefix("/api/v4"))).status_code < 500, path
                asked += 1
    return asked


def _filled(path: str) -> str:
    while "{" in path:
        before, _, rest = path.partition("{")
        path = f"{before}1{rest.partition('}')[2]}"
    return path


def counted(server: ServerProcess) -> float:
    """The requests of the API that `/metrics` tells."""
    answer = httpx2.get(f"http://127.0.0.1:{server.port}/metrics", timeout=60)
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if line.startswith("modelyard_http_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'route="/api/v4/' in line)


def goes_on(server: ServerProcess) -> None:
    """Hold that all routes answer by the same workers, that all are counted, and that a dead worker is replaced."""
    workers, before = server.workers(2), counted(server)
    asked = ask_every_route(server)
    assert asked > 30
    eventually(lambda: counted(server) == before + asked)
    assert server.workers(2) == workers
    os.kill(workers[0], signal.SIGKILL)
    eventually(lambda: workers[0] not in server.workers(2))
    assert [counted(server) for _ in range(8)] == [before + asked] * 8


@pytest.mark.parametrize("fault", [fill, take_all_names, make_read_only, shutil.rmtree], ids=lambda f: f.__name__)
@pytest.mark.parametrize("when", ["before", "afterwards"])
def test_no_room_for_temporary_files(tmp_path: Path, fault: Callable[[Path], None], when: str) -> None:
    """Full, without a name that is free, read-only or gone, before the start or afterwards."""
    with temporary_folder() as folder:
        if when == "before":
            fault(folder)
        with serving(tmp_path, *WORKERS, environment={"TMPDIR": str(folder)}) as server:
            if when == "afterwards":
                fault(folder)
            goes_on(server)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder on a small disk of its own, with few names."""
    with small_disk(256 * 1024, "nr_inodes=20") as disk:
        (disk / "tmp").mkdir()
        yield disk / "tmp"


def test_one_disk_for_all_that_is_full() -> None:
    """What is there is served, by the same workers and by those that follow them."""
    with small_disk(20 * MIB) as disk:
        (disk / "tmp").mkdir()
        with serving(disk, *WORKERS, environment={"TMPDIR": str(disk / "tmp")}) as server, server.client as client:
            files = new_version(client)
            assert client.put(f"{files}/small", content=SMALL).status_code == 201
            fill(disk)
            workers = server.workers(2)
            for _ in range(8):
                with server.client as other:
                    assert other.get(f"{files}/small").content == SMALL
                    assert other.put(f"{files}/new", content=os.urandom(MIB)).status_code in (503, 507)
                assert httpx2.get(f"http://127.0.0.1:{server.port}/-/health").status_code == 200
                assert counted(server) > 0
            assert server.workers(2) == workers
            os.kill(workers[1], signal.SIGKILL)
            eventually(lambda: workers[1] not in server.workers(2))
            for _ in range(8):
                with server.client as other:
                    assert other.get(f"{files}/small").content == SMALL


def test_nothing_is_left_of_servers_that_were_killed(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for _ in range(2):
        with serving(tmp_path, *WORKERS, environment={"TMPDIR": str(temporary)}) as server:
            assert counted(server) == 0
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nowhere_to_announce_the_start_and_no_room_for_the_log(tmp_path: Path, workers: str) -> None:
    port = free_port()
    with Path("/dev/full").open("wb") as full:
        process = Command(
            ("serve", "--port", str(port), "--workers", workers),
            cwd=tmp_path,
            env=environment_of(tmp_path),
            stdout=full,
            stderr=full,
            start_new_session=True,
        )
    server = ServerProcess(tmp_path, port, process)
    try:
        wait_until_ready(server)
        assert ask_every_route(server) > 30
    finally:
        process.terminate()
        process.wait(60)
