"""Copies of a PostgreSQL database, by `pg_dump` and `pg_restore` in their custom format."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, func, make_url, select, text

from modelyard.errors import CommandError
from modelyard.registry.backends.postgresql import TIMEOUTS
from modelyard.registry.backends.sessions import joined_options, split_options
from modelyard.registry.engine import analyze, make_engine
from modelyard.registry.schema import migrate
from modelyard.registry.snapshots.base import LEFT_OUT, Snapshot, Snapshots, disposed

# What belongs to the server or to an extension is no part of a registry, and often needs rights to restore.
PLAIN = ("--no-owner", "--no-privileges", "--no-comments", "--no-tablespaces")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_TABLES = text(
    "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
)


class PostgreSQLSnapshots(Snapshots):
    """A copy is what `pg_dump --format=custom` writes."""

    kind = "postgresql"
    suffix = ".pgdump"

    @contextmanager
    def taken(self, path: Path) -> Iterator[Snapshot]:
        """See `Snapshots.taken`: `pg_dump` looks at the same snapshot as the connection."""
        from modelyard.registry.backends.postgresql_trips import READING  # noqa: PLC0415 - needs the driver

        with (
            disposed(make_engine(self.url)) as engine,
            engine.connect().execution_options(begin=READING) as connection,
        ):
            # It waits for pg_dump, as long as that takes.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            _refuse_old("pg_dump", _server_version(connection))
            snapshot = connection.scalar(select(func.pg_export_snapshot()))
            try:
                left_out = (f"--exclude-table-data={table}" for table in LEFT_OUT)
                self._run("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={path}", *PLAIN, *left_out)
            except CommandError as error:
                # It names the file only where it cannot be opened, not where there is no more room for it.
                raise CommandError(f"{error}: '{path}'") from error
            yield Snapshot(connection)

    def refuse_unless_empty(self) -> None:
        """See `Snapshots.refuse_unless_empty`: there must be no table."""
        with disposed(make_engine(self.url)) as engine, engine.connect() as connection:
            if connection.scalar(_TABLES):
                raise CommandError("the database is not empty")

    def put_back(self, path: Path) -> None:
        """See `Snapshots.put_back`: `pg_restore` works in one transaction."""
        self.refuse_unless_empty()
        self._run("pg_restore", "--exit-on-error", "--single-transaction", *PLAIN, str(path))
        with disposed(make_engine(self.url)) as engine:
            migrate(engine)
            analyze(engine)

    def _run(self, program: str, *arguments: str) -> None:
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - an extra that others do without

        url = make_url(self.url)
        _, parameters = url.get_dialect()().create_connect_args(url)
        given, others = split_options(url)
        # These programs turn timeouts off themselves, and PgBouncer takes no options.
        kept = {name: value for name, value in given.items() if name not in TIMEOUTS}
        parameters["options"] = joined_options(kept, others)
        password = parameters.pop("password", None)  # a command line can be read by everybody on the machine
        secrets = {"PGPASSWORD": str(password)} if password is not None else {}
        _output(program, "--no-password", f"--dbname={make_conninfo(**parameters)}", *arguments, **secrets)


def _refuse_old(program: str, server: int) -> None:
    """Raise CommandError where a program is older than the server, whose tables it need not understand."""
    found = _VERSION.search(_output(program, "--version"))
    if found is None or int(found[1]) < server:
        have = found[1] if found else "unknown"
        raise CommandError(
            f"{program} is of PostgreSQL {have}, and the server of {server}: install the client's {server}"
        )


def _output(program: str, *arguments: str, **variables: str) -> str:
    """What a program prints. Raises CommandError with one line of what it says when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - arguments, not a shell's line
            [program, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise CommandError(f"{program} is not installed; it comes with PostgreSQL's client programs") from error
    if done.returncode != 0:
        said = done.stderr.splitlines() or [f"{program}: error: status {done.returncode}"]
        raise CommandError(next((line for line in said if "error: " in line), said[-1]))
    return done.stdout


def _server_version(connection: Connection) -> int:
    return int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000
