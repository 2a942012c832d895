"""What Hugging Face's clients have been told, and may come back to; and what they have sent and not committed yet."""

from __future__ import annotations

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, author, parent


class Commit(Base):
    """The files of a version at one time, under the id that a client was told; see `services.hub.commits`."""

    __tablename__ = "commits"
    __table_args__ = (Index(None, "model_version_id", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    oid: Mapped[str] = mapped_column(unique=True)  # 40 hex digits
    model_version_id: Mapped[int] = parent("model_versions.id")
    manifest: Mapped[bytes] = mapped_column(LargeBinary)  # deflated
    size: Mapped[int]  # bytes of the manifest as it is kept
    changed_at: Mapped[int]  # when the newest of its files came
    created_at: Mapped[CreatedAt]  # when it was told first
    # Of one that a client has made by this API; none of these for what came about otherwise.
    request: Mapped[str | None]  # the digest of what was asked, by which it is known when it is sent again
    title: Mapped[str | None]
    message: Mapped[str | None]
    author_id: Mapped[int | None] = author()


class UploadTicket(Base):
    """The right to send bytes to a project without a token: one object, or whatever xet sends."""

    __tablename__ = "upload_tickets"
    __table_args__ = (Index(None, "project_id", "user_id"), Index(None, "expires_at"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(unique=True)  # of the secret in its URL
    project_id: Mapped[int] = parent("projects.id")
    user_id: Mapped[int] = parent("users.id", index=True)
    token_id: Mapped[int] = parent("tokens.id", index=True)  # that it was made with, and ends with
    sha256: Mapped[str | None]  # of the object; none for xet
    size: Mapped[int | None]  # bytes of the object
    expires_at: Mapped[int]


class UploadedObject(Base):
    """Bytes that a user has sent to a project, so that a commit of theirs may name them by digest alone."""

    __tablename__ = "uploaded_objects"
    __table_args__ = (
        UniqueConstraint("project_id", "user_id", "sha256"),
        Index(None, "created_at"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    user_id: Mapped[int] = parent("users.id", index=True)
    sha256: Mapped[str]
    size: Mapped[int]
    created_at: Mapped[CreatedAt]


class UploadPiece(Base):
    """A part of an object, or a xorb, that lies in the store until what it belongs to is put together."""

    __tablename__ = "upload_pieces"
    __table_args__ = (
        UniqueConstraint("project_id", "user_id", "session", "name"),
        Index(None, "created_at"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    user_id: Mapped[int] = parent("users.id", index=True)
    session: Mapped[str]  # which upload it is of
    name: Mapped[str]  # the number of a part, the hash of a xorb
    sha256: Mapped[str]  # of its bytes, by which the store has them
    size: Mapped[int]  # bytes that are pending; 0 for a xorb that an object was made of
    chunks: Mapped[bytes] = mapped_column(LargeBinary)  # where the chunks of a xorb are; empty for a part
    hashes: Mapped[bytes | None] = mapped_column(LargeBinary)  # 32 bytes of each of them, once a shard tells them
    created_at: Mapped[CreatedAt]


class KnownChunks(Base):
    """Chunks that follow each other in a file of a project, so that xet need not send them again; see
    `services.hub.known_chunks`.
    """

    __tablename__ = "known_chunks"
    __table_args__ = (UniqueConstraint("project_id", "sha256", "number"), Index(None, "sha256"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    sha256: Mapped[str]  # of the file
    number: Mapped[int]  # which of the file's groups of chunks this is, from 0 on
    offset: Mapped[int]  # bytes of the file before it
    size: Mapped[int]  # bytes of it
    records: Mapped[bytes] = mapped_column(LargeBinary)  # hash and bytes of each chunk
    created_at: Mapped[CreatedAt]


class ChunkMark(Base):
    """A chunk that clients may ask for: a file's first one, and about one in 1 024 of the others."""

    __tablename__ = "chunk_marks"

    hash: Mapped[str] = mapped_column(primary_key=True)  # as xet writes it
    known_id: Mapped[int] = parent("known_chunks.id", primary_key=True, index=True)
