"""A connection to PostgreSQL that saves trips: what needs no answer travels with the next statement that does.

A trip costs more than most of our statements: the thread gives up the interpreter, waits for the server, and waits for
the interpreter again. So BEGIN, locks and rows that are only inserted are sent with whatever comes after them, COMMIT
with what came before it, and several questions that need no answer of each other together, in libpq's pipeline mode.
So do ids: they are drawn with a question before, so that rows need no answer, and the locks are held by then.
The server runs them in their order, each with a snapshot of its own where the transaction has not one for all: a lock
is there before the statement behind it looks. Where one fails, those behind it are not run, and who asked the next
question is told, or who commits.

The end of a reading transaction is not waited for. It is COMMIT, as psycopg forgets with each ROLLBACK what it has
prepared, and the server would parse and plan every statement of every read anew.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, cast

from psycopg import Connection, Cursor, OperationalError, Pipeline
from psycopg import Error as PostgreSQLError
from psycopg.errors import PipelineAborted
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Connection as Connected
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExecutionContext

WRITING = b"BEGIN ISOLATION LEVEL READ COMMITTED"
READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
Row: TypeAlias = tuple[Any, ...]
Question: TypeAlias = tuple[str, Parameters]
Told: TypeAlias = Callable[[list[Row]], None]  # is given the rows of a statement


class LeanConnection(Connection[Row]):
    """One that begins transactions by `begin` alone: it is in psycopg's autocommit mode."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the driver's own
        super().__init__(*arguments, **options)
        self._begun = b""  # how the transaction begins, until that is sent
        self._unsent: list[tuple[str, Parameters, Told | None]] = []
        self._reading = False
        self._ending = False  # a transaction whose end was not waited for

    def begin(self, statement: bytes) -> None:
        """Begin a transaction with the next statement."""
        self.settle()
        self._begun, self._reading = statement, statement is READING

    def postpone(self, statement: str, parameters: Parameters, told: Told | None = None) -> None:
        """Send a statement with the next one that is answered, and tell its rows then. Only within a transaction."""
        self._unsent.append((statement, parameters, told))

    def run(self, cursor: Cursor[Row], statement: str, parameters: Parameters) -> None:
        """Execute a statement, behind whatever is to be sent before it."""
        self.settle()
        if not self._begun and not self._unsent:
            cursor.execute(statement.encode(), parameters)
            return
        with self._behind_unsent():
            cursor.execute(statement.encode(), parameters)

    def run_many(self, cursor: Cursor[Row], statement: str, rows: Sequence[Parameters]) -> None:
        """Execute a statement with each of several rows of parameters."""
        self.settle()
        with self._behind_unsent():
            cursor.executemany(statement.encode(), rows)

    def ask_together(self, questions: Sequence[Question]) -> list[list[Row]]:
        """The rows that each of several statements finds, in one trip."""
        self.settle()
        cursors = [self.cursor() for _ in questions]
        with self._behind_unsent():
            for cursor, (statement, parameters) in zip(cursors, questions, strict=True):
                cursor.execute(statement.encode(), parameters)
        return [cursor.fetchall() for cursor in cursors]

    def commit(self) -> None:
        """Commit, behind whatever was not sent; nothing where nothing was done."""
        if self._unsent:
            with self._behind_unsent() as pipeline:
                self._queue(pipeline, b"COMMIT")
            return
        if self._begun:
            self._begun = b""
            return
        super().commit()

    def rollback(self) -> None:
        """End a transaction of which nothing is kept; one that only reads, without waiting."""
        self._begun = b""
        self._unsent.clear()
        if self._ending or self.closed:
            return
        if self.pgconn.transaction_status != TransactionStatus.INTRANS:
            super().rollback()  # of what has failed, it need not be prepared what psycopg takes for it
        elif self._reading:
            self._ending = True
            self.pgconn.send_query(b"COMMIT")
            self.pgconn.flush()
        else:
            # What is prepared stays so: psycopg forgets it, as tables may have been made that are no more.
            result = self.pgconn.exec_(b"ROLLBACK")
            if result.status != ExecStatus.COMMAND_OK:
                raise OperationalError(result.error_message.decode(errors="replace").strip())

    def set_autocommit(self, value: bool) -> None:
        """See psycopg, which allows it where nothing runs. SQLAlchemy does so as it takes a connection back."""
        self.settle()
        super().set_autocommit(value)

    def settle(self) -> None:
        """Take in the answer that was not waited for; where there is none, the next statement will say why."""
        if not self._ending:
            return
        self._ending = False
        connection, arrived = self.pgconn, select.poll()
        try:
            arrived.register(connection.socket, select.POLLIN)
            while connection.is_busy():
                arrived.poll()
                connection.consume_input()
            while connection.get_result() is not None:
                pass
        except PostgreSQLError:
            pass

    @contextmanager
    def _behind_unsent(self) -> Iterator[Pipeline]:
        """A block whose statements go in one trip with everything that was not sent before."""
        begun, self._begun = self._begun, b""
        unsent, self._unsent = self._unsent, []
        try:
            with self.pipeline() as pipeline:
                if begun:
                    self._queue(pipeline, begun)
                sent = [self.execute(statement.encode(), parameters) for statement, parameters, _ in unsent]
                yield pipeline
            for cursor, (_statement, _parameters, told) in zip(sent, unsent, strict=True):
                if told is not None:
                    told(cursor.fetchall())
        except PostgreSQLError as error:
            if self.pgconn.transaction_status not in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self.close()  # it is lost, or did not even begin: then what psycopg takes for prepared need not be so
            if (reason := reason_of(error)) is not error:
                raise reason from error
            raise

    def _queue(self, pipeline: Pipeline, command: bytes) -> None:
        """Send a command with what comes next, as psycopg does its own."""
        pipeline.command_queue.append(partial(self.pgconn.send_query_params, command, None))
        pipeline.result_queue.append(None)


