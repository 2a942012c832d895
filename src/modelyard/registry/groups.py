"""Writes that came together and are committed together, where a commit costs more than what it commits.

SQLite has one writer at a time, and each commit waits for the disk. While it does, others queue; those of them that are
brief are run in one transaction, each within a savepoint of its own, so that one that is refused takes back only what
is its own. Nobody is answered before the commit. Where the database itself fails, in a statement or as it commits,
nothing of them is kept, and each is run once more by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from contextvars import Context
from functools import partial
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from modelyard.registry.repository import Registry
from modelyard.registry.usage import Usage

T = TypeVar("T")
Transaction: TypeAlias = AbstractContextManager[Connection]  # committed at the end, and rolled back by an exception

log = structlog.get_logger()

MAX_MEMBERS = 32  # so that the first waits no longer for the last than for a few commits


class Member(Generic[T]):
    """A unit of work in a group; `alone` runs it in a transaction of its own. `context` is that of its request."""

    def __init__(self, work: Callable[[Registry], T], alone: Callable[[], T], context: Context) -> None:
        self.outcome = Future[T]()
        self._work = work
        self._alone = alone
        self._context = context
        self._settled: Callable[[], T] | None = None

    def join(self, session: Session, cursor: Any, usage: Usage) -> None:  # noqa: ANN401 - the driver's
        """Do it in a group's transaction, within a savepoint. Raises what the database does where it fails.

        The driver is asked directly: SQLAlchemy's own savepoints take longer than many a statement.
        """
        cursor.execute("SAVEPOINT member")
        try:
            result = self._context.run(self._work, Registry(session, usage))
            session.flush()
        except SQLAlchemyError:
            raise
        except Exception as error:
            cursor.execute("ROLLBACK TO member")
            self._settled = partial(_raise, error)
        else:
            self._settled = lambda: result
        session.expunge_all()  # the next one is to know nothing of what this one has looked at, or not kept
        cursor.execute("RELEASE member")

    def undo(self) -> None:
        """Know that nothing of it was kept."""
        self._settled = None

    def settle(self) -> None:
        """Tell what came of it, now that it is kept; what was not is done alone."""
        try:
            result = (self._settled or partial(self._context.run, self._alone))()
        except BaseException as error:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(result)


def taken(waiting: deque[Member[Any]]) -> list[Member[Any]]:
    """Those that have waited longest and are waited for, at most as many as may be one group."""
    longest = [waiting.popleft() for _ in range(min(len(waiting), MAX_MEMBERS))]
    return [member for member in longest if member.outcome.set_running_or_notify_cancel()]


def commit_together(members: Sequence[Member[Any]], transaction: Transaction, usage: Usage) -> None:
    """Do the work of all in one transaction; where the database fails, none of it is kept."""
    try:
        with (
            transaction as connection,
            Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only") as session,
        ):
            cursor = connection.connection.cursor()
            for member in members:
                member.join(session, cursor, usage)
            session.commit()  # which leaves the transaction as it is
    except Exception as error:
        log.info("writes are committed one by one", count=len(members), error=str(error).partition("\n")[0])
        for member in members:
            member.undo()


def _raise(error: Exception) -> NoReturn:
    raise error
