"""Writes that came together and are committed together, where a commit costs more than what it commits.

SQLite has one writer at a time, and each commit waits for the disk. While it does, others queue; those of them that are
brief are run in one transaction, each within a savepoint of its own, so that one that is refused takes back only what
is its own. Nobody is answered before the commit. Where the database itself fails, in a statement or as it commits,
nothing of them is kept, and each is run once more by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from contextvars import Context
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from modelyard.hops import Reply
from modelyard.registry.repository import Registry
from modelyard.registry.transaction import Transaction
from modelyard.registry.usage import Usage

T = TypeVar("T")

log = structlog.get_logger()

MAX_MEMBERS = 32  # so that the first waits no longer for the last than for a few commits


class Member(Generic[T]):
    """A unit of work in a group; `alone` runs it in a transaction of its own. `context` is that of its request.

    `reply` is told what came of it, and `kept` called before where the group has kept it.
    """

    def __init__(
        self,
        work: Callable[[Registry], T],
        alone: Callable[[], T],
        context: Context,
        reply: Reply[T],
        kept: Callable[[], None],
    ) -> None:
        self.reply = reply
        self._kept = kept
        self._work = work
        self._alone = alone
        self._context = context
        self._settled: Callable[[], T] | None = None

    def join(self, transaction: Transaction, cursor: Any, usage: Usage) -> None:  # noqa: ANN401 - the driver's
        """Do it in a group's transaction, within a savepoint. Raises what the database does where it fails.

        The driver is asked directly: SQLAlchemy's own savepoints take longer than many a statement.
        """
        cursor.execute("SAVEPOINT member")
        try:
            result = self._context.run(self._work, Registry(transaction, usage))
            transaction.flush()
        except SQLAlchemyError:
            raise
        except Exception as error:
            cursor.execute("ROLLBACK TO member")
            self._settled = partial(_raise, error)
        else:
            self._settled = partial(self._keep, result)
        transaction.forget()  # the next one is to know nothing of what this one has looked at, or not kept
        cursor.execute("RELEASE member")

    def undo(self) -> None:
        """Know that nothing of it was kept."""
        self._settled = None

    def settle(self) -> None:
        """Tell what came of it, now that it is kept; what was not is done alone."""
        self.reply.tell(self._settled or partial(self._context.run, self._alone))

    def _keep(self, result: T) -> T:
        self._kept()
        return result


def taken(waiting: deque[Member[Any]]) -> list[Member[Any]]:
    """Those that have waited longest and are waited for, at most as many as may be one group."""
    longest = [waiting.popleft() for _ in range(min(len(waiting), MAX_MEMBERS))]
    return [member for member in longest if not member.reply.is_unwanted]


def commit_together(members: Sequence[Member[Any]], begun: AbstractContextManager[Connection], usage: Usage) -> None:
    """Do the work of all in one transaction; where the database fails, none of it is kept."""
    try:
        with (
            begun as connection,
            closing(Transaction(connection)) as transaction,
        ):
            cursor = connection.connection.cursor()
            for member in members:
                member.join(transaction, cursor, usage)
    except Exception as error:
        log.info("writes are committed one by one", count=len(members), error=str(error).partition("\n")[0])
        for member in members:
            member.undo()


def _raise(error: Exception) -> NoReturn:
    raise error
