"""Credentials."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, delete, func, select, update
from sqlalchemy.orm import aliased

from modelyard.access.identity import TokenFacts
from modelyard.access.tokens import SESSION_IDLE, SESSION_LONGEST, TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Ends, Repository, between, contains, storable
from modelyard.registry.tables import Token, User
from modelyard.terms.paging import Page, PageRequest

# What a job token was made with, as far as a token is one; whoever selects the columns below joins it.
MAKER = aliased(Token, name="maker")
MADE_WITH = MAKER.id == Token.maker_id
PRUNED_AT_ONCE = 500
_EXPIRES_AT = case((Token.expires_at > MAKER.expires_at, MAKER.expires_at), else_=Token.expires_at)
_REVOKED_AT = func.coalesce(Token.revoked_at, MAKER.revoked_at)

# The columns of TokenFacts, in its order.
TOKEN_COLUMNS = (
    Token.id,
    Token.kind,
    Token.scopes,
    _EXPIRES_AT,
    _REVOKED_AT,
    Token.project_id,
    Token.user_id,
    User.username,
    User.state,
    User.admin,
    User.bot,
)

# By GitLab's words; whatever has no such value comes last.
_ORDERED_BY = {
    "created": Token.created_at,
    "expires": _EXPIRES_AT,
    "last_used": Token.last_used_at,
    "name": Token.name,
}


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """How a listing of tokens is narrowed and ordered; times are milliseconds."""

    active: bool | None = None
    revoked: bool | None = None
    search: str | None = None  # in the name
    created: Ends = (None, None)
    expires: Ends = (None, None)
    last_used: Ends = (None, None)
    order: str = "created_desc"


_TOUCH = (
    update(Token)
    .where(Token.id == bindparam("row"), Token.last_used_at.is_(None) | (Token.last_used_at < bindparam("before")))
    .values(
        last_used_at=bindparam("at"),
        # A session that is used goes on for as long again, but not for ever.
        expires_at=case(
            (Token.kind != TokenKind.SESSION, Token.expires_at),
            (
                bindparam("at", type_=Token.created_at.type) + SESSION_IDLE < Token.created_at + SESSION_LONGEST,
                bindparam("at", type_=Token.created_at.type) + SESSION_IDLE,
            ),
            else_=Token.created_at + SESSION_LONGEST,
        ),
    )
)
_FACTS = select(*TOKEN_COLUMNS).join(User, User.id == Token.user_id).outerjoin(MAKER, MADE_WITH)
_TOKENS = select(Token).outerjoin(MAKER, MADE_WITH)
_OF_A_WHILE = Token.kind.in_([TokenKind.JOB, TokenKind.SESSION])


class TokenRepository(Repository):
    """Tokens of people, of projects and of jobs; the secret itself is never kept."""

    def facts(self, digest: str) -> TokenFacts | None:
        """All that decides whom a token stands for, in one statement."""
        row = self.session.execute(_FACTS.where(Token.digest == digest)).one_or_none()
        return TokenFacts(*row) if row else None

    def facts_by_id(self, token_id: int) -> TokenFacts | None:
        """The same of the token of that id."""
        row = self.session.execute(_FACTS.where(Token.id == token_id)).one_or_none()
        return TokenFacts(*row) if row else None

    def by_id(self, token_id: int) -> Token | None:
        """The token of that id."""
        return self.session.get(Token, storable(token_id))

    def page_of_user(self, user_id: int | None, narrowed: TokenFilter, request: PageRequest) -> Page[Token]:
        """Personal tokens, of one user or of all."""
        statement = _TOKENS.where(Token.kind == TokenKind.PERSONAL, *_conditions(narrowed))
        if user_id is not None:
            statement = statement.where(Token.user_id == storable(user_id))
        return self.page(statement.order_by(*_orders(narrowed.order)), request)

    def page_of_project(
        self, project_id: int, kind: TokenKind, user_id: int | None, narrowed: TokenFilter, request: PageRequest
    ) -> Page[Token]:
        """Tokens of that kind that a project has, of one user or of all."""
        statement = _TOKENS.where(Token.project_id == project_id, Token.kind == kind, *_conditions(narrowed))
        if user_id is not None:
            statement = statement.where(Token.user_id == user_id)
        return self.page(statement.order_by(*_orders(narrowed.order)), request)

    def makers(self, tokens: Collection[Token]) -> dict[int, Token]:
        """What job tokens were made with, by its ids."""
        return {maker.id: maker for maker in self.entities(Token, [each.maker_id for each in tokens if each.maker_id])}

    def last_used(self, user_ids: Collection[int]) -> dict[int, Milliseconds]:
        """When any token of a user was last used, by the ids of those who used one."""
        latest = select(func.max(Token.last_used_at)).where(Token.user_id == User.id).scalar_subquery()
        rows = self.session.execute(select(User.id, latest).where(User.id.in_(user_ids)))
        return {user: at for user, at in rows if at is not None}

    def touch(self, moments: Mapping[int, Milliseconds], pause: Milliseconds) -> None:
        """Keep when tokens were last used, by their ids, unless a use less than `pause` before is kept already."""
        self.advance(_TOUCH, moments, pause)

    def add(self, token: Token) -> Token:
        """Insert a token."""
        self.session.add(token)
        self.session.flush()
        return token

    def over(self, before: Milliseconds) -> list[int]:
        """The ids of some of the tokens of jobs and of browsers that had ended before a moment."""
        old = select(Token.id).where(_OF_A_WHILE, ended(before)).order_by(Token.id)
        return list(self.session.scalars(old.limit(PRUNED_AT_ONCE)))

    def forget(self, ids: Collection[int]) -> None:
        """Remove tokens, with what is kept of them and what they have begun."""
        self.session.execute(delete(Token).where(Token.id.in_(ids)))


def _conditions(narrowed: TokenFilter) -> Iterator[ColumnElement[bool]]:
    if narrowed.active is not None:
        yield active(now()) if narrowed.active else ~active(now())
    if narrowed.revoked is not None:
        yield _REVOKED_AT.is_not(None) if narrowed.revoked else _REVOKED_AT.is_(None)
    if narrowed.search:
        yield Token.name.ilike(contains(narrowed.search), escape="\\")
    for column, ends in (
        (Token.created_at, narrowed.created),
        (_EXPIRES_AT, narrowed.expires),
        (Token.last_used_at, narrowed.last_used),
    ):
        yield from between(column, ends)


def _orders(order: str) -> tuple[ColumnElement[Any], ...]:
    word, _, direction = order.rpartition("_")
    column = _ORDERED_BY[word]
    if direction == "asc":
        return column.asc().nulls_last(), Token.id.asc()
    return column.desc().nulls_last(), Token.id.desc()


def ended(before: Milliseconds) -> ColumnElement[bool]:
    """Whether a token itself had ended before a moment, whatever it was made with."""
    return func.coalesce(Token.revoked_at, Token.expires_at) < before


def active(at: Milliseconds) -> ColumnElement[bool]:
    """Whether a token works at a moment, its user aside."""
    return _REVOKED_AT.is_(None) & (_EXPIRES_AT.is_(None) | (at < _EXPIRES_AT))
