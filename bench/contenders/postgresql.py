"""PostgreSQL as Debian installs it, durable as it is without any setting, on a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench.machine import Cores
from bench.process import Server
from bench.tools import MissingError

BINARIES = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"
START_SECONDS = 60


class Postgresql:
    """A running server with an empty database, whose data lies beside those of the other contenders."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        found = sorted(BINARIES.glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            raise MissingError("PostgreSQL's server is not installed: apt-get install postgresql")
        self._binaries = found[-1]
        folder.mkdir(parents=True, exist_ok=True)
        self._socket = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path is short
        self._data = folder / "postgresql"
        self._data.mkdir()
        for each in (self._socket, self._data) if os.geteuid() == 0 else ():
            shutil.chown(each, ACCOUNT, ACCOUNT)
        self._run("initdb", "-D", str(self._data), "--auth=trust", "--encoding=UTF8", "--username=postgres")
        command = [*_as_account(), str(self._binaries / "postgres"), "-D", str(self._data), "-h", "", "-k"]
        options = ["-c", "max_connections=300", "-c", "shared_buffers=512MB"]
        self.server = Server([*command, str(self._socket), *options], folder / "server.log", cores=cores)
        self._wait()

    @property
    def url(self) -> str:
        """The URL of the database, as the settings take it."""
        return f"postgresql+psycopg://postgres@/modelyard?host={self._socket}"

    def stop(self) -> None:
        """End the server and remove its data."""
        self.server.stop()
        shutil.rmtree(self._socket, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._run("createdb", "-h", str(self._socket), "-U", "postgres", "modelyard")
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise
                time.sleep(0.1)
            else:
                return

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_account(), str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/")  # noqa: S603 - the suite's own commands


def _as_account() -> list[str]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["/usr/bin/setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"]
