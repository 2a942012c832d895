"""The statements that a live server's requests run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from modelyard import origin
from tests.live import LiveServer


@contextmanager
def statements(server: LiveServer) -> Iterator[list[str]]:
    """What requests ask the database meanwhile. What no request asks for, such as the note of when tokens were last
    used, comes every minute by the clock, and is left out.
    """
    engine, ran = server.app.state.database._backend.reader, list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if origin.current() is not origin.NOWHERE:
            ran.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)
