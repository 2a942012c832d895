"""Trips to PostgreSQL: how many there are, and that what travels with another statement is as it was on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from modelyard.errors import BadRequest
from modelyard.registry.asking import POSTPONED
from modelyard.registry.base import Question, Repository
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import ExperimentTag, Project, User
from tests import postgres
from tests.databases import ON_POSTGRESQL

pytestmark = pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL")

PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%username_key%'")
LOCKS = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()")
ENOUGH = 8  # times after which psycopg has prepared a statement


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database(postgres.cluster().fresh())
    yield made
    made.close()


def trips(database: Database, tmp_path: Path, run: Callable[[], object]) -> int:
    """How often the server is waited for while `run` is, which uses one connection: its messages ReadyForQuery."""
    run()
    trace, drivers = tmp_path / "trace", list[Any]()
    database.read_now(lambda registry: drivers.append(driver_of(registry)))
    database.read_now(lambda registry: registry.session.execute(select(1)))
    with trace.open("wb") as file:
        drivers[0].pgconn.trace(file.fileno())
        try:
            run()
        finally:
            drivers[0].pgconn.untrace()
    return trace.read_text().count("ReadyForQuery")


def driver_of(registry: Registry) -> Any:
    return registry.session.connection().connection.driver_connection


def test_a_read_of_one_statement_is_one_trip_and_nobody_waits_for_its_end(database: Database, tmp_path: Path) -> None:
    def run() -> None:
        database.read_now(lambda registry: registry.users.any())

    # The end of what was read before arrives in it, too.
    assert trips(database, tmp_path, run) == 2


def test_locks_and_rows_that_are_only_inserted_are_no_trips_of_their_own(database: Database, tmp_path: Path) -> None:
    def work(registry: Registry) -> None:
        registry.locks.accounts()
        registry.users.any()
        registry.blobs.ensure("0" * 64, 1)

    # What was read before has ended; BEGIN, lock and question; the row and COMMIT.
    assert trips(database, tmp_path, lambda: database.write_now(work)) == 3


def test_questions_that_need_no_answer_of_each_other_are_one_trip(database: Database, tmp_path: Path) -> None:
    found: list[list[list[tuple[Any, ...]]]] = []

    def work(registry: Registry) -> None:
        questions: list[Question] = [
            (select(User.id, User.username).where(User.id > least), {}) for least in (0, -1, 10**9)
        ]
        found.append(Repository(registry.transaction).gathered(*questions))

    database.write_now(lambda registry: registry.users.add("one"))
    assert trips(database, tmp_path, lambda: database.read_now(work)) == 2
    assert [[row[1] for row in rows] for rows in found[-1]] == [["one"], ["one"], []]


def test_rows_whose_ids_were_drawn_with_a_question_are_no_trips_of_their_own(
    database: Database, tmp_path: Path
) -> None:
    made: list[int] = []

    def work(registry: Registry) -> None:
        registry.projects.reserve(Project)
        registry.users.any()
        row = Project(
            path=f"p{len(made)}", path_key=f"p/p{len(made)}", namespace_path="p", name="p", visibility="private"
        )
        registry.projects.insert(row)
        made.append(row.id)
        registry.blobs.ensure("0" * 64, 1)

    # What was read before has ended; BEGIN, the id and the question; the rows and COMMIT.
    assert trips(database, tmp_path, lambda: database.write_now(work)) == 3
    found = database.read_now(lambda registry: list(registry.session.scalars(select(Project.id))))
    assert found == made == sorted(made)


def test_an_id_that_has_not_come_is_drawn_by_the_insert_itself(database: Database) -> None:
    def work(registry: Registry) -> list[int]:
        rows = [
            User(username=name, username_key=name, name=name, email=name, state="active")
            for name in ("first", "second")
        ]
        for row in rows:
            registry.users.reserve(User)
            registry.users.insert(row)
            registry.users.any()
        return [row.id for row in rows]

    first, second = database.write_now(work)
    assert first < second
    assert database.read_now(lambda registry: list(registry.session.scalars(select(User.id)))) == [first, second]


def test_what_is_asked_ahead_is_as_it_is_when_the_next_statement_runs(database: Database) -> None:
    def work(registry: Registry) -> tuple[Any, Any, Any]:
        repository, key = Repository(registry.transaction), "users"
        registry.users.add("before")
        repository.ask_ahead([key], select(func.count()).select_from(User), {}, lambda rows: rows[0])
        early = repository.asked_ahead(key)
        repository.ask_ahead([key], select(func.count()).select_from(User), {}, lambda rows: rows[0])
        registry.users.any()
        return early, repository.asked_ahead(key), repository.asked_ahead(key)

    assert database.write_now(work) == (None, 1, None)


def test_a_lock_is_there_before_the_statement_behind_it_looks(database: Database) -> None:
    def work(registry: Registry) -> tuple[int, int]:
        registry.locks.project(7)
        held: int = registry.session.scalar(LOCKS) or 0
        registry.locks.blob("0" * 64)
        return held, registry.session.scalar(LOCKS) or 0

    assert database.write_now(work) == (1, 2)


def test_statements_stay_prepared_behind_reads_and_refusals(database: Database) -> None:
    def refuse(registry: Registry) -> None:
        registry.users.by_username("nobody")
        raise BadRequest("no")

    def prepared() -> int:
        return database.read_now(lambda registry: registry.session.scalar(PREPARED) or 0)

    for _ in range(ENOUGH):
        database.read_now(lambda registry: registry.users.by_username("nobody"))
        with pytest.raises(BadRequest):
            database.write_now(refuse)
    assert prepared() > 0


def test_nothing_of_a_refused_transaction_is_kept_nor_sent_later(database: Database) -> None:
    def refuse(registry: Registry) -> None:
        registry.users.any()
        registry.blobs.ensure("0" * 64, 1)
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        database.write_now(refuse)
    database.write_now(lambda registry: registry.users.any())
    assert database.read_now(lambda registry: registry.blobs.is_damaged("0" * 64)) is None


def test_what_failed_is_told_and_not_that_something_had() -> None:
    from psycopg import errors  # noqa: PLC0415 - of an extra

    from modelyard.registry.backends.postgresql_trips import reason_of  # noqa: PLC0415 - needs the driver

    def hidden(first: Exception) -> Any:
        try:
            try:
                raise first
            finally:
                raise errors.PipelineAborted
        except errors.PipelineAborted as error:
            return error

    first = errors.UniqueViolation()
    assert reason_of(hidden(first)) is first
    aborted = hidden(ValueError())
    assert reason_of(aborted) is aborted


def test_a_row_that_cannot_be_kept_fails_the_commit_and_takes_the_rest_with_it(database: Database) -> None:
    def work(registry: Registry) -> None:
        registry.blobs.ensure("0" * 64, 1)
        row = {"experiment_id": 1, "key": "of nothing", "value": ""}
        registry.session.connection().execute(insert(ExperimentTag), row, execution_options=POSTPONED)

    with pytest.raises(IntegrityError):
        database.write_now(work)
    assert database.read_now(lambda registry: registry.blobs.is_damaged("0" * 64)) is None
    for _ in range(ENOUGH):  # on the same connection, whose prepared statements are those of the server
        database.write_now(lambda registry: registry.blobs.ensure("1" * 64, 1))
    assert database.read_now(lambda registry: registry.blobs.is_damaged("1" * 64)) is False


def test_a_statement_that_fails_is_told_by_its_own_error_and_the_connection_goes_on(database: Database) -> None:
    for _ in range(ENOUGH):
        with pytest.raises(DBAPIError, match="division by zero"):
            database.read_now(lambda registry: registry.session.execute(text("SELECT 1 / 0")))
        assert database.read_now(lambda registry: registry.session.scalar(select(1))) == 1


def test_what_is_read_on_a_connection_that_was_lost_is_read_again(database: Database) -> None:
    pids: list[int] = []
    database.read_now(lambda registry: pids.append(driver_of(registry).info.backend_pid))
    postgres.cluster().execute(f"SELECT pg_terminate_backend({pids[0]}, 5000)")
    assert database.read_now(lambda registry: registry.users.any()) is False


def test_a_read_does_not_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        database.read_now(lambda registry: registry.users.add("late"))
    assert database.read_now(lambda registry: registry.users.by_username("late")) is None


def test_all_that_one_transaction_reads_is_of_one_moment(database: Database) -> None:
    def work(registry: Registry) -> tuple[bool, bool]:
        before = registry.users.any()
        database.write_now(lambda other: other.users.add("meanwhile"))
        return before, registry.users.any()

    assert database.read_now(work) == (False, False)
    assert database.read_now(lambda registry: registry.users.any()) is True
