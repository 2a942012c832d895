"""Whole copies of a database as one file, taken while it is in use, and put back into an empty one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import make_url

from modelyard.registry.snapshots.base import Snapshots
from modelyard.registry.snapshots.postgresql import PostgreSQLSnapshots
from modelyard.registry.snapshots.sqlite import SQLiteSnapshots

__all__ = ["Snapshots", "snapshots_of"]

KINDS: dict[str, Callable[[str], Snapshots]] = {"sqlite": SQLiteSnapshots, "postgresql": PostgreSQLSnapshots}


def snapshots_of(url: str) -> Snapshots:
    """The snapshots of the database at a `sqlite:///` or `postgresql+psycopg://` URL; nothing is connected to yet."""
    return KINDS[make_url(url).get_backend_name()](url)
