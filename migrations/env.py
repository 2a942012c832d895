"""Alembic's entry point: migrates the connection that it is handed, or the database that the settings name."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from modelyard.registry.engine import make_engine
from modelyard.registry.schema import changing
from modelyard.registry.tables import Base
from modelyard.settings import load_settings


def run(connection: Connection) -> None:
    """Run the revisions in the connection's transaction; SQLite alters tables by copying them."""
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = make_engine(load_settings().effective_database_url)
    with changing(engine) as own_connection:
        run(own_connection)
