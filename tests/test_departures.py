"""Who is told that a client has left."""

from __future__ import annotations

from modelyard.departures import Client


def test_all_are_told_once_when_a_client_leaves_and_who_comes_later_at_once() -> None:
    client, told = Client(), list[str]()
    client.tell(lambda: told.append("first"))
    client.tell(lambda: told.append("second"))
    assert told == []
    client.leave()
    assert told == ["first", "second"]
    client.tell(lambda: told.append("late"))
    assert told == ["first", "second", "late"]
