"""Turns among writers. SQLite has one writer at a time; PostgreSQL has many, and those who change the same thing must
wait for each other before they look at it.

The rules: who changes a project or anything in it holds the project. Who only adds to a part of it that nobody else
looks at meanwhile, such as the data of one run or a file of one name, holds that part alone and the project together
with others of its kind. Names of users and namespaces, and the question who is an administrator, are one more thing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from modelyard.registry.asking import POSTPONED
from modelyard.registry.base import Repository

_REMOVAL = "removal of blobs"


class LockRepository(Repository):
    """Locks that last to the end of the transaction; none in a reading one. Each is there before the next statement
    looks, and those of blobs at once, as who holds them looks at the store.

    Each method tells whether others may have written before the lock was there: what was read must be read again.
    """

    def accounts(self) -> bool:
        """Hold the names of users and namespaces, and who is an administrator."""
        return self._hold("accounts")

    def project(self, project_id: int, part: str | None = None) -> bool:
        """Hold a project, or only a part of it."""
        project = f"project {project_id}"
        return self._hold(project) if part is None else self._hold(f"{project} {part}", beside=project)

    def storage(self, project_id: int) -> bool:
        """Hold the number of bytes of a project that has a limit; after all other locks, as others wait behind it."""
        return self._hold(f"storage {project_id}")

    def token(self, token_id: int) -> bool:
        """Hold a token."""
        return self._hold(f"token {token_id}")

    def issuers(self) -> bool:
        """Hold which issuers and providers are listed, and what groups give; before any of them, and any project."""
        return self._hold("issuers")

    def issuer(self, issuer_id: int) -> bool:
        """Hold an issuer of id tokens and all that its tokens open; after the project."""
        return self._hold(f"issuer {issuer_id}")

    def blob(self, sha256: str, *, at_once: bool = True) -> bool:
        """Hold a blob: its record, and its bytes in the store. Not `at_once`: as soon as the next statement looks."""
        return self._hold(f"blob {sha256}", at_once=at_once)

    def all_blobs(self) -> bool:
        """Hold all blobs against removal, beside others who do so; for who records more than could be held each."""
        return self._hold(None, beside=_REMOVAL)

    def blob_to_remove(self, sha256: str) -> bool:
        """Hold a blob, and hold that nobody holds all of them."""
        self.blob(sha256, at_once=False)
        return self._hold(_REMOVAL, at_once=True)

    def _hold(self, alone: str | None, *, beside: str | None = None, at_once: bool = False) -> bool:
        if self.dialect != "postgresql" or not self.connection.get_execution_options().get("writing"):
            return False
        locks = [func.pg_advisory_xact_lock(lock_number(alone))] if alone is not None else []
        if beside is not None:
            locks.insert(0, func.pg_advisory_xact_lock_shared(lock_number(beside)))
        self.connection.execute(select(*locks), execution_options={} if at_once else POSTPONED)
        return True


def lock_number(name: str) -> int:
    """The number of PostgreSQL's advisory lock of that name; two names with one would only wait more than they need."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def let_go(connection: Connection, number: int) -> None:
    """Give a session's lock back now: that the session has ended is noticed later, above all by a pooler.

    One whose connection is lost has given it back.
    """
    with suppress(SQLAlchemyError):
        connection.execute(select(func.pg_advisory_unlock(number)))
