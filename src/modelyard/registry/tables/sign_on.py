"""How people come in beside tokens of theirs: devices, passwords, single sign-on."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, Int64, parent


class DeviceGrant(Base):
    """A device that waits for its user (RFC 8628); the code by which it asks is kept as SHA-256 only."""

    __tablename__ = "device_grants"

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_code: Mapped[str] = mapped_column(unique=True)  # as typed, without what stands between its letters
    client: Mapped[str]
    scopes: Mapped[str]  # separated by blanks
    address: Mapped[str]
    created_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(index=True)
    interval: Mapped[int]  # seconds between two of its questions
    polled_at: Mapped[int | None]
    approved: Mapped[bool | None]  # NULL: nobody has decided
    user_id: Mapped[int | None] = mapped_column(
        Int64, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )  # who has
    maker_id: Mapped[int | None]  # the token that they had signed in with, and that its token ends with


class Password(Base):
    """The password of an administrator, for when nobody can be asked who they are."""

    __tablename__ = "passwords"

    user_id: Mapped[int] = parent("users.id", primary_key=True)
    digest: Mapped[str]  # argon2id, with its parameters and its salt
    changed_at: Mapped[int]


class SignOnProvider(Base):
    """Where people sign in: a client of ours at an issuer."""

    __tablename__ = "sign_on_providers"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)  # a part of its URLs here
    label: Mapped[str]  # as people read it
    issuer_id: Mapped[int] = parent("issuers.id", index=True)
    client_id: Mapped[str]
    secret_file: Mapped[str]  # the path of a file; empty where there is none
    secret: Mapped[str | None]  # the client's secret, where it is in no file
    scopes: Mapped[str]  # separated by blanks
    provision: Mapped[str]
    groups_claim: Mapped[str]  # a name, or names with dots between where one is in the other
    created_at: Mapped[CreatedAt]


class ProviderGroup(Base):
    """What a group of a provider's gives its people: to come in, a role below a path, or to administer."""

    __tablename__ = "provider_groups"
    __table_args__ = (UniqueConstraint("provider_id", "name", "path"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    provider_id: Mapped[int] = parent("sign_on_providers.id")
    name: Mapped[str]
    path: Mapped[str]  # of a project, or of a namespace; empty for no role in any
    access_level: Mapped[int]


class UserIdentity(Base):
    """Who a user is to an issuer. Nothing else says so: neither a name nor an e-mail address."""

    __tablename__ = "user_identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    user_id: Mapped[int] = parent("users.id", index=True)
    issuer: Mapped[str]  # its URL, so that who was known stays known where it is listed anew
    subject: Mapped[str]
    provisioned: Mapped[bool]  # whether the account was made for it
    made_admin: Mapped[bool]  # whether a group of theirs made the user an administrator
    created_at: Mapped[CreatedAt]


class SignOnState(Base):
    """A sign-in on its way, of one browser; both secrets are kept as SHA-256 only."""

    __tablename__ = "sign_on_states"

    digest: Mapped[str] = mapped_column(primary_key=True)
    browser: Mapped[str]
    provider_id: Mapped[int] = parent("sign_on_providers.id", index=True)
    return_to: Mapped[str]
    # Whose account is to be linked.
    user_id: Mapped[int | None] = mapped_column(Int64, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[int] = mapped_column(index=True)


class SignOnSession(Base):
    """Which provider a browser's session was begun at, and by which id token, that it may be ended there as well."""

    __tablename__ = "sign_on_sessions"

    token_id: Mapped[int] = parent("tokens.id", primary_key=True)
    provider_id: Mapped[int] = parent("sign_on_providers.id", index=True)
    id_token: Mapped[str]
