"""The first start: the schema, and the administrator `root` with a token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelyard.access.identity import OPERATOR
from modelyard.access.tokens import Scope, TokenKind, digest_of, new_token
from modelyard.disk.durable import make_directories, replace_file
from modelyard.disk.private import tighten
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.revisions import is_current
from modelyard.registry.tables import Token
from modelyard.services.people import sessions
from modelyard.settings import Settings
from modelyard.terms.paths import SIGN_IN

ROOT = "root"


def here(work: Callable[[], None]) -> None:
    """Do it in this very process."""
    work()


def prepare(settings: Settings, run: Callable[[Callable[[], None]], None] = here) -> None:
    """Make the data folder, migrate the database, and make `root` if nobody is there yet; safe to run twice at once.

    `run` does the migration, if there is one, where it wants to; no connection is open meanwhile.
    """
    make_directories(settings.data_dir.absolute())
    with _database(settings) as database:
        database.close_to_others()
        _close_to_others(settings)
        current = is_current(database.engine)
    if not current:
        run(partial(_migrate, settings))
    with _database(settings) as database:
        database.write_now(lambda registry: _ensure_root(registry, settings))


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A URL that signs an administrator in once."""

    url: str
    username: str


def sign_in_link(settings: Settings, local_url: str) -> SignInLink | None:
    """A link for whoever looks at the terminal of a server, which listens at `local_url`; None without administrators.

    The server's own address, which a browser on this machine reaches, is not for those who set how clients see it.
    """
    with _database(settings) as database:
        made = database.write_now(lambda registry: sessions.make_code(registry, ROOT))
    if made is None:
        return None
    code, user = made
    return SignInLink(f"{settings.external_url or local_url}{SIGN_IN}?code={code}", user.username)


def _database(settings: Settings) -> closing[Database]:
    return closing(Database(settings.effective_database_url))


def _migrate(settings: Settings) -> None:
    from modelyard.registry.schema import migrate  # noqa: PLC0415 - most starts have nothing to migrate

    with _database(settings) as database:
        migrate(database.engine)


def _ensure_root(registry: Registry, settings: Settings) -> None:
    registry.locks.accounts()
    if registry.users.any():
        return
    secret = settings.root_token or new_token()
    if settings.root_token is None:
        # Before the commit: a token that nobody can read would lock everybody out.
        replace_file(settings.root_token_path, f"{secret}\n".encode())
    registry.act(OPERATOR)
    root = registry.users.add(ROOT, name="Administrator", admin=True)
    registry.audit.note("user_created", root, {"add": "user"})
    token = registry.tokens.add(
        Token(user_id=root.id, kind=TokenKind.PERSONAL, name="root", digest=digest_of(secret), scopes=Scope.API)
    )
    registry.audit.note("personal_access_token_created", token, {"add": "token", "scopes": token.scopes}, entity=root)


def _close_to_others(settings: Settings) -> None:
    """Let nobody but their owner into the folders of the registry, as into those that it makes itself.

    Where nginx sends the bytes, folders stay as they are: they may be shared with it on purpose. So does a data folder
    that is not the registry's alone, as a home is; what is secret in it is closed by itself.
    """
    tighten(settings.root_token_path)
    if settings.x_accel_redirect is not None:
        return
    data, blobs = settings.data_dir.resolve(), settings.blob_root.resolve()
    if not _is_shared(data, {blobs.name, "lost+found"}):
        tighten(data)
    if blobs.parent == data:
        tighten(blobs)
    for folder in ("sha256", "incoming"):
        tighten(blobs / folder)


def _is_shared(folder: Path, own: set[str]) -> bool:
    """Whether a folder seems to be for something else as well, since it has more folders, or cannot be listed."""
    try:
        return any(each.is_dir() and each.name not in own for each in folder.iterdir())
    except OSError:
        return True
