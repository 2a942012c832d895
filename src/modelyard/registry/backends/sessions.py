"""How a session with PostgreSQL begins: with its settings, and with nobody else in it.

Settings could be told as a connection is made, in libpq's `options`. PgBouncer refuses those, or, where it was told to
ignore them, drops them without a word. As statements they get through to the server and hold for the session, if there
is one: in its other modes, PgBouncer lends a connection for a transaction or a statement alone. A timeout then holds
for whoever comes next, and a lock for nobody, so a pooler in such a mode is refused.
"""

from __future__ import annotations

import re
import secrets
import select
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import URL
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from psycopg import Connection  # of an extra that others do without

    Session: TypeAlias = Connection[tuple[object, ...]]

SHARED = (
    "several clients share one connection to PostgreSQL, as in PgBouncer's transaction mode, where neither timeouts nor"
    " locks hold: set pool_mode = session for this database"
)

A_DAY = 86_400  # seconds
_WORD = re.compile(r"(?:[^\\\s]|\\.)+", re.DOTALL)


class Sessions:
    """The beginning of every session of an engine, with its settings.

    A pooler without a free connection, or without a server, takes clients in and lets them wait: what libpq's
    `connect_timeout` says of a connection holds for the session as well.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._seen = False

    def begin(self, session: Session) -> None:
        """Apply the settings; the first session is looked at, whether others are in it.

        Raises OperationalError where they are, and where the server does not take a setting or does not answer.
        """
        try:
            statement = "SELECT pg_backend_pid()" + ", set_config($%d, $%d, false)" * len(self._settings)
            numbers = range(1, 2 * len(self._settings) + 1)
            backend = _ask(session, statement % tuple(numbers), *chain.from_iterable(self._settings.items()))
            # What a pooler tells of the server's process is its own invention.
            if not self._seen and backend != str(session.info.backend_pid) and _is_shared(session):
                raise session.OperationalError(SHARED)
            self._seen = True
        except session.Error as error:
            session.close()
            raise OperationalError("SET", None, error) from error


def split_options(url: URL) -> tuple[dict[str, str], list[str]]:
    """The settings in the `options` of a URL, and all other words in them (PostgreSQL's `pg_split_opts`)."""
    given = url.query.get("options", ())
    text = given if isinstance(given, str) else " ".join(given)
    words = iter([re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in _WORD.findall(text)])
    settings, others = {}, []
    for word in words:
        assignment = next(words, "") if word == "-c" else word[2:]
        name, equals, value = assignment.partition("=")
        if word.startswith(("-c", "--")) and equals:
            settings[name.replace("-", "_")] = value
        else:
            others += [word, assignment] if word == "-c" and assignment else [word]
    return settings, others


def joined_options(settings: Mapping[str, str], others: Sequence[str]) -> str:
    """`options` of settings and other words."""
    words = [*others, *(f"-c{name}={value}" for name, value in settings.items())]
    return " ".join(re.sub(r"([\\\s])", r"\\\1", word) for word in words)


def _is_shared(session: Session) -> bool:
    """Whether something that is kept in a session gets into another one, or is lost."""
    mark, asked = secrets.token_hex(8), "SELECT current_setting('modelyard.session', true)"
    with closing(type(session).connect(session.info.dsn, password=session.info.password or None)) as other:
        _ask(session, "SELECT set_config('modelyard.session', $1, false)", mark)
        return _ask(other, asked) == mark or _ask(session, asked) != mark


def _ask(session: Session, statement: str, *parameters: str) -> str | None:
    """The first value of a statement's answer. Raises the driver's OperationalError, also where none comes in time."""
    connection, arrived = session.pgconn, select.poll()
    seconds = int(session.info.get_parameters().get("connect_timeout", 0)) or A_DAY
    until = time.monotonic() + seconds
    arrived.register(connection.socket, select.POLLIN)
    connection.send_query_params(statement.encode(), [each.encode() for each in parameters])
    connection.flush()
    while connection.is_busy():
        if not arrived.poll(max(0.0, until - time.monotonic()) * 1000):
            raise session.OperationalError(f"neither a server nor a pooler has begun a session in {seconds} s")
        connection.consume_input()
    value = None
    while (result := connection.get_result()) is not None:
        if result.error_message:
            raise session.OperationalError(result.error_message.decode(errors="replace").strip())
        value = result.get_value(0, 0)
    return None if value is None else value.decode()
