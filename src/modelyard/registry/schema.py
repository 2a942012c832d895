"""The schema's history: Alembic's revisions, applied under the database's own write lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

PACKAGE = Path(__file__).resolve().parent.parent


def migrations_folder() -> Path:
    """Where the revisions lie: inside an installed package, or at the top of the repository."""
    packaged = PACKAGE / "migrations"
    return packaged if packaged.is_dir() else PACKAGE.parent.parent / "migrations"


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision. Processes that do so at once wait for each other."""
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "head")


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may change the schema.

    SQLite alters a table by copying and dropping it. Rows that refer to it would be deleted then, were foreign keys
    enforced meanwhile; they are checked at the end instead (sqlite.org/lang_altertable.html, section 7).
    """
    with engine.execution_options(writing=True).connect() as connection:
        driver = connection.connection.cursor() if engine.dialect.name == "sqlite" else None
        if driver:
            driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                if driver and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise RuntimeError("the migration would break references between tables")
        finally:
            if driver:
                driver.execute("PRAGMA foreign_keys=ON")


def is_current(engine: Engine) -> bool:
    """Whether the database is at the newest revision."""
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    return revision == ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, to act on a connection that has begun to write."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
