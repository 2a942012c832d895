"""Passwords, by whom they let in."""

from __future__ import annotations

from sqlalchemy import delete, exists, select, update

from modelyard.clock import Milliseconds
from modelyard.registry.base import Repository
from modelyard.registry.tables import Password, User


class PasswordRepository(Repository):
    """Digests of passwords; never the passwords."""

    def any(self) -> bool:
        """Whether there is any that lets an administrator in."""
        mine = select(Password.user_id).join(User, User.id == Password.user_id).where(User.admin)
        return bool(self.session.scalar(select(exists(mine))))

    def digest(self, user_id: int) -> str | None:
        """The digest of a user's password, if they have one."""
        return self.session.scalar(select(Password.digest).where(Password.user_id == user_id))

    def put(self, user_id: int, digest: str, at: Milliseconds) -> None:
        """Keep a digest, in place of the one before."""
        mine = update(Password).where(Password.user_id == user_id)
        if not self.changed(mine.values(digest=digest, changed_at=at)):
            self.insert(Password(user_id=user_id, digest=digest, changed_at=at))

    def delete(self, user_id: int) -> bool:
        """Forget a user's password; whether there was one."""
        return self.changed(delete(Password).where(Password.user_id == user_id))
