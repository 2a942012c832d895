"""A transaction as repositories know it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

from sqlalchemy import Connection
from sqlalchemy.orm import Session


class Transaction:
    """What a connection does until it is ended there, and a session of SQLAlchemy's for whoever asks for entities.

    There is no session before: to make one and to end it takes longer than to look a file up. Nor is a transaction
    begun before anybody asks for the connection, and none where a `single` statement is asked.
    """

    def __init__(self, connection: Connection, *, single: bool = False) -> None:
        self.asked: dict[Hashable, object] = {}  # ahead, of answers that are on their way or have come
        self._connection = connection
        self._single = single

    @property
    def connection(self) -> Connection:
        """The connection, in its transaction."""
        if not (self._single or self._connection.in_transaction()):
            self._connection.begin()
        return self._connection

    @cached_property
    def session(self) -> Session:
        """The session, whose own end leaves the transaction as it is."""
        return Session(self.connection, expire_on_commit=False, join_transaction_mode="rollback_only")

    def flush(self) -> None:
        """Write what the session has not written yet."""
        if "session" in vars(self):
            self.session.flush()

    def forget(self) -> None:
        """Have no entities at hand any more: what is read from now on is read anew."""
        if "session" in vars(self):
            self.session.expunge_all()
        self.asked.clear()

    def commit(self) -> None:
        """Write what is not written yet, and keep all of it; where that fails, nothing is kept."""
        self.flush()
        if self._connection.in_transaction():
            try:
                self._connection.commit()
            except BaseException:
                self._connection.rollback()  # else the connection would be taken back in a transaction that has failed
                raise

    def close(self) -> None:
        """End the session."""
        if "session" in vars(self):
            self.session.close()
