"""Publishers whom projects trust, and the tokens of their jobs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from modelyard.access.tokens import TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, storable
from modelyard.registry.people.tokens import PRUNED_AT_ONCE, ended
from modelyard.registry.tables import Issuer, Project, Token, TokenOrigin, TrustedPublisher, UsedToken
from modelyard.terms.paging import Page, PageRequest

MOST_CANDIDATES = 500  # publishers of one subject that are looked at
Seen = tuple[TrustedPublisher, Issuer]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A publisher that may be meant, and the project that it is trusted in."""

    publisher: TrustedPublisher
    project: Project


class PublisherRepository(Repository):
    """Publishers by project, and by what issuers say of jobs."""

    def by_id(self, publisher_id: int) -> TrustedPublisher | None:
        """The publisher of that id."""
        return self.session.get(TrustedPublisher, storable(publisher_id))

    def of_project(self, project_id: int, request: PageRequest) -> Page[Seen]:
        """A page of a project's publishers, the first made first."""
        mine = select(TrustedPublisher).where(TrustedPublisher.project_id == project_id)
        page = self.page(mine.order_by(TrustedPublisher.id), request)
        ids = {each.issuer_id for each in page.items}
        issuers = {each.id: each for each in self.entities(Issuer, sorted(ids))}
        return page.showing([(each, issuers[each.issuer_id]) for each in page.items])

    def of_issuer(self, issuer_id: int) -> list[TrustedPublisher]:
        """All publishers of an issuer."""
        return list(self.session.scalars(select(TrustedPublisher).where(TrustedPublisher.issuer_id == issuer_id)))

    def count(self, project_id: int) -> int:
        """How many a project has."""
        mine = select(func.count()).select_from(TrustedPublisher).where(TrustedPublisher.project_id == project_id)
        return self.session.scalar(mine) or 0

    def candidates(self, issuer_id: int, subjects: Collection[str]) -> list[Candidate]:
        """The publishers of an issuer that are bound to one of these subjects, the first made first."""
        found = select(TrustedPublisher, Project).join(Project, Project.id == TrustedPublisher.project_id)
        bound = (TrustedPublisher.issuer_id == issuer_id) & TrustedPublisher.subject.in_(subjects)
        rows = self.session.execute(
            found.where(bound).order_by(TrustedPublisher.id).limit(MOST_CANDIDATES),
            execution_options={"populate_existing": True},
        )
        return [Candidate(*row) for row in rows]

    def add(self, publisher: TrustedPublisher) -> TrustedPublisher:
        """Insert a publisher."""
        self.session.add(publisher)
        self.session.flush()
        return publisher

    def delete(self, publisher: TrustedPublisher) -> None:
        """Remove a publisher; its tokens must have been revoked."""
        self.session.delete(publisher)
        self.session.flush()

    def touch(self, publisher: TrustedPublisher) -> None:
        """Keep that a job of the publisher has come."""
        publisher.last_used_at = now()

    # Tokens

    def add_origin(self, token_id: int, publisher_id: int, facts: str) -> None:
        """Keep which job a token is for."""
        self.insert(TokenOrigin(token_id=token_id, publisher_id=publisher_id, facts=facts))

    def origin_of(self, token_id: int) -> str | None:
        """The facts of the job that a token is for, if it is for one."""
        return self.session.scalar(select(TokenOrigin.facts).where(TokenOrigin.token_id == token_id))

    def publisher_of(self, token_id: int) -> int | None:
        """The id of the publisher with which a token ends."""
        return self.session.scalar(select(TokenOrigin.publisher_id).where(TokenOrigin.token_id == token_id))

    def forget_token(self, token: Token) -> None:
        """Remove a token whose publisher is gone."""
        self.session.delete(token)
        self.session.flush()

    def revoke_tokens(self, publisher_ids: Collection[int]) -> None:
        """End all tokens of the jobs of publishers."""
        of_jobs = select(TokenOrigin.token_id).where(TokenOrigin.publisher_id.in_(publisher_ids))
        ending = update(Token).where(Token.id.in_(of_jobs), Token.revoked_at.is_(None))
        self.session.execute(ending.values(revoked_at=now()), execution_options={"synchronize_session": False})

    def token_by_digest(self, digest: str) -> Token | None:
        """A job's token by its SHA-256."""
        return self.session.scalar(select(Token).where(Token.digest == digest, Token.kind == TokenKind.JOB))

    def prune(self, before: Milliseconds) -> None:
        """Forget some of the tokens of jobs that had ended before a moment, and id tokens that are over."""
        old = select(TokenOrigin.token_id).join(Token, Token.id == TokenOrigin.token_id).where(ended(before))
        ids = list(self.session.scalars(old.order_by(TokenOrigin.token_id).limit(PRUNED_AT_ONCE)))
        if ids:
            self.session.execute(delete(Token).where(Token.id.in_(ids)))
        self.session.execute(delete(UsedToken).where(UsedToken.expires_at < now()))

    def use(self, issuer_id: int, jti: str, expires_at: Milliseconds) -> bool:
        """Take an id token by its id, once, until it is over; whether it was not taken before."""
        self.session.execute(
            delete(UsedToken).where(
                UsedToken.issuer_id == issuer_id, UsedToken.jti == jti, UsedToken.expires_at < now()
            )
        )
        there = select(UsedToken.jti).where(UsedToken.issuer_id == issuer_id, UsedToken.jti == jti)
        if self.session.scalar(there) is not None:
            return False
        self.insert(UsedToken(issuer_id=issuer_id, jti=jti, expires_at=expires_at))
        return True
