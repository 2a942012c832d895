"""A real PgBouncer, from Debian's package, before a server of `tests/postgres.py`: on a Unix socket in a temporary
folder. It ends with the process that started it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests import postgres

PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
PORT = 6432  # of the socket's name alone
START_SECONDS = 30
CONFIGURATION = """
[databases]
* = host={server} user=postgres

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
admin_users = operator
max_client_conn = 1000
default_pool_size = 60
server_login_retry = 1
"""


@dataclass(frozen=True)
class PgBouncer:
    """A running PgBouncer in its folder."""

    folder: Path
    process: subprocess.Popen[bytes]

    def before(self, url: str) -> str:
        """The URL by which the database at a URL of its server is reached through it."""
        host = {"host": str(self.folder), "port": str(PORT)}
        return make_url(url).update_query_dict(host).render_as_string(hide_password=False)

    def command(self, statement: str) -> None:
        """Give a command on its own console."""
        with psycopg.connect(
            host=str(self.folder), port=PORT, user="operator", dbname="pgbouncer", autocommit=True
        ) as console:
            console.pgconn.exec_(statement.encode())  # it knows no other protocol but the simple one


def require_pgbouncer() -> str:
    """The program; the test is skipped where there is none, and fails there in CI."""
    found = shutil.which("pgbouncer", path=PLACES)
    if found is None:
        reason = "PgBouncer is not installed: apt-get install pgbouncer"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def running_pgbouncer(server: postgres.Cluster, pool_mode: str, **settings: object) -> Iterator[PgBouncer]:
    """PgBouncer before a server, with settings of its own."""
    program, folder = require_pgbouncer(), Path(tempfile.mkdtemp(prefix="pgb-"))  # short: part of a socket's path
    lines = [f"{name} = {value}" for name, value in (settings | {"pool_mode": pool_mode}).items()]
    text = CONFIGURATION.format(server=server.folder, port=PORT, folder=folder)
    (folder / "pgbouncer.ini").write_text(text + "\n".join(lines))
    if os.geteuid() == 0:  # as whom it refuses to run
        for path in (folder, folder / "pgbouncer.ini"):
            shutil.chown(path, postgres.ACCOUNT, postgres.ACCOUNT)
    with (folder / "log").open("wb") as log:
        command = [*postgres.as_account("TERM"), program, folder / "pgbouncer.ini"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        bouncer = PgBouncer(folder, process)
        _wait_until_it_answers(bouncer)
        yield bouncer
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def _wait_until_it_answers(bouncer: PgBouncer) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            bouncer.command("SHOW VERSION")
        except psycopg.OperationalError as error:
            if bouncer.process.poll() is not None or time.monotonic() > give_up:
                raise AssertionError(f"PgBouncer did not start: {(bouncer.folder / 'log').read_text()}") from error
            time.sleep(0.05)
        else:
            return
