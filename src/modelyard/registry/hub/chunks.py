"""Chunks of files that a project has, by which xet finds out what it need not send again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, select

from modelyard.clock import Milliseconds, now
from modelyard.registry.base import MAX_INT64, Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.tables import ChunkMark, KnownChunks, Package, PackageFile


@dataclass(frozen=True, slots=True)
class Group:
    """Chunks that follow each other in a file, `offset` bytes behind its beginning."""

    number: int
    offset: int
    size: int  # bytes
    records: bytes
    marks: Sequence[str]  # the hashes that are asked for


@dataclass(frozen=True, slots=True)
class Known:
    """A group as it is kept."""

    id: int
    sha256: str
    offset: int
    records: bytes


class ChunkRepository(Repository):
    """What is known of the chunks of files."""

    def keep(self, project_id: int, sha256: str, group: Group) -> None:
        """Know a group of a file, unless it is known."""
        row = {
            "project_id": project_id,
            "sha256": sha256,
            "number": group.number,
            "offset": group.offset,
            "size": group.size,
            "records": group.records,
            "created_at": now(),
        }
        unless_known = upsert(self.dialect, KnownChunks).values(row).on_conflict_do_nothing()
        known_id = self.session.scalar(unless_known.returning(KnownChunks.id))
        if known_id is not None and group.marks:
            marks = [{"hash": mark, "known_id": known_id} for mark in sorted(set(group.marks))]
            self.write_rows(insert(ChunkMark), marks)

    def bytes_known(self, project_id: int, sha256: str) -> int:
        """How many bytes of a file are in its groups."""
        return self.session.scalar(select(func.sum(KnownChunks.size)).where(*_of(project_id, sha256))) or 0

    def marked(self, project_id: int, mark: str, limit: int) -> list[tuple[str, int]]:
        """The groups with a chunk of that hash, each by the digest of its file and its number, the newest first."""
        statement = (
            select(KnownChunks.sha256, KnownChunks.number)
            .join(ChunkMark, ChunkMark.known_id == KnownChunks.id)
            .where(ChunkMark.hash == mark, KnownChunks.project_id == project_id)
            .order_by(KnownChunks.id.desc())
            .limit(limit)
        )
        return [(sha256, number) for sha256, number in self.session.execute(statement)]

    def from_on(self, project_id: int, sha256: str, number: int, limit: int) -> list[int]:
        """The ids of a file's groups from one of them on."""
        mine = (*_of(project_id, sha256), KnownChunks.number >= number)
        return list(self.session.scalars(select(KnownChunks.id).where(*mine).order_by(KnownChunks.number).limit(limit)))

    def find(self, project_id: int, known_id: int) -> Known | None:
        """The group of that id."""
        if known_id > MAX_INT64:
            return None
        columns = select(KnownChunks.id, KnownChunks.sha256, KnownChunks.offset, KnownChunks.records)
        mine = (KnownChunks.id == known_id, KnownChunks.project_id == project_id)
        row = self.session.execute(columns.where(*mine)).one_or_none()
        return Known(*row) if row is not None else None

    def forget(self, project_id: int, digests: Sequence[str]) -> None:
        """Know no more of files, by their digests."""
        for sha256 in digests:
            self.session.execute(delete(KnownChunks).where(*_of(project_id, sha256)))

    def any_unneeded(self, before: Milliseconds) -> bool:
        """Whether there is anything that `forget_unneeded` would forget."""
        return self.session.scalar(select(KnownChunks.id).where(_unneeded(before)).limit(1)) is not None

    def forget_unneeded(self, before: Milliseconds) -> None:
        """Know no more of files that their projects have not, of what was kept before a time."""
        self.session.execute(delete(KnownChunks).where(_unneeded(before)))


def _of(project_id: int, sha256: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return KnownChunks.project_id == project_id, KnownChunks.sha256 == sha256


def _unneeded(before: Milliseconds) -> ColumnElement[bool]:
    mine = (Package.project_id == KnownChunks.project_id, PackageFile.sha256 == KnownChunks.sha256)
    there = exists().where(Package.id == PackageFile.package_id, *mine)
    return and_(KnownChunks.created_at <= before, ~there)
