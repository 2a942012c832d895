"""Whatever lookups are made of sets a mark when it changes, whoever changes it; and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Table, event, func, select, text
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ClauseElement

from modelyard.access.tokens import digest_of
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import lookup_statement
from modelyard.registry.tables import Mark
from modelyard.services.hub.commits import Commits
from modelyard.services.hub.files import HubFiles, HubRequest
from modelyard.terms.paths import OwnerKind
from modelyard.terms.repositories import RepositoryId
from tests.cli.test_copy_database import OWNER, TOKEN, Filling
from tests.databases import database_url
from tests.live import running

# Columns that entities are read with, and that nothing of a file's place is made of.
UNUSED = {
    "models": {"description", "user_id", "updated_at"},
    "model_versions": {
        *("description", "source", "run_link", "stage", "run_id", "logged_model_id", "user_id", "updated_at"),
        *(
            "followed_candidate_id",
            "followed_model_id",
            "followed_directory",
            "location",
        ),  # which only writers are told
    },
    # What is given once: content, and the files that a commit's id is made of.
    "blobs": {"sha256", "size", "created_at"},
    "package_files": {"sha256"},  # which must be known; a file of other bytes is another row
    "commits": {"manifest", "size"},
}
# By which rows are found, and found again by others: no statement of ours changes them.
KEYS = {"id", "project_id", "user_id", "model_id", "model_version_id", "package_id", "candidate_id", "logged_model_id"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A registry in which there is one of everything."""
    folder = tmp_path_factory.mktemp("marks")
    with running(folder, root_token=TOKEN) as live, live.client(TOKEN) as client:
        Filling(client).fill()
    database = Database(database_url(folder))
    yield database
    database.close()


def columns_of(statement: ClauseElement) -> set[Column[Any]]:
    found: set[Column[Any]] = set()
    for element in visitors.iterate(statement):
        if isinstance(element, Column) and element.table is not None:
            table = getattr(element.table, "element", element.table)
            if isinstance(table, Table):
                found.add(table.c[element.name])
    return found


