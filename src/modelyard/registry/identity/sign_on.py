"""Single sign-on: providers, what their groups give, who users are to issuers, and what is on its way."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update

from modelyard.access.tokens import TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, storable
from modelyard.registry.people.projects import below
from modelyard.registry.tables import (
    Issuer,
    Member,
    Project,
    ProviderGroup,
    SignOnProvider,
    SignOnSession,
    SignOnState,
    Token,
    User,
    UserIdentity,
)

Listed = tuple[SignOnProvider, Issuer]


@dataclass(frozen=True, slots=True)
class Taken:
    """A sign-in that has come back: where it leads, and the user whose account it is to be linked to, if any."""

    return_to: str
    user_id: int | None


class SignOnRepository(Repository):
    """Providers by name, identities by issuer and subject, and states that are taken once."""

    # Providers

    def any(self) -> bool:
        """Whether there is any provider at all."""
        return bool(self.session.scalar(select(exists(select(SignOnProvider.id)))))

    def listed(self) -> list[Listed]:
        """All providers with their issuers, by name."""
        found = select(SignOnProvider, Issuer).join(Issuer, Issuer.id == SignOnProvider.issuer_id)
        return [(provider, issuer) for provider, issuer in self.session.execute(found.order_by(SignOnProvider.name))]

    def by_name(self, name: str) -> Listed | None:
        """The provider of that name, with its issuer."""
        return self._one(SignOnProvider.name == name)

    def by_id(self, provider_id: int) -> Listed | None:
        """The provider of that id, with its issuer."""
        return self._one(SignOnProvider.id == storable(provider_id))

    def _one(self, condition: ColumnElement[bool]) -> Listed | None:
        found = select(SignOnProvider, Issuer).join(Issuer, Issuer.id == SignOnProvider.issuer_id)
        row = self.session.execute(found.where(condition)).one_or_none()
        return (row[0], row[1]) if row else None

    def uses(self, issuer_id: int) -> bool:
        """Whether people sign in at an issuer."""
        return bool(self.session.scalar(select(exists().where(SignOnProvider.issuer_id == issuer_id))))

    def is_client(self, issuer_id: int, client_id: str) -> bool:
        """Whether people sign in at an issuer that knows this server by that id."""
        mine = (SignOnProvider.issuer_id == issuer_id) & (SignOnProvider.client_id == client_id)
        return bool(self.session.scalar(select(exists().where(mine))))

    def add(self, provider: SignOnProvider) -> SignOnProvider:
        """Insert a provider; its name must be free."""
        self.session.add(provider)
        self.session.flush()
        return provider

    def delete(self, provider: SignOnProvider) -> None:
        """Remove a provider, with the roles that its groups gave."""
        self.session.execute(delete(Member).where(Member.provider_id == provider.id))
        self.session.delete(provider)
        self.session.flush()

    # Groups

    def groups(self, provider_id: int) -> list[ProviderGroup]:
        """What a provider's groups give, by their names."""
        mine = select(ProviderGroup).where(ProviderGroup.provider_id == provider_id)
        return list(self.session.scalars(mine.order_by(ProviderGroup.name, ProviderGroup.path)))

    def projects(self, paths: Collection[str]) -> list[Project]:
        """The projects that are at one of some paths, or below."""
        if not paths:
            return []
        wanted = [condition for path in paths for condition in (Project.path_key == path.lower(), below(path))]
        return list(self.session.scalars(select(Project).where(or_(*wanted)).order_by(Project.id)))

    def given_by(self, provider_id: int, user_id: int) -> list[int]:
        """The ids of the projects in which a provider's groups gave a user a role."""
        mine = (Member.provider_id == provider_id) & (Member.user_id == user_id)
        return list(self.session.scalars(select(Member.project_id).where(mine)))

    # Identities

    def identity(self, issuer: str, subject: str) -> UserIdentity | None:
        """Who somebody is here whom an issuer calls so."""
        mine = (UserIdentity.issuer == issuer) & (UserIdentity.subject == subject)
        return self.session.scalar(select(UserIdentity).where(mine))

    def identities(self, user_id: int) -> list[UserIdentity]:
        """Who a user is to issuers."""
        mine = select(UserIdentity).where(UserIdentity.user_id == user_id)
        return list(self.session.scalars(mine.order_by(UserIdentity.id)))

    def has_other_admins(self, user: User) -> bool:
        """Whether others than a user can administer."""
        others = select(func.count()).where(User.admin, User.state == "active", User.id != user.id)
        return bool(self.session.scalar(others))

    # States

    def waiting(self) -> int:
        """How many sign-ins are on their way."""
        found = select(func.count()).select_from(SignOnState).where(SignOnState.expires_at > now())
        return self.session.scalar(found) or 0

    def forget(self, before: Milliseconds) -> None:
        """Remove the sign-ins that have not come back before a moment."""
        self.session.execute(delete(SignOnState).where(SignOnState.expires_at <= before))

    def knows(self, digest: str, browser: str, provider_id: int) -> bool:
        """Whether `take` would find a sign-in, be it in time or not."""
        found = self.session.get(SignOnState, digest)
        return found is not None and (found.browser, found.provider_id) == (browser, provider_id)

    def take(self, digest: str, browser: str, provider_id: int) -> Taken | None:
        """The sign-in of that state, which is taken by the browser that has begun it, once."""
        mine = (SignOnState.digest == digest) & (SignOnState.browser == browser)
        taken = delete(SignOnState).where(mine, SignOnState.provider_id == provider_id)
        columns = (SignOnState.return_to, SignOnState.user_id, SignOnState.expires_at)
        row = self.session.execute(taken.returning(*columns)).one_or_none()
        return Taken(row.return_to, row.user_id) if row is not None and row.expires_at > now() else None

    # Sessions

    def session_of(self, token_id: int) -> tuple[SignOnSession, SignOnProvider, Issuer] | None:
        """Where the session of a token was begun, if it was at a provider."""
        found = (
            select(SignOnSession, SignOnProvider, Issuer)
            .join(SignOnProvider, SignOnProvider.id == SignOnSession.provider_id)
            .join(Issuer, Issuer.id == SignOnProvider.issuer_id)
        )
        row = self.session.execute(found.where(SignOnSession.token_id == token_id)).one_or_none()
        return (row[0], row[1], row[2]) if row else None

    def end_sessions(self, provider_id: int) -> None:
        """End all sessions that were begun at a provider."""
        theirs = select(SignOnSession.token_id).where(SignOnSession.provider_id == provider_id)
        mine = update(Token).where(Token.id.in_(theirs), Token.kind == TokenKind.SESSION, Token.revoked_at.is_(None))
        self.session.execute(mine.values(revoked_at=now()), execution_options={"synchronize_session": False})
