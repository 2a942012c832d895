"""Accounts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, false, func, or_, select

from modelyard.access.identity import UserState
from modelyard.registry.base import Ends, Repository, between, contains, storable
from modelyard.registry.people.members import in_time
from modelyard.registry.tables import Member, User
from modelyard.terms.paging import Page, PageRequest

NAMES_AT_ONCE = 500  # in one statement
ORDERS = {"id": User.id, "name": User.name, "username": User.username_key, "created_at": User.created_at}


@dataclass(frozen=True, slots=True)
class UserFilter:
    """How a listing of people is narrowed and ordered."""

    username: str | None = None
    search: str | None = None
    in_emails: bool = True  # whether `search` looks there
    active: bool = False
    inactive: bool = False
    blocked: bool = False
    admins: bool = False
    without_projects: bool = False
    ids: Ends = (None, None)
    created: Ends = (None, None)  # milliseconds
    none: bool = False  # what nobody here can be is asked for
    order_by: str = "id"
    descending: bool = True


class UserRepository(Repository):
    """People and bots."""

    def by_id(self, user_id: int) -> User | None:
        """The user of that id."""
        return self.session.get(User, storable(user_id))

    def by_username(self, username: str) -> User | None:
        """The user of that name, whatever its case."""
        return self.session.scalar(select(User).where(User.username_key == username.lower()))

    def search(self, narrowed: UserFilter, request: PageRequest) -> Page[User]:
        """A page of people."""
        orders = (ORDERS[narrowed.order_by], User.id)
        statement = select(User).where(~User.bot, *_conditions(narrowed))
        return self.page(statement.order_by(*(o.desc() if narrowed.descending else o.asc() for o in orders)), request)

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

    def ids_by_name(self, names: Collection[str]) -> dict[str, int]:
        """The ids of users by their names in lower case, of those names that somebody has."""
        found: dict[str, int] = {}
        wanted = sorted(names)
        for start in range(0, len(wanted), NAMES_AT_ONCE):
            some = User.username_key.in_(wanted[start : start + NAMES_AT_ONCE])
            found.update(self.session.execute(select(User.username_key, User.id).where(some)).all())
        return found

    def any(self) -> bool:
        """Whether there is any user at all."""
        return self.session.scalar(select(User.id).limit(1)) is not None

    def active_admins(self) -> int:
        """How many users can administer."""
        statement = select(func.count()).where(User.admin, User.state == UserState.ACTIVE)
        return self.session.scalar(statement) or 0

    def first_admin(self) -> User | None:
        """The user who can administer that was made first."""
        mine = select(User).where(User.admin, User.state == UserState.ACTIVE)
        return self.session.scalar(mine.order_by(User.id).limit(1))

    def delete(self, user: User) -> None:
        """Remove a user with their tokens and memberships; what they made stays."""
        self.session.delete(user)
        self.session.flush()


def _conditions(narrowed: UserFilter) -> Iterator[ColumnElement[bool]]:
    if narrowed.username is not None:
        yield User.username_key == narrowed.username.lower()
    if narrowed.search:
        columns = (User.username, User.name, *([User.email] if narrowed.in_emails else []))
        yield or_(*(column.ilike(contains(narrowed.search), escape="\\") for column in columns))
    if narrowed.without_projects:
        yield ~exists().where(Member.user_id == User.id, in_time())
    for asked, condition in (
        (narrowed.active, User.state == UserState.ACTIVE),
        (narrowed.inactive, User.state != UserState.ACTIVE),
        (narrowed.blocked, User.state == UserState.BLOCKED),
        (narrowed.admins, User.admin.is_(True)),
        (narrowed.none, false()),
    ):
        if asked:
            yield condition
    yield from between(User.id, narrowed.ids)
    yield from between(User.created_at, narrowed.created)
