"""The few things that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import SQLColumnExpression, bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Boolean, Integer

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_BEYOND_LIMITS = re.compile(
    r"too many (SQL variables|terms|columns|arguments)|Expression tree is too large|pattern too complex"
    r"|parser stack overflow|memory exhausted at or near|at most \d+ tables in a join"
    r"|number of parameters must be between"
)
_GLOB_SPECIAL = re.compile(r"[*?\[]")


class like(GenericFunction[bool]):  # noqa: N801 - it reads as SQL does
    """`column LIKE pattern`, minding case on every database; `%` and `_` are the only special characters."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: SQLColumnExpression[str], pattern: str) -> None:
        # SQLite's own LIKE ignores case; its GLOB does not, and takes other wildcards.
        super().__init__(column, bindparam(None, pattern), bindparam(None, _glob(pattern)))


class ilike(GenericFunction[bool]):  # noqa: N801 - named as in SQL
    """`like` whatever the case, of all letters that the database knows; SQLite is taught Unicode's (see `teach_case`).

    A pattern always matches the text that it was made from.
    """

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: SQLColumnExpression[str], pattern: str) -> None:
        super().__init__(column, bindparam(None, pattern), bindparam(None, _glob(pattern.lower())))


class position(GenericFunction[int]):  # noqa: N801 - as above
    """Where `needle` begins in `text`, counted from 1; 0 when it is not there. Arguments: text, needle."""

    type = Integer()
    inherit_cache = True


class byte_length(GenericFunction[int]):  # noqa: N801 - as above
    """How many bytes of UTF-8 a text has; PostgreSQL need not read one that it keeps apart."""

    type = Integer()
    inherit_cache = True


@compiles(like, "sqlite")
def _like_sqlite(element: like, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    column, _pattern, glob = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} GLOB {glob}"


@compiles(like, "postgresql")
def _like_postgresql(element: like, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, pattern, _glob_pattern = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} LIKE {pattern} ESCAPE ''"


@compiles(ilike, "sqlite")
def _ilike_sqlite(element: ilike, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, _pattern, glob = (compiler.process(clause, **options) for clause in element.clauses)
    return f"lower({column}) GLOB {glob}"


@compiles(ilike, "postgresql")
def _ilike_postgresql(element: ilike, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, pattern, _glob_pattern = (compiler.process(clause, **options) for clause in element.clauses)
    # Texts are of collation C, which knows the case of ASCII alone.
    return f"({column}) COLLATE \"default\" ILIKE {pattern} ESCAPE ''"


@compiles(position, "sqlite")
def _position_sqlite(element: position, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(position, "postgresql")
def _position_postgresql(element: position, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(byte_length, "sqlite")
def _byte_length_sqlite(element: byte_length, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


@compiles(byte_length, "postgresql")
def _byte_length_postgresql(element: byte_length, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"octet_length({compiler.process(element.clauses, **options)})"


def teach_case(connection: sqlite3.Connection) -> None:
    """Have a connection to SQLite lower all letters; by itself it knows those of ASCII."""
    connection.create_function("lower", 1, lambda text: text and str(text).lower(), deterministic=True)


def upsert(dialect: str, table: type[Any]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT for a dialect of that name, which can say what is to become of rows that are there already."""
    if dialect == "sqlite":
        return sqlite.insert(table.__table__)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - half as much again as the other database's import

    return postgresql.insert(table.__table__)


def is_out_of_space(error: DBAPIError) -> bool:
    """Whether the database failed because its disk is full (SQLITE_FULL, disk_full)."""
    full = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return full or getattr(error.orig, "sqlstate", None) == "53100"


def is_damaged(error: DBAPIError) -> bool:
    """Whether the database's own files are not what it wrote (SQLITE_CORRUPT, SQLITE_NOTADB; data_corrupted,
    index_corrupted).
    """
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of an extended code tells details
    return code in (11, 26) or getattr(error.orig, "sqlstate", None) in ("XX001", "XX002")


def is_misdirected(error: DBAPIError) -> bool:
    """Whether libpq has refused a parameter of the connection, so that no server was asked."""
    return isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", "") is None


def is_beyond_limits(error: DBAPIError) -> bool:
    """Whether a statement is more than the database takes: its parameters, length, depth, patterns or tables.

    SQLite has no code for most of it (sqlite.org/limits.html), and psycopg counts parameters without any.
    """
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_TOOBIG:
        return True
    state: str | None = getattr(error.orig, "sqlstate", None)
    return bool(state and state.startswith("54")) or _BEYOND_LIMITS.search(str(error.orig)) is not None


def is_too_long(error: DBAPIError) -> bool:
    """Whether a text is longer than an index of PostgreSQL can hold, 2.7 KB (program_limit_exceeded)."""
    return getattr(error.orig, "sqlstate", None) == "54000"


def _glob(pattern: str) -> str:
    literal = _GLOB_SPECIAL.sub(lambda match: f"[{match[0]}]", pattern)
    return literal.replace("%", "*").replace("_", "?")
