"""The schema's history: Alembic's revisions, applied by one process at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import OperationalError

from modelyard.registry import newest_schema
from modelyard.registry.revisions import migrations_folder, newest_revision, revision_of

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger()

# Milliseconds, of PostgreSQL alone.
CHANGE_TIMEOUT = 3_600_000
TABLE_LOCK_TIMEOUT = 5_000
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE
MIGRATION_LOCK = 0x6D6F64656C796172  # "modelyar"
ATTEMPTS = 10
PAUSE_SECONDS = 2.0


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision. Processes that do so at once wait for each other.

    On PostgreSQL a change waits only briefly for transactions of others, since all that come later would wait behind
    it; then it is put off, and tried again.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with changing(engine) as connection:
                before = revision_of(connection)
                newest_schema.create(connection)
                if revision_of(connection) != newest_revision():
                    _upgrade(connection)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or attempt == ATTEMPTS:
                raise
            log.warning("the schema is in use; its change is tried again", attempt=attempt)
            time.sleep(PAUSE_SECONDS)
        else:
            if before != newest_revision():
                log.info("schema migrated", before=before, now=newest_revision())
            return


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a new database of SQLite needs none of it

    command.upgrade(alembic_config(connection), "head")


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may change the schema, at a time when no other process does."""
    with engine.execution_options(writing=True).connect() as connection:
        alone = _changing_sqlite if engine.dialect.name == "sqlite" else _changing_postgresql
        with alone(connection):
            yield connection


@contextmanager
def _changing_sqlite(connection: Connection) -> Iterator[None]:
    """SQLite alters a table by copying and dropping it. Rows that refer to it would be deleted then, were foreign keys
    enforced meanwhile; they are checked at the end instead (sqlite.org/lang_altertable.html, section 7).
    """
    driver = connection.connection.cursor()
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            yield
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError("the migration would break references between tables")
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


@contextmanager
def _changing_postgresql(connection: Connection) -> Iterator[None]:
    """The timeouts of ordinary statements do not fit: a change may take long, and another process's even longer."""
    with connection.begin():
        for name, milliseconds in (("statement_timeout", CHANGE_TIMEOUT), ("lock_timeout", CHANGE_TIMEOUT)):
            connection.exec_driver_sql(f"SET LOCAL {name} = {milliseconds}")
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {TABLE_LOCK_TIMEOUT}")
        yield


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, to act on a connection that has begun to write."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
