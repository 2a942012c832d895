"""The first start: the schema, and the administrator `root` with a token."""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.access.identity import OPERATOR
from modelyard.access.tokens import Scope, TokenKind, digest_of, new_token
from modelyard.durable import fsync_directory, make_directories
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.revisions import is_current
from modelyard.registry.tables import Token
from modelyard.settings import Settings

ROOT = "root"


def prepare(settings: Settings) -> None:
    """Make the data folder, migrate the database, and make `root` if nobody is there yet; safe to run twice at once."""
    make_directories(settings.data_dir.absolute())
    database = Database(settings.effective_database_url)
    try:
        _migrate(database)
        database.write_now(lambda registry: _ensure_root(registry, settings))
    finally:
        database.close()


def _migrate(database: Database) -> None:
    if not is_current(database.engine):
        from modelyard.registry.schema import migrate  # noqa: PLC0415 - most starts have nothing to migrate

        migrate(database.engine)


def _ensure_root(registry: Registry, settings: Settings) -> None:
    registry.locks.accounts()
    if registry.users.any():
        return
    secret = settings.root_token or new_token()
    if settings.root_token is None:
        # Before the commit: a token that nobody can read would lock everybody out.
        _write_secret(settings.root_token_path, secret)
    registry.act(OPERATOR)
    root = registry.users.add(ROOT, name="Administrator", admin=True)
    registry.audit.note("user_created", root, {"add": "user"})
    token = registry.tokens.add(
        Token(user_id=root.id, kind=TokenKind.PERSONAL, name="root", digest=digest_of(secret), scopes=Scope.API)
    )
    registry.audit.note("personal_access_token_created", token, {"add": "token", "scopes": token.scopes}, entity=root)


def _write_secret(path: Path, secret: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_directory(path.absolute().parent)
