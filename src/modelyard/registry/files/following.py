"""Which versions follow whose files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from modelyard.registry.base import Repository
from modelyard.registry.statements import built_once
from modelyard.registry.tables import Candidate, LoggedModel, ModelVersion, Package


@dataclass(frozen=True, slots=True)
class Followed:
    """Whose files in a directory (empty: the top) are followed: a candidate's, a logged model's, or nobody's."""

    candidate_id: int | None = None
    logged_model_id: int | None = None
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Follower:
    """A version that follows a directory of somebody's files, with the package that has its own."""

    version_id: int
    directory: str
    package_id: int
    project_id: int
    creator_id: int | None


class FollowingRepository(Repository):
    """Versions by what they follow."""

    def followers(self, followed: Followed, directories: Sequence[str], *, hold: bool = False) -> list[Follower]:
        """The versions that follow any of the directories of somebody's files.

        `hold`: none of them stops before the end of the transaction.
        """
        statement = _followers(followed.candidate_id is None, hold)
        values = {"id": _key(followed), "directories": directories}
        return [Follower(*row) for row in self.tuples(statement, values)]

    def home_of(self, followed: Followed) -> int | None:
        """The id of the project of who is followed; None where that is nobody, or is gone."""
        owner = LoggedModel if followed.candidate_id is None else Candidate
        return self.session.scalar(select(owner.project_id).where(owner.id == _key(followed)))

    def count(self, followed: Followed) -> int:
        """How many versions follow the same directory."""
        same = _followed_by(followed.candidate_id is None) == _key(followed)
        mine = select(func.count(ModelVersion.id)).where(same, ModelVersion.followed_directory == followed.directory)
        return self.session.scalar(mine) or 0

    def is_followed(self, followed: Followed) -> bool:
        """Whether any version follows any directory of somebody's files."""
        same = _followed_by(followed.candidate_id is None) == _key(followed)
        return self.session.scalar(select(ModelVersion.id).where(same).limit(1)) is not None

    def stop(self, version_id: int) -> None:
        """Let a version follow nothing any more."""
        self.connection.execute(_STOP, {"row": version_id})


def _key(followed: Followed) -> int | None:
    return followed.logged_model_id if followed.candidate_id is None else followed.candidate_id


def _followed_by(of_logged_model: bool) -> InstrumentedAttribute[int | None]:
    return ModelVersion.followed_model_id if of_logged_model else ModelVersion.followed_candidate_id


_STOP = (
    update(ModelVersion)
    .where(ModelVersion.id == bindparam("row"))
    # `updated_at` is named so that it does not pass for a change of what is said of the version.
    .values(followed_candidate_id=None, followed_model_id=None, updated_at=ModelVersion.updated_at)
)


@built_once
def _followers(of_logged_model: bool, hold: bool) -> Select[*tuple[Any, ...]]:
    """Built once: building a statement takes several times as long as running it."""
    followed = _followed_by(of_logged_model) == bindparam("id")
    at = ModelVersion.followed_directory.in_(bindparam("directories", expanding=True))
    columns = (
        ModelVersion.id,
        ModelVersion.followed_directory,
        Package.id,
        ModelVersion.project_id,
        ModelVersion.user_id,
    )
    of_versions = select(*columns).join(Package, Package.model_version_id == ModelVersion.id)
    statement = of_versions.where(followed, at).order_by(ModelVersion.id)
    return statement.with_for_update(read=True, of=ModelVersion) if hold else statement
