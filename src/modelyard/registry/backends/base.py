"""What a backend has to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import Engine


class TurnTaken(Exception):
    """Another process, wherever it runs, is at work that goes on only once at a time."""


class Backend(ABC):
    """One kind of database: its connections, and the rules by which transactions on it end well.

    `reader` and `writer` are the same pool, whose transactions begin as reading or writing ones.
    """

    reader_threads: int
    long_reader_threads = 0  # of their own; 0: what may take long is read by the same
    writer_threads: int
    attempts = 1  # at a unit of work, the first one included

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reader = engine
        self.writer = engine.execution_options(writing=True)

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

    def generation(self) -> int | None:
        """See `Database.generation`."""
        return None

    @abstractmethod
    def close_to_others(self) -> None:
        """See `Database.close_to_others`."""

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
