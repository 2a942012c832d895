"""Uploads that go on: what is known of each, and the parts of it that lie in a bucket already."""

from __future__ import annotations

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, parent


class Upload(Base):
    """A file on its way to an address, for as long as it is neither there nor expired, and a while after."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index(None, "project_id", "state"),
        Index(None, "token_id", "state"),
        Index(None, "state", "expires_at"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    uid: Mapped[str] = mapped_column(unique=True)  # 32 hex digits, of its URL and of its bytes in the store
    project_id: Mapped[int] = parent("projects.id")
    owner_kind: Mapped[str]
    owner_key: Mapped[str]  # as in the API: a version's id, a candidate's iid, a logged model's id
    name: Mapped[str]
    user_id: Mapped[int] = parent("users.id", index=True)
    token_id: Mapped[int]  # that it was begun with; another of the same user may go on
    state: Mapped[str]  # open, finished, or failed
    length: Mapped[int | None]  # bytes; none as long as nobody has told it
    size: Mapped[int] = mapped_column(default=0)  # bytes that are durable
    generation: Mapped[int] = mapped_column(default=0)  # raised by whoever goes on: what an older one records is void
    writer: Mapped[int] = mapped_column(default=0)  # the generation of the last one that wrote, in a bucket
    hash_state: Mapped[bytes] = mapped_column(LargeBinary, default=b"")  # of SHA-256 after `size` bytes
    place: Mapped[str] = mapped_column(default="")  # what the store notes
    sha256: Mapped[str | None]  # of all of it, once the last byte is durable
    terms: Mapped[str]  # JSON: what the client has asked for at the beginning
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[int]


class UploadPart(Base):
    """A part of an upload that is durable, in a bucket or as a blob of its own."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[int] = parent("uploads.id", primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int]
    etag: Mapped[str] = mapped_column(index=True)  # the bucket's, or the SHA-256 of a part that is a blob of its own
