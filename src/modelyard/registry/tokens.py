"""Credentials."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, bindparam, func, select, update

from modelyard.access.identity import TokenFacts
from modelyard.access.tokens import TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, storable
from modelyard.registry.tables import Token, User
from modelyard.wire.paging import Page, PageRequest

# The columns of TokenFacts, in its order.
TOKEN_COLUMNS = (
    Token.id,
    Token.kind,
    Token.scopes,
    Token.expires_at,
    Token.revoked_at,
    Token.project_id,
    Token.user_id,
    User.username,
    User.state,
    User.admin,
    User.bot,
)

_TOUCH = (
    update(Token)
    .where(Token.id == bindparam("row"), Token.last_used_at.is_(None) | (Token.last_used_at < bindparam("before")))
    .values(last_used_at=bindparam("at"))
)
_FACTS = select(*TOKEN_COLUMNS).join(User, User.id == Token.user_id)


class TokenRepository(Repository):
    """Tokens of people, of projects and of jobs; the secret itself is never kept."""

    def facts(self, digest: str) -> TokenFacts | None:
        """All that decides whom a token stands for, in one statement."""
        row = self.session.execute(_FACTS.where(Token.digest == digest)).one_or_none()
        return TokenFacts(*row) if row else None

    def by_id(self, token_id: int) -> Token | None:
        """The token of that id."""
        return self.session.get(Token, storable(token_id))

    def page_of_user(self, user_id: int | None, request: PageRequest, *, active: bool | None) -> Page[Token]:
        """Personal tokens, of one user or of all, newest first."""
        statement = select(Token).where(Token.kind == TokenKind.PERSONAL).order_by(Token.id.desc())
        if user_id is not None:
            statement = statement.where(Token.user_id == storable(user_id))
        if active is not None:
            statement = statement.where(_active(now()) if active else ~_active(now()))
        return self.page(statement, request)

    def page_of_project(self, project_id: int, request: PageRequest) -> Page[Token]:
        """A project's access tokens that still work, newest first."""
        mine = (Token.project_id == project_id) & (Token.kind == TokenKind.PROJECT)
        return self.page(select(Token).where(mine, _active(now())).order_by(Token.id.desc()), request)

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


def _active(at: Milliseconds) -> ColumnElement[bool]:
    return Token.revoked_at.is_(None) & (Token.expires_at.is_(None) | (Token.expires_at > at))
