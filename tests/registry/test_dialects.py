"""What SQLite and PostgreSQL spell differently means the same to both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import literal, select

from modelyard.registry.dialects import ilike, like, position
from modelyard.registry.engine import Database
from tests.databases import migrated_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(migrated_database(tmp_path))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "pattern", "alike", "alike_but_for_case"),
    [
        ("Ärger", "Ä%", True, True),
        ("Ärger", "ä%", False, True),
        ("a*b", "a*b", True, True),
        ("axb", "a*b", False, False),
        ("axb", "A_B", False, True),
        ("a\\b", "a\\%", True, True),
    ],
)
def test_patterns_mind_case_or_not(
    database: Database, text: str, pattern: str, alike: bool, alike_but_for_case: bool
) -> None:
    told = select(like(literal(text), pattern), ilike(literal(text), pattern))
    row = database.read_now(lambda registry: registry.session.execute(told).one())
    assert tuple(map(bool, row)) == (alike, alike_but_for_case)


def test_a_place_in_a_text_is_counted_from_1(database: Database) -> None:
    told = select(position(literal("äbc"), literal("b")), position(literal("äbc"), literal("x")))
    assert tuple(database.read_now(lambda registry: registry.session.execute(told).one())) == (2, 0)