@pytest.fixture(scope="module")
def read(database: Database) -> set[Column[Any]]:
    """The columns that are read by lookups of files, in both APIs that remember what they find."""
    statements: list[ClauseElement] = [lookup_statement(by_id, kind) for by_id in (True, False) for kind in OwnerKind]

    def note(_connection: Connection, statement: Any, *_more: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_execute", note)
    files = HubFiles(database, Commits(database))
    repository = RepositoryId(OWNER, "p")
    for revision in ("main", "champion", "1.0.0"):
        request = HubRequest(digest_of(TOKEN), repository, revision, "d/f")
        located = database.read_now(partial(files._find, request=request))
    assert located.location.file is not None
    asyncio.run(files.locate(request))  # which keeps the commit
    database.read_now(partial(files._find, request=request._replace(revision=located.commit)))
    event.remove(database.engine, "before_execute", note)
    return set().union(*map(columns_of, statements))


def marks(connection: Connection) -> list[Any]:
    return sorted(map(tuple, connection.execute(select(Mark))))


def changed(column: Column[Any]) -> str:
    if column.type.python_type is bool:
        return f"NOT {column.name}"
    if column.type.python_type is int:
        return f"-1 - coalesce({column.name}, 0)"
    return f"{column.name} || 'x'"


def test_each_column_that_a_lookup_reads_sets_a_mark(database: Database, read: set[Column[Any]]) -> None:
    watched = [column for column in read if column.name not in KEYS and column.table.name != "marks"]
    watched = [column for column in watched if column.name not in UNUSED.get(column.table.name, ())]
    assert len(watched) > 30
    silent = []
    for column in watched:
        with database.engine.connect() as connection:
            before = marks(connection)
            connection.exec_driver_sql(f"UPDATE {column.table.name} SET {column.name} = {changed(column)}")
            if marks(connection) == before:
                silent.append(f"{column.table.name}.{column.name}")
            connection.rollback()
    assert silent == []


def test_each_row_that_a_lookup_reads_sets_a_mark_when_it_goes(database: Database, read: set[Column[Any]]) -> None:
    silent = []
    tables = {column.table.name for column in read} - {"marks"}
    assert len(tables) >= 11
    for name in sorted(tables - {"blobs"}):  # to which files refer
        with database.engine.connect() as connection:
            before = marks(connection)
            connection.exec_driver_sql(f"DELETE FROM {name}")
            if marks(connection) == before:
                silent.append(name)
            connection.rollback()
    assert silent == []
    with database.engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO blobs (sha256, size, created_at) VALUES ('a', 1, 0)")
        known = set(marks(connection))
        connection.exec_driver_sql("DELETE FROM blobs WHERE sha256 = 'a'")
        assert {scope for scope, *_ in set(marks(connection)) - known} == {"forgotten blobs"}
        connection.rollback()


def test_rows_that_come_set_the_mark_of_their_project(database: Database) -> None:
    copies = {
        "members": "(project_id, user_id, access_level, created_at) SELECT 1, id, 20, 0 FROM users WHERE name = 'new'",
        "package_files": (
            "(id, package_id, name, sha256, size, created_at)"
            " SELECT max(id) + 1, min(package_id), 'new', min(sha256), 1, 0 FROM package_files"
        ),
        "model_aliases": (
            "(model_id, alias, model_version_id) SELECT model_id, 'new', model_version_id FROM model_aliases"
        ),
    }
    user = "'new', 'new', 'new', '', 'active', false, false, 0"
    user_columns = "username, username_key, name, email, state, admin, bot, created_at"
    for table, values in copies.items():
        with database.engine.connect() as connection:
            connection.exec_driver_sql(f"INSERT INTO users ({user_columns}) VALUES ({user})")
            before = marks(connection)
            connection.exec_driver_sql(f"INSERT INTO {table} {values}")
            new = set(marks(connection)) - set(before)
            assert {scope for scope, *_ in new} == {"project 1"}, table
            connection.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens SET last_used_at = 1",
        "UPDATE projects SET last_candidate_iid = 99, updated_at = 1, description = 'x'",
        "UPDATE candidates SET status = 'FAILED', end_time = 1, updated_at = 1",
        "UPDATE candidate_latest_metrics SET value = 1",
        "UPDATE packages SET last_downloaded_at = 1, updated_at = 1",
        "UPDATE model_versions SET description = 'x', stage = 'Archived', updated_at = 1",
        "INSERT INTO blobs (sha256, size, created_at) VALUES ('a', 1, 0)",
        "DELETE FROM audit_events",
        "UPDATE users SET username = username, admin = admin",
    ],
)
def test_what_no_lookup_reads_leaves_everything_remembered(database: Database, statement: str) -> None:
    with database.engine.connect() as connection:
        before = marks(connection)
        assert connection.exec_driver_sql(statement).rowcount
        assert marks(connection) == before
        connection.rollback()


def test_a_change_within_a_savepoint_that_is_taken_back_is_marked_when_it_comes_again(database: Database) -> None:
    statement = text("UPDATE users SET state = 'blocked' WHERE id = 1")
    with database.engine.connect() as connection:
        before = marks(connection)
        savepoint = connection.begin_nested()
        connection.execute(statement)
        inner = marks(connection)
        savepoint.rollback()
        assert marks(connection) == before != inner
        connection.execute(statement)
        assert marks(connection) not in (before, inner)
        connection.rollback()
        assert marks(connection) == before


def test_a_project_that_goes_with_all_its_files_is_marked_still(database: Database) -> None:
    with database.engine.connect() as connection:
        of_project = select(func.sum(Mark.mark)).where(Mark.scope == "project 1")
        before = connection.scalar(of_project)
        connection.exec_driver_sql("DELETE FROM projects WHERE id = 1")
        assert connection.scalar(of_project) != before
        connection.rollback()