def reason_of(error: PostgreSQLError) -> PostgreSQLError:
    """What has failed, where psycopg says only that something before had.

    It does where it takes in the answers in two turns: what the second one raises hides the first.
    """
    while isinstance(error, PipelineAborted) and isinstance(error.__context__, PostgreSQLError):
        error = error.__context__
    return error


def make_lean(engine: Engine) -> None:
    """Have the connections of an engine be lean ones. Its transactions begin as the execution option `begin` says, by
    default as writing ones, and not at all where it is empty or the option `isolation_level` is AUTOCOMMIT.

    A statement with the option `postponed` is sent with the next one, and what is its option `told` is given its rows
    then; one with the option `gathered`, a list, is added to that, and not run.
    """
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _settle)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "do_executemany", _execute_many)


def _connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> LeanConnection:
    return LeanConnection.connect(*arguments, **options)


def _settle(connection: LeanConnection, *_more: object) -> None:
    connection.settle()


def _begin(connection: Connected) -> None:
    options = connection.get_execution_options()
    begin: bytes = options.get("begin", b"" if options.get("isolation_level") == "AUTOCOMMIT" else WRITING)
    driver: Any = connection.connection.driver_connection
    if begin:
        driver.begin(begin)


def _execute(cursor: Cursor[Row], statement: str, parameters: Parameters, context: ExecutionContext) -> bool:
    connection, options = cast("LeanConnection", cursor.connection), context.execution_options
    if (gathered := options.get("gathered")) is not None:
        gathered.append((statement, parameters))
    elif options.get("postponed"):
        connection.postpone(statement, parameters, options.get("told"))
    else:
        connection.run(cursor, statement, parameters)
    return True


def _execute_many(cursor: Cursor[Row], statement: str, rows: Sequence[Parameters], _context: object) -> bool:
    cast("LeanConnection", cursor.connection).run_many(cursor, statement, rows)
    return True
