"""Whose id tokens are believed, what they open, and what has come of them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, UpdatedAt, author, parent


class Issuer(Base):
    """An issuer of id tokens, known by its URL byte for byte."""

    __tablename__ = "issuers"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    url: Mapped[str] = mapped_column(unique=True)  # the claim `iss`
    audience: Mapped[str]  # the claim `aud` of a job's token
    algorithms: Mapped[str]  # separated by blanks
    jwks: Mapped[str] = mapped_column(default="")  # its keys as JSON; empty: they are fetched
    jwks_uri: Mapped[str] = mapped_column(default="")  # where they are; empty: discovery tells
    ca: Mapped[str] = mapped_column(default="")  # certificates that its own is signed by, as PEM; empty: the system's
    private: Mapped[bool] = mapped_column(default=False)  # whether it may be in a private network
    jobs: Mapped[bool] = mapped_column(default=True)  # whether its tokens can be exchanged
    single: Mapped[bool] = mapped_column(default=True)  # whether each of them only once
    direct: Mapped[bool] = mapped_column(default=False)  # whether one is a credential by itself
    job_tokens: Mapped[bool] = mapped_column(default=False)  # whether GitLab is asked for what its CI_JOB_TOKEN is
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class TrustedPublisher(Base):
    """Whose jobs may act in a project: those of an issuer whose claims are the ones that are bound."""

    __tablename__ = "trusted_publishers"
    __table_args__ = (Index(None, "issuer_id", "subject"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id", index=True)
    issuer_id: Mapped[int] = parent("issuers.id")
    user_id: Mapped[int] = parent("users.id", index=True)  # the bot that its jobs act as
    creator_id: Mapped[int | None] = author()
    name: Mapped[str]
    subject: Mapped[str]  # what of the claims never changes, by which publishers are found
    claims: Mapped[str]  # JSON: texts by the names of claims
    ref: Mapped[str]  # of a branch or tag, perhaps with a trailing `*`; empty: any
    ref_protected: Mapped[bool]  # whether that must be protected
    environment: Mapped[str]  # empty: any, or none
    events: Mapped[str]  # those that else are refused, separated by blanks
    access_level: Mapped[int]
    lifetime: Mapped[int]  # of its tokens, in milliseconds
    source: Mapped[str]  # what the jobs' project was last called
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[int | None]


class TokenOrigin(Base):
    """The job that a token was made for, and the publisher with which it ends."""

    __tablename__ = "token_origins"

    token_id: Mapped[int] = parent("tokens.id", primary_key=True)
    publisher_id: Mapped[int | None] = mapped_column(
        ForeignKey("trusted_publishers.id", ondelete="SET NULL"), index=True
    )
    facts: Mapped[str]  # JSON; see `services.identity.origins`


class VersionOrigin(Base):
    """The job that made a version."""

    __tablename__ = "version_origins"

    model_version_id: Mapped[int] = parent("model_versions.id", primary_key=True)
    facts: Mapped[str]  # JSON, as above


class UsedToken(Base):
    """An id token that was exchanged and cannot be once more, for as long as it would be valid."""

    __tablename__ = "used_tokens"

    issuer_id: Mapped[int] = parent("issuers.id", primary_key=True)
    jti: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[int] = mapped_column(index=True)
