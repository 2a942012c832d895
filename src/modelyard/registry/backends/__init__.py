"""How each kind of database is connected to, how its writers keep out of each other's way, and what is tried again."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import make_url

from modelyard.registry.backends.base import Backend, TurnTaken
from modelyard.registry.backends.postgresql import PostgreSQLBackend
from modelyard.registry.backends.sqlite import SQLiteBackend

__all__ = ["Backend", "PostgreSQLBackend", "SQLiteBackend", "TurnTaken", "backend_for"]

BACKENDS: dict[str, Callable[..., Backend]] = {"sqlite": SQLiteBackend, "postgresql": PostgreSQLBackend}


def backend_for(url: str, *, on_full_disk: bool = False) -> Backend:
    """The backend for a `sqlite:///` or `postgresql+psycopg://` URL; nothing is connected to yet.

    `on_full_disk`: see `Database`.
    """
    return BACKENDS[make_url(url).get_backend_name()](url, on_full_disk=on_full_disk)
