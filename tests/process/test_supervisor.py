"""What becomes of workers that cannot start, that hang, or that the system does not let be made."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from modelyard.process import listening, supervisor
from modelyard.process.supervisor import Supervisor
from modelyard.process.workers import HUNG_SECONDS, START_SECONDS, Worker
from tests.commands import Command, environment_of, finished
from tests.e2e.processes import ServerProcess, wait_until_ready
from tests.ports import free_port
from tests.waiting import eventually

SECONDS = 90

SERVE = """
import sys
from uvicorn import Config
from modelyard import logs
from modelyard.process import listening
from modelyard.errors import CommandError
from modelyard.process.supervisor import Supervisor

def application():
    {application}

if __name__ == "__main__":
    logs.configure("info", "json")
    Supervisor(Config(application, factory=True, workers=2), listening.claim("127.0.0.1", 0)).run()
"""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("application", "said"),
    [
        ('raise CommandError("there is no\\nroom")', "worker cannot serve"),
        ('raise ZeroDivisionError("a bug")', "ZeroDivisionError: a bug"),
        ("sys.exit(7)", "worker died"),
    ],
    ids=["mistake", "bug", "exit"],
)
def test_a_server_none_of_whose_workers_can_start_ends_with_a_status_of_its_own(
    tmp_path: Path, application: str, said: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(SERVE.format(application=application))
    done = finished(("--workers",), program=program, cwd=tmp_path)  # so that its workers are forks as well
    assert done.returncode == STARTUP_FAILURE
    assert said in done.stderr
    assert ("Traceback" in done.stderr) is ("bug" in said)
    if said == "worker cannot serve":
        assert '"error":"there is no room"' in done.stderr


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    """An application."""


@contextmanager
def worker(application: object = _nothing) -> Iterator[Worker]:
    claims = listening.freed(listening.claim("127.0.0.1", 0))
    made = Worker(Config(application, lifespan="off", log_config=None, workers=2), claims)  # type: ignore[arg-type]
    listening.close(claims)
    try:
        yield made
    finally:
        made.tell(signal.SIGKILL)
        eventually(lambda: not made.lives)


def becomes_ready(made: Worker) -> bool:
    made.look(0)
    return made.ready


def test_a_worker_that_hangs_is_killed_and_one_that_is_heard_of_is_not() -> None:
    with worker() as made:
        made.look(HUNG_SECONDS + 1)  # it has all the time that a start may take
        eventually(lambda: becomes_ready(made), SECONDS)
        for _ in range(3):
            time.sleep(1.1)  # in which there is a beat
            made.look(HUNG_SECONDS - 1)
            assert made.lives
        os.kill(made.pid, signal.SIGSTOP)
        made.look(0)
        with capture_logs() as lines:
            made.look(HUNG_SECONDS + 1)
        assert [line["event"] for line in lines] == ["worker hangs"]
        eventually(lambda: not made.lives)
        assert made.exit_code == -signal.SIGKILL
        made.look(1)  # nothing is heard of the dead
        made.tell(signal.SIGTERM)


def test_a_worker_that_does_not_come_to_serve_is_killed() -> None:
    with worker() as made:
        os.kill(made.pid, signal.SIGSTOP)
        made.look(START_SECONDS + 1)
        eventually(lambda: not made.lives)
        assert not made.ready


def test_where_the_system_lets_no_worker_be_made_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> Worker:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(supervisor, "Worker", refuse)
    config = Config("none:none", lifespan="off", log_config=None, workers=2)
    supervised = Supervisor(config, listening.claim("127.0.0.1", 0))
    handlers = {number: signal.getsignal(number) for number in supervisor._SIGNALS}
    try:
        with capture_logs() as lines, pytest.raises(SystemExit) as end:
            supervised.run()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert end.value.code == STARTUP_FAILURE
    assert {line["event"] for line in lines} == {"worker cannot be started"}
    assert "Resource temporarily unavailable" in lines[0]["error"]


TOGETHER = """
from modelyard.process import supervisor
from modelyard.cli import main

if __name__ == "__main__":
    supervisor._SPREADS = False
    main()
"""


def test_where_the_system_does_not_spread_connections_workers_share_a_socket(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(TOGETHER)
    port = free_port()
    with (tmp_path / "server.log").open("wb") as log:
        arguments = ("serve", "--workers", "2", "--port", str(port))
        program, environment = tmp_path / "program.py", environment_of(tmp_path)
        process = Command(arguments, program, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    server = ServerProcess(tmp_path, port, process)
    try:
        wait_until_ready(server)
        for number, said in (
            (signal.SIGHUP, "workers replaced"),
            (signal.SIGTTIN, ""),
            (signal.SIGTTOU, "Finished server"),
        ):
            process.send_signal(number)
            eventually(lambda: said in server.log(), SECONDS)  # noqa: B023 - it is called at once
            for _ in range(8):
                assert httpx2.get(f"http://127.0.0.1:{port}/-/health", timeout=SECONDS).status_code == 200
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/-/health")
