"""Which errors are somebody's mistake or the surroundings' fault, to be told in one sentence, and which are our own."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from modelyard.blobs.store import BlobError
from modelyard.errors import ApiError, CommandError
from modelyard.registry.dialects import is_damaged, is_misdirected, is_out_of_space
from modelyard.registry.revisions import NewerDatabase
from modelyard.settings import SettingsError


class Mistake(NamedTuple):
    """What went wrong, in one line, and the exit status of a command that meets it."""

    sentence: str
    status: int


def told(error: Exception) -> Mistake | None:
    """The mistake behind an error; None where it is a fault of ours, of which the traceback tells."""
    if isinstance(error, SettingsError):
        return _mistake(str(error), 2)
    if isinstance(error, ApiError):
        return _mistake(_sentence(error))
    if isinstance(error, CommandError | BlobError | NewerDatabase | OSError):
        return _mistake(str(error))
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout) or (
        isinstance(error, DatabaseError) and (is_damaged(error) or is_misdirected(error))
    ):
        full = isinstance(error, DatabaseError) and is_out_of_space(error)
        advice = "; free room there, say with `modelyard gc`" if full else ""
        return _mistake(f"database: {getattr(error, 'orig', error)}".partition("\n")[0] + advice)
    return None


def _mistake(sentence: str, status: int = 1) -> Mistake:
    return Mistake(" ".join(sentence.splitlines()), status)


def _sentence(error: ApiError) -> str:
    message = error.body.get("message", error.body.get("error"))
    if isinstance(message, dict):  # of fields, each with what is wrong with it
        return ", ".join(f"{field} {reason}" for field, reasons in message.items() for reason in reasons)
    return str(message)
