"""What Hugging Face's clients send before they commit it: rights to send, bytes that came, and pieces of more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Insert, bindparam, delete, func, insert, select, update

from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.statements import built_once
from modelyard.registry.tables import Package, PackageFile, Token, UploadedObject, UploadPiece, UploadTicket

AT_ONCE = 500  # digests in one statement
KEPT = 24 * 3600 * 1000  # milliseconds for which what was sent waits for its commit


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and to which project: what one has sent, no other may refer to."""

    project_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece as it lies in the store."""

    name: str
    sha256: str
    size: int
    chunks: bytes
    hashes: bytes | None = None  # of a xorb's chunks


class UploadRepository(Repository):
    """Uploads that are not committed yet."""

    def add_tickets(self, tickets: Sequence[UploadTicket]) -> None:
        """Give rights to send."""
        columns = ("digest", "project_id", "user_id", "token_id", "sha256", "size", "expires_at")
        rows = [{name: getattr(ticket, name) for name in columns} for ticket in tickets]
        if rows:
            self.write_rows(insert(UploadTicket), rows)

    def ticket(self, digest: str) -> tuple[UploadTicket, str] | None:
        """The right to send of that digest, also one whose time is over, and the digest of the token behind it."""
        statement = select(UploadTicket, Token.digest).join(Token, Token.id == UploadTicket.token_id)
        row = self.session.execute(statement.where(UploadTicket.digest == digest)).one_or_none()
        return (row[0], row[1]) if row is not None else None

    def open_tickets(self, sender: Sender) -> int:
        """How many rights to send a user has in a project."""
        return self.session.scalar(select(func.count(UploadTicket.id)).where(*_of(UploadTicket, sender))) or 0

    def note_object(self, sender: Sender, sha256: str, size: int) -> None:
        """Know that bytes have come, which are durable."""
        row = {"project_id": sender.project_id, "user_id": sender.user_id, "sha256": sha256, "size": size}
        self.connection.execute(_note_object(self.dialect), {**row, "created_at": now()})

    def sizes(self, sender: Sender, digests: Sequence[str]) -> dict[str, int]:
        """The bytes of those objects that a user may name in a commit to a project: which they have sent there, or
        which a file there has.
        """
        found: dict[str, int] = {}
        for at in range(0, len(digests), AT_ONCE):
            values = {"digests": digests[at : at + AT_ONCE], "project": sender.project_id, "user": sender.user_id}
            for statement in (_SENT, _THERE):
                found.update(self.tuples(statement, values))
        return found

    def keep_piece(self, sender: Sender, session: str, piece: Piece) -> None:
        """Know a piece, in place of one of its name."""
        row = {
            "project_id": sender.project_id,
            "user_id": sender.user_id,
            "session": session,
            "name": piece.name,
            "sha256": piece.sha256,
            "size": piece.size,
            "chunks": piece.chunks,
            "hashes": piece.hashes,
            "created_at": now(),
        }
        self.connection.execute(_keep_piece(self.dialect), row)

    def pieces(self, sender: Sender, session: str, names: Sequence[str]) -> dict[str, Piece]:
        """Those of the pieces that have come, by their names."""
        found: dict[str, Piece] = {}
        mine = (*_of(UploadPiece, sender), UploadPiece.session == session)
        columns = select(
            UploadPiece.name, UploadPiece.sha256, UploadPiece.size, UploadPiece.chunks, UploadPiece.hashes
        ).where(*mine)
        for at in range(0, len(names), AT_ONCE):
            rows = self.session.execute(columns.where(UploadPiece.name.in_(names[at : at + AT_ONCE])))
            found |= {row.name: Piece(*row) for row in rows}
        return found

    def note_hashes(self, sender: Sender, session: str, hashes: Mapping[str, bytes]) -> None:
        """Know the hashes of the chunks of xorbs, by their names; of those that have not come, nothing is known."""
        mine = (*_of(UploadPiece, sender), UploadPiece.session == session)
        for name, found in hashes.items():
            self.session.execute(update(UploadPiece).where(*mine, UploadPiece.name == name).values(hashes=found))

    def count_no_more(self, sender: Sender, session: str, names: Sequence[str]) -> None:
        """Take pieces out of what is pending: an object has their bytes by now, and others may be made of them yet."""
        mine = (*_of(UploadPiece, sender), UploadPiece.session == session)
        for at in range(0, len(names), AT_ONCE):
            named = UploadPiece.name.in_(names[at : at + AT_ONCE])
            self.session.execute(update(UploadPiece).where(*mine, named).values(size=0))

    def has_sent(self, sha256: str) -> bool:
        """Whether anybody has sent these bytes who may still commit them."""
        tables = (UploadedObject, UploadPiece)
        return any(
            self.session.scalar(select(table.id).where(table.sha256 == sha256).limit(1)) is not None for table in tables
        )

    def pending_bytes(self, project_id: int) -> int:
        """The bytes that were sent to a project and not committed: as objects, or as pieces, which become objects."""
        tables = (UploadedObject, UploadPiece)
        since = now() - KEPT
        sums = [
            select(func.sum(table.size)).where(table.project_id == project_id, table.created_at >= since)
            for table in tables
        ]
        return max(int(self.session.scalar(each) or 0) for each in sums)

    def forget_objects(self, sender: Sender, digests: Sequence[str]) -> None:
        """Forget objects that files have by now."""
        for at in range(0, len(digests), AT_ONCE):
            named = UploadedObject.sha256.in_(digests[at : at + AT_ONCE])
            self.session.execute(delete(UploadedObject).where(*_of(UploadedObject, sender), named))

    def forget_pieces(self, sender: Sender, session: str) -> None:
        """Forget the pieces of an upload that was put together."""
        self.session.execute(delete(UploadPiece).where(*_of(UploadPiece, sender), UploadPiece.session == session))

    def has_waited(self, at: Milliseconds) -> bool:
        """Whether there is anything that `forget_before` would forget."""
        ended = [
            select(UploadTicket.id).where(UploadTicket.expires_at <= at),
            *(select(table.id).where(table.created_at < at - KEPT) for table in (UploadedObject, UploadPiece)),
        ]
        return any(self.session.scalar(each.limit(1)) is not None for each in ended)

    def forget_before(self, at: Milliseconds) -> None:
        """Forget rights that have ended by then, and what has waited for too long; its bytes are garbage then."""
        self.session.execute(delete(UploadTicket).where(UploadTicket.expires_at <= at))
        for table in (UploadedObject, UploadPiece):
            self.session.execute(delete(table).where(table.created_at < at - KEPT))


def _of(table: type[UploadTicket | UploadedObject | UploadPiece], sender: Sender) -> Iterator[ColumnElement[bool]]:
    yield table.project_id == sender.project_id
    yield table.user_id == sender.user_id


_SENT = select(UploadedObject.sha256, UploadedObject.size).where(
    UploadedObject.project_id == bindparam("project"),
    UploadedObject.user_id == bindparam("user"),
    UploadedObject.sha256.in_(bindparam("digests", expanding=True)),
)
_THERE = (
    select(PackageFile.sha256, PackageFile.size)
    .join(Package, Package.id == PackageFile.package_id)
    .where(Package.project_id == bindparam("project"), PackageFile.sha256.in_(bindparam("digests", expanding=True)))
    .distinct()
)


@built_once
def _note_object(dialect: str) -> Insert:
    statement = upsert(dialect, UploadedObject)
    key = [UploadedObject.project_id, UploadedObject.user_id, UploadedObject.sha256]
    return statement.on_conflict_do_update(index_elements=key, set_={"created_at": statement.excluded.created_at})


@built_once
def _keep_piece(dialect: str) -> Insert:
    statement = upsert(dialect, UploadPiece)
    key = [UploadPiece.project_id, UploadPiece.user_id, UploadPiece.session, UploadPiece.name]
    given = ("sha256", "size", "chunks", "hashes", "created_at")
    return statement.on_conflict_do_update(index_elements=key, set_={name: statement.excluded[name] for name in given})
