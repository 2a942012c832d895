"""Users, their tokens, projects and who belongs to them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, UpdatedAt, author, parent


class User(Base):
    """A person, or the bot behind a project access token."""

    __tablename__ = "users"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    username: Mapped[str]
    username_key: Mapped[str] = mapped_column(unique=True)  # lower case
    name: Mapped[str]
    email: Mapped[str]
    state: Mapped[str]
    admin: Mapped[bool] = mapped_column(default=False)
    bot: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[CreatedAt]


class Token(Base):
    """A credential; its secret is kept as SHA-256 only."""

    __tablename__ = "tokens"
    __table_args__ = (Index(None, "user_id", "last_used_at"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    user_id: Mapped[int] = parent("users.id", index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    maker_id: Mapped[int | None]  # the token that a job token was made with, and ends with; it is of the same user
    kind: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    digest: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[str]  # separated by blanks
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    last_used_at: Mapped[int | None]


class BrowserSession(Base):
    """Where a session is, beside the token of that kind by which its browser is known."""

    __tablename__ = "sessions"

    token_id: Mapped[int] = parent("tokens.id", primary_key=True)
    address: Mapped[str]
    user_agent: Mapped[str]


class SignInCode(Base):
    """A code that signs a user in once; kept as SHA-256 only."""

    __tablename__ = "sign_in_codes"

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = parent("users.id", index=True)
    expires_at: Mapped[int]


class Project(Base):
    """A project, addressed by id or by its path `namespace/name` whatever the case."""

    __tablename__ = "projects"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    name: Mapped[str]
    path: Mapped[str]  # the last segment
    namespace_path: Mapped[str]
    path_key: Mapped[str] = mapped_column(unique=True)  # namespace_path/path in lower case
    description: Mapped[str] = mapped_column(default="")
    visibility: Mapped[str]
    creator_id: Mapped[int | None] = author()
    last_experiment_iid: Mapped[int] = mapped_column(default=0)
    last_candidate_iid: Mapped[int] = mapped_column(default=0)
    default_experiment_id: Mapped[int | None]  # MLflow's experiment 0; none where an older version made the project
    storage_limit: Mapped[int | None]  # bytes; 0: no limit, NULL: the server's default
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    @property
    def full_path(self) -> str:
        """The path by which clients address the project."""
        return f"{self.namespace_path}/{self.path}"


class ProjectStorage(Base):
    """The bytes of a project's files are the sum of these; triggers of the database keep them (revision 0003)."""

    __tablename__ = "project_storage"

    project_id: Mapped[int] = parent("projects.id", primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)  # several, so that writers need not wait for each other
    size: Mapped[int]


class ProjectRows(Base):
    """The bytes of a project's rows, beside its files, are the sum of these; see `registry.tracking.rows`."""

    __tablename__ = "project_rows"

    project_id: Mapped[int] = parent("projects.id", primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)  # several, as above
    size: Mapped[int]


class Member(Base):
    """A user's role in a project, for good or until a date."""

    __tablename__ = "members"

    project_id: Mapped[int] = parent("projects.id", primary_key=True)
    user_id: Mapped[int] = parent("users.id", primary_key=True, index=True)
    access_level: Mapped[int]
    expires_at: Mapped[int | None]
    provider_id: Mapped[int | None]  # that of a group which gave the role; NULL: somebody here did
    created_at: Mapped[CreatedAt]
