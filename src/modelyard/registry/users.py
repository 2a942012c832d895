"""Accounts."""

from __future__ import annotations

from sqlalchemy import func, or_, select

from modelyard.access.identity import UserState
from modelyard.registry.base import Repository, contains, storable
from modelyard.registry.tables import User
from modelyard.wire.paging import Page, PageRequest


class UserRepository(Repository):
    """People and bots."""

    def by_id(self, user_id: int) -> User | None:
        """The user of that id."""
        return self.session.get(User, storable(user_id))

    def by_username(self, username: str) -> User | None:
        """The user of that name, whatever its case."""
        return self.session.scalar(select(User).where(User.username_key == username.lower()))

    def search(self, request: PageRequest, *, username: str | None, text: str | None) -> Page[User]:
        """A page of people, newest first: of that exact user name, or with `text` in user name, name or e-mail."""
        statement = select(User).where(~User.bot).order_by(User.id.desc())
        if username is not None:
            statement = statement.where(User.username_key == username.lower())
        if text:
            columns = (User.username, User.name, User.email)
            statement = statement.where(or_(*(column.ilike(contains(text), escape="\\") for column in columns)))
        return self.page(statement, request)

    def add(
        self, username: str, *, name: str | None = None, email: str = "", admin: bool = False, bot: bool = False
    ) -> User:
        """Insert an active user; the name must be free."""
        user = User(
            username=username,
            username_key=username.lower(),
            name=name or username,
            email=email,
            state=UserState.ACTIVE,
            admin=admin,
            bot=bot,
        )
        self.session.add(user)
        self.session.flush()
        return user

    def any(self) -> bool:
        """Whether there is any user at all."""
        return self.session.scalar(select(User.id).limit(1)) is not None

    def active_admins(self) -> int:
        """How many users can administer."""
        statement = select(func.count()).where(User.admin, User.state == UserState.ACTIVE)
        return self.session.scalar(statement) or 0

    def delete(self, user: User) -> None:
        """Remove a user with their tokens and memberships; what they made stays."""
        self.session.delete(user)
        self.session.flush()
