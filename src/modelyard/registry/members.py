"""Roles of users in projects."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, or_, select

from modelyard.access.policy import Role
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, contains, storable
from modelyard.registry.tables import Member, User
from modelyard.wire.paging import Page, PageRequest

Membership = tuple[Member, User]


class MemberRepository(Repository):
    """Who belongs to a project. A membership that has ended is none, though its record stays until the next `add`."""

    def find(self, project_id: int, user_id: int) -> Membership | None:
        """A user's membership in a project."""
        statement = select(Member, User).join(User, User.id == Member.user_id)
        mine = (Member.project_id == project_id) & (Member.user_id == storable(user_id)) & in_time()
        row = self.session.execute(statement.where(mine)).one_or_none()
        return row if row else None

    def page_of_project(self, project_id: int, request: PageRequest, text: str | None) -> Page[Membership]:
        """A page of members, oldest user first, optionally only those with `text` in their names."""
        mine = (Member.project_id == project_id) & in_time()
        members = select(Member).join(User, User.id == Member.user_id).where(mine)
        if text:
            names = (User.username, User.name)
            members = members.where(or_(*(column.ilike(contains(text), escape="\\") for column in names)))
        page = self.page(members.order_by(Member.user_id), request)
        users = self._users(page.items)
        return Page([(member, users[member.user_id]) for member in page.items], page.total, request)

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


def in_time() -> ColumnElement[bool]:
    """The condition that a membership has not ended."""
    return Member.expires_at.is_(None) | (Member.expires_at > now())
