"""How each kind of database is connected to, how its writers keep out of each other's way, and what is tried again."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from modelyard.registry.backends.base import Backend, TurnTaken
from modelyard.registry.backends.postgresql import PostgreSQLBackend
from modelyard.registry.backends.sqlite import SQLiteBackend
from modelyard.settings import SettingsError

__all__ = ["Backend", "PostgreSQLBackend", "SQLiteBackend", "TurnTaken", "backend_for"]

BACKENDS: dict[str, Callable[..., Backend]] = {"sqlite": SQLiteBackend, "postgresql": PostgreSQLBackend}


def backend_for(url: str, *, on_full_disk: bool = False) -> Backend:
    """The backend for a `sqlite:///` or `postgresql+psycopg://` URL; nothing is connected to yet.

    `on_full_disk`: see `Database`. Raises SettingsError for a URL that cannot be taken apart, which is not repeated:
    it may have a password.
    """
    try:
        parts = make_url(url)
        backend = BACKENDS[parts.get_backend_name()](url, on_full_disk=on_full_disk)
        backend.engine.dialect.create_connect_args(parts)  # which reads the query
    except (SQLAlchemyError, ValueError) as error:
        raise SettingsError(
            "the database's URL cannot be read: its port and the values in its query must be what they should be,"
            " and what is special in a password is written as %40 for @, %2F for /"
        ) from error
    return backend
