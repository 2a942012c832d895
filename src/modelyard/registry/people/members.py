"""Roles of users in projects."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, select

from modelyard.access.policy import Role
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, contains, storable
from modelyard.registry.tables import Member, Project, User
from modelyard.terms.paging import Page, PageRequest

Membership = tuple[Member, User]


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """How a listing of members is narrowed."""

    search: str | None = None  # in user name or name
    only: Collection[int] = ()  # ids of users; none: all
    skipped: Collection[int] = ()


class MemberRepository(Repository):
    """Who belongs to a project. A membership that has ended is none, though its record stays until the next `add`."""

    def find(self, project_id: int, user_id: int) -> Membership | None:
        """A user's membership in a project."""
        statement = select(Member, User).join(User, User.id == Member.user_id)
        mine = (Member.project_id == project_id) & (Member.user_id == storable(user_id)) & in_time()
        row = self.session.execute(statement.where(mine)).one_or_none()
        return row if row else None

    def page_of_project(self, project_id: int, narrowed: MemberFilter, request: PageRequest) -> Page[Membership]:
        """A page of members, oldest user first."""
        mine = (Member.project_id == project_id) & in_time()
        members = select(Member).join(User, User.id == Member.user_id).where(mine, *_conditions(narrowed))
        page = self.page(members.order_by(Member.user_id), request)
        users = self._users(page.items)
        return page.showing([(member, users[member.user_id]) for member in page.items])

    def page_of_user(self, user_id: int, request: PageRequest) -> Page[tuple[Member, Project]]:
        """A page of a user's memberships, oldest project first."""
        theirs = select(Member).where(Member.user_id == user_id, in_time()).order_by(Member.project_id)
        page = self.page(theirs, request)
        ids = [member.project_id for member in page.items]
        return page.showing(list(zip(page.items, self.entities(Project, ids), strict=True)))

    def add(self, project_id: int, user_id: int, access_level: int, expires_at: Milliseconds | None = None) -> Member:
        """Insert a membership, in place of one that has ended; the user must not have another."""
        mine = (Member.project_id == project_id) & (Member.user_id == user_id)
        self.session.execute(delete(Member).where(mine, ~in_time()))
        member = Member(project_id=project_id, user_id=user_id, access_level=access_level, expires_at=expires_at)
        self.session.add(member)
        self.session.flush()
        return member

    def delete(self, member: Member) -> None:
        """End a membership."""
        self.session.delete(member)
        self.session.flush()

    def has_other_owner(self, project_id: int, user_id: int) -> bool:
        """Whether a person other than that user owns the project for good; bots do not count."""
        owners = select(Member.user_id).join(User, User.id == Member.user_id).where(~User.bot)
        for_good = (Member.access_level >= Role.OWNER) & Member.expires_at.is_(None)
        others = owners.where(Member.project_id == project_id, Member.user_id != user_id, for_good)
        return self.session.scalar(others.limit(1)) is not None

    def levels(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        """Access levels in a project by user id, of those users that are members."""
        mine = (Member.project_id == project_id) & Member.user_id.in_(user_ids)
        return dict(self.session.execute(select(Member.user_id, Member.access_level).where(mine)).all())

    def _users(self, members: list[Member]) -> dict[int, User]:
        ids = [member.user_id for member in members]
        return {user.id: user for user in self.session.scalars(select(User).where(User.id.in_(ids)))}


def _conditions(narrowed: MemberFilter) -> Iterator[ColumnElement[bool]]:
    if narrowed.search:
        pattern = contains(narrowed.search)
        yield or_(*(column.ilike(pattern, escape="\\") for column in (User.username, User.name)))
    if narrowed.only:
        yield Member.user_id.in_([storable(user_id) for user_id in narrowed.only])
    if narrowed.skipped:
        yield Member.user_id.not_in([storable(user_id) for user_id in narrowed.skipped])


def in_time() -> ColumnElement[bool]:
    """The condition that a membership has not ended."""
    return Member.expires_at.is_(None) | (Member.expires_at > now())
