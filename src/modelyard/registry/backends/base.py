"""What a backend has to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from modelyard.registry.backends.watching import Watch


class TurnTaken(Exception):
    """Another process, wherever it runs, is at work that goes on only once at a time."""


class Backend(ABC):
    """One kind of database: its connections, and the rules by which transactions on it end well.

    `reader` and `writer` are the same pool, whose transactions begin as reading or writing ones.
    """

    reader_threads: int  # for a few rows by their keys
    file_reader_threads = 4  # for those of files that are opened at once
    long_reader_threads = 4  # for what may take long, so that nothing else waits for it
    writer_threads: int
    one_writer = False  # at a time, so that others wait while it commits
    attempts = 1  # at a unit of work, the first one included

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reader = engine
        self.single_reader = engine  # for reads of one statement, which has one view by itself
        self.writer = engine.execution_options(writing=True)

    @classmethod
    def threads(cls) -> int:
        """How many threads there are in all, each with a connection of its own."""
        return cls.reader_threads + cls.file_reader_threads + cls.long_reader_threads + cls.writer_threads

    @abstractmethod
    def interrupt(self, connection: Any) -> None:  # noqa: ANN401 - the driver's own
        """Give up the statement that another thread runs on a connection, if any. May block for a few seconds."""

    @abstractmethod
    def is_ended(self, error: DBAPIError) -> bool:
        """Whether the database gave a statement up by itself, as it took too long."""

    def turn(self) -> AbstractContextManager[object]:
        """Wait until a write transaction may begin."""
        return nullcontext()

    @abstractmethod
    def alone(self, work: str) -> AbstractContextManager[None]:
        """See `Database.alone`."""

    def refuse_late(self, waited: float) -> None:
        """Refuse a writer that has waited so many seconds for its thread, if nothing is to be hoped for."""
        del waited

    def is_passing(self, error: Exception, *, committing: bool) -> bool:
        """Whether a unit of work that failed so has left nothing behind, and may well succeed when it is run again."""
        del error, committing
        return False

    @abstractmethod
    def watch(self) -> Watch:
        """What tells whether marks still hold."""

    def generation(self) -> int | None:
        """See `Database.generation`."""
        return None

    @abstractmethod
    def close_to_others(self) -> None:
        """See `Database.close_to_others`."""

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
