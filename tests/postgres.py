"""A real PostgreSQL server that the tests start themselves, and databases in it: on a Unix socket, in a temporary
folder, without fsync. It ends with the process that started it.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest

from modelyard.registry.engine import make_engine
from modelyard.registry.schema import migrate

BINARIES = Path("/usr/lib/postgresql")  # Debian's place, a folder for each major version
ACCOUNT = "postgres"  # whom Debian's package makes; the server refuses to run as root
OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=400", "shared_buffers=64MB")
TEMPLATE = "migrated"


class Cluster:
    """One PostgreSQL server with its data; `durable` with its own settings of what it waits for."""

    def __init__(self, binaries: Path, *, durable: bool = False) -> None:
        self._binaries = binaries
        self._options = OPTIONS[2:] if durable else OPTIONS
        self._serial = itertools.count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: it is part of a socket's path
        if os.geteuid() == 0:
            shutil.chown(self.folder, ACCOUNT, ACCOUNT)
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases, as the settings take it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def fresh(self, *, migrated: bool = True) -> str:
        """The URL of a new database, with the newest schema or without any."""
        name = f"test_{next(self._serial)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._migrated() if migrated else 'template0'}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        """Run one statement as the server's administrator."""
        with psycopg.connect(host=str(self.folder), user="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [part for option in self._options for part in ("-c", option)]
        with (self.folder / "log").open("ab") as log:
            command = [*as_account("QUIT"), self._binaries / "postgres", "-D", self._data, "-h", "", "-k", self.folder]
            self._process = subprocess.Popen([*command, *settings], stdout=log, stderr=log, cwd="/")
        for _ in range(600):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("PostgreSQL did not start")

    def stop(self) -> None:
        """Stop the server at once, with all its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """Kill all its processes with SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)  # so that it begins none meanwhile
            of_it = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
            for pid in (self._process.pid, *map(int, of_it.split())):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Stop the server and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @cache  # noqa: B019 - a cluster lives as long as the tests
    def _migrated(self) -> str:
        self.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        engine = make_engine(self.url(TEMPLATE))
        migrate(engine)
        engine.dispose()
        return TEMPLATE

    def _run(self, command: str, *arguments: str) -> None:
        done = subprocess.run(
            [*as_account("QUIT"), self._binaries / command, "-D", self._data, *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def as_account(end: str) -> list[str | Path]:
    """The beginning of a command that gets the signal `end` when this process ends, and never runs as root."""
    who = [f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *who, f"--pdeathsig={end}"]


def new_cluster(*, durable: bool = False) -> Cluster:
    """A server of one's own; the test is skipped where PostgreSQL is not installed, and fails there in CI."""
    found = sorted(BINARIES.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        reason = f"PostgreSQL's server is not installed: nothing lies in {BINARIES}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    cluster = Cluster(found[-1], durable=durable)
    atexit.register(cluster.remove)
    return cluster


@cache
def cluster() -> Cluster:
    """The server that all tests share."""
    return new_cluster()
