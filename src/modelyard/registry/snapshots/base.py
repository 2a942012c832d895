"""What a kind of database has to know to be backed up and restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

from modelyard.registry.files.blobs import BlobRepository
from modelyard.registry.revisions import revision_of
from modelyard.registry.transaction import Transaction

LEFT_OUT = ("upload_parts", "uploads")  # tables whose rows are no part of a copy: their bytes are none of a backup


class Snapshot:
    """A copy that was just made, and what is in it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def revision(self) -> str | None:
        """The revision of the copy's schema; None where it has none."""
        return revision_of(self._connection)

    def blobs(self) -> Iterator[tuple[str, int]]:
        """Digest and size of every blob that a file in the copy points at, in the order of digests."""
        with closing(Transaction(self._connection)) as transaction:
            yield from BlobRepository(transaction).referenced()


class Snapshots(ABC):
    """Copies of one database; `kind` is its dialect, `suffix` the end of a copy's file name."""

    kind: str
    suffix: str

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def taken(self, path: Path) -> AbstractContextManager[Snapshot]:
        """Copy the database, as it is at one moment, to a new file, which is whole but need not be durable.

        Raises CommandError where a tool is missing or fails, and SQLAlchemyError.
        """

    @abstractmethod
    def refuse_unless_empty(self) -> None:
        """Raise CommandError where there is anything that putting back would overwrite."""

    @abstractmethod
    def put_back(self, path: Path) -> None:
        """Make the copy the database's content, durably and all at once, in the newest schema.

        Raises CommandError where the database is not empty, or a tool is missing or fails.
        """


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """An engine that is given up at the end of the block."""
    try:
        yield engine
    finally:
        engine.dispose()
