"""Server processes: started on their cores, waited for, watched and ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bench import tree
from bench.machine import SERVER_CORES, Cores, pinned
from bench.metrics import CPU_PER_FILE, CPU_PER_GIB, CPU_PER_REQUEST, GIB, PEAK, Metrics

HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 20
SETTLE_SECONDS = 240
IDLE_WINDOW, IDLE_SHARE = 1.0, 0.05  # seconds to look at, and the CPU share below which a server is at rest
OK = 200


class Server:
    """A running server process, with everything that it starts."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        cores: Cores = SERVER_CORES,
    ) -> None:
        self.log = log
        self._command = command[0]
        with pinned(cores), log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the suite's own commands
                command,
                cwd=log.parent,  # where no .env of the checkout is read
                env=_as_at_home() | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that a Ctrl-C ends the suite first, and the suite the servers
            )

    def wait_until_ready(self, port: int, path: str, pause: float = 0.01) -> None:
        """Return at the first 200; `pause` is the seconds between two requests. Raises RuntimeError."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if answers(port, path):
                return
            time.sleep(pause)
        self.stop()
        raise RuntimeError(f"{self._command} did not start; its last words:\n{self.log.read_text()[-2000:]}")

    def settle(self) -> None:
        """Wait until the tree is at rest: some answer before all that they start has started."""
        deadline, before = time.monotonic() + SETTLE_SECONDS, tree.cpu_seconds(self._process.pid)
        while time.monotonic() < deadline:
            time.sleep(IDLE_WINDOW)
            now = tree.cpu_seconds(self._process.pid)
            if now - before <= IDLE_SHARE * IDLE_WINDOW:
                return
            before = now

    @property
    def program(self) -> Path:
        """What was started."""
        return Path(self._command)

    @property
    def pid(self) -> int:
        """Id of the process that was started."""
        return self._process.pid

    def stop(self) -> None:
        """End the whole tree: politely, then not."""
        members = tree.begun(tree.members(self._process.pid))
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _kill(pid for pid, moment in tree.begun(members).items() if moment == members[pid])

    def watched(self, work: Callable[[], Metrics], *, size: int = 0) -> Metrics:
        """Do `work` and add what it cost the server: CPU, for a GiB when `size` bytes moved, and peak memory.

        Where `work` tells `requests` or `files`, CPU is for one of them.
        """
        tree.reset_peak(self._process.pid)
        before = tree.cpu_seconds(self._process.pid)
        metrics = work()
        cpu = tree.cpu_seconds(self._process.pid) - before
        requests, files = metrics.pop("requests", 0), metrics.pop("files", 0)
        if size:
            metrics[CPU_PER_GIB] = cpu * GIB / size
        elif files:
            metrics[CPU_PER_FILE] = cpu * 1000 / files
        elif requests:
            metrics[CPU_PER_REQUEST] = cpu * 1000 / requests
        return metrics | {PEAK: tree.peak_mib(self._process.pid)}


def _as_at_home() -> dict[str, str]:
    """This environment without what would have each start compile the program anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def output_of(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    cores: Cores | None = None,
    folder: Path | None = None,
) -> str:
    """What a command prints, run to its end in `folder` on `cores`, else where the suite runs. Raises RuntimeError."""
    with pinned(cores or frozenset(os.sched_getaffinity(0))):
        done = subprocess.run(  # noqa: S603 - the suite's own commands
            command, env=os.environ | dict(environment or {}), cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    return done.stdout


def free_port() -> int:
    """A TCP port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
