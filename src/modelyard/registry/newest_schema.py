"""The newest schema of SQLite, as all revisions one after another make it: a new database is made by it at once.

The revisions take 0.4 s of a first start, half of it for the import of Alembic.
They stay what says how the schema is: `make schema` writes the file from what they make, and a test holds it to that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from modelyard.registry.revisions import migrations_folder


def written() -> Path:
    """The file that has it."""
    return migrations_folder() / "newest_sqlite.sql"


def create(connection: Connection) -> bool:
    """Make all of it, unless the database is another one than SQLite, or has anything in it already."""
    if connection.dialect.name != "sqlite" or connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
        return False
    cursor = connection.connection.cursor()
    for statement in _statements(written().read_text()):
        cursor.execute(statement)
    return True


def _statements(script: str) -> Iterator[str]:
    held = ""
    for line in script.splitlines(keepends=True):
        held += line
        if sqlite3.complete_statement(held):
            yield held
            held = ""
