"""How databases are connected to."""

from __future__ import annotations

from sqlalchemy import text

from modelyard.registry.backends import PostgreSQLBackend
from tests import postgres


def shown(url: str) -> dict[str, str]:
    backend = PostgreSQLBackend(url)
    names = ("application_name", "statement_timeout", "lock_timeout", "synchronous_commit")
    with backend.engine.connect() as connection:
        found = {name: connection.scalar(text(f"SHOW {name}")) for name in names}
    backend.close()
    return found


def test_a_connection_to_postgresql_has_timeouts() -> None:
    found = shown(postgres.cluster().fresh())
    assert found == {
        "application_name": "modelyard",
        "statement_timeout": "30s",
        "lock_timeout": "15s",
        "synchronous_commit": "on",
    }


def test_parameters_in_the_url_win() -> None:
    found = shown(f"{postgres.cluster().fresh()}&application_name=other&options=-c%20statement_timeout%3D60000")
    assert (found["application_name"], found["statement_timeout"], found["lock_timeout"]) == ("other", "1min", "15s")


def test_readers_have_one_snapshot_in_which_nothing_can_be_written() -> None:
    backend = PostgreSQLBackend(postgres.cluster().fresh())
    with backend.reader.connect() as reader, backend.writer.begin() as writer:
        count = text("SELECT count(*) FROM blobs")
        assert (reader.scalar(count), reader.scalar(text("SHOW transaction_read_only"))) == (0, "on")
        writer.execute(text("INSERT INTO blobs VALUES ('a', 1, 0)"))
        writer.commit()
        assert reader.scalar(count) == 0
    with backend.engine.connect() as next_one:  # the pool hands connections on as they were
        assert (next_one.scalar(count), next_one.scalar(text("SHOW transaction_read_only"))) == (1, "off")
        assert next_one.scalar(text("SHOW transaction_isolation")) == "read committed"
    backend.close()
