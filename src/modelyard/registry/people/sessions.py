"""Browsers' sessions: tokens of their own kind, with where they are used; and codes that sign somebody in once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select

from modelyard.access.tokens import TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository
from modelyard.registry.people.tokens import MADE_WITH, MAKER, active, ended
from modelyard.registry.tables import BrowserSession, SignInCode, Token, User


@dataclass(frozen=True, slots=True)
class SeenSession:
    """A session that works, and where it was begun."""

    token: Token
    address: str
    user_agent: str


_MINE = Token.kind == TokenKind.SESSION
_ACTIVE = select(Token).outerjoin(MAKER, MADE_WITH).where(_MINE)


class SessionRepository(Repository):
    """Sessions by their users; those that have ended are forgotten after a while."""

    def add(self, token: Token, address: str, user_agent: str) -> None:
        """Keep where the session of a token was begun."""
        self.insert(BrowserSession(token_id=token.id, address=address, user_agent=user_agent))

    def of_user(self, user_id: int, limit: int) -> list[SeenSession]:
        """A user's sessions that work, the newest first, at most `limit`."""
        found = select(Token, BrowserSession.address, BrowserSession.user_agent).outerjoin(MAKER, MADE_WITH)
        found = found.join(BrowserSession, BrowserSession.token_id == Token.id)
        mine = found.where(Token.user_id == user_id, _MINE, active(now()))
        rows = self.session.execute(mine.order_by(Token.id.desc()).limit(limit))
        return [SeenSession(token, address, user_agent) for token, address, user_agent in rows]

    def excess(self, user_id: int, kept: int) -> list[Token]:
        """A user's sessions that work beyond the newest `kept`."""
        mine = _ACTIVE.where(Token.user_id == user_id, active(now()))
        return list(self.session.scalars(mine.order_by(Token.id.desc()).offset(kept)))

    def forget(self, user_id: int, before: Milliseconds) -> None:
        """Remove a user's sessions that had ended before a moment."""
        self.session.execute(delete(Token).where(Token.user_id == user_id, _MINE, ended(before)))

    def add_code(self, digest: str, user_id: int, expires_at: Milliseconds) -> None:
        """Keep a code by its SHA-256, and forget those that have expired."""
        self.session.execute(delete(SignInCode).where(SignInCode.expires_at <= now()))
        self.insert(SignInCode(digest=digest, user_id=user_id, expires_at=expires_at))

    def has_code(self, digest: str) -> bool:
        """Whether there is a code that has not expired."""
        there = (SignInCode.digest == digest) & (SignInCode.expires_at > now())
        return self.session.scalar(select(SignInCode.user_id).where(there)) is not None

    def take_code(self, digest: str) -> User | None:
        """Whom a code signs in, which it never does again; None for one that nobody has, or that has expired."""
        taken = delete(SignInCode).where(SignInCode.digest == digest)
        row = self.session.execute(taken.returning(SignInCode.user_id, SignInCode.expires_at)).one_or_none()
        if row is None or row.expires_at <= now():
            return None
        return self.session.get(User, row.user_id)
