"""Which content is known, and whether any file refers to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Insert, bindparam, delete, exists, func, select, update

from modelyard.clock import now
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.statements import built_once
from modelyard.registry.tables import Blob, PackageFile

BATCH = 1000
_DAMAGED_AT = select(Blob.damaged_at).where(Blob.sha256 == bindparam("sha256"))
_IN_USE = exists().where(PackageFile.sha256 == Blob.sha256)


class BlobRepository(Repository):
    """The records of content; the bytes themselves lie in the blob store."""

    def ensure(self, sha256: str, size: int) -> None:
        """Know a blob from now on, whose bytes have just been made durable."""
        row = {"sha256": sha256, "size": size, "created_at": now()}
        self.write(_ensure_statement(self.dialect), row)

    def know(self, sizes: Mapping[str, int]) -> None:
        """Know blobs from now on, by digest with their bytes, which are in the store; damaged ones stay so.

        In the order of digests, so that those who do so at once wait for each other and no more.
        """
        rows = [{"sha256": sha256, "size": size, "created_at": now()} for sha256, size in sorted(sizes.items())]
        if rows:
            unless_known = upsert(self.dialect, Blob).on_conflict_do_nothing(index_elements=[Blob.sha256])
            self.write_rows(unless_known, rows)

    def in_use(self, digests: Sequence[str]) -> set[str]:
        """Those of the blobs that any file points at."""
        found: set[str] = set()
        for at in range(0, len(digests), BATCH // 2):
            mine = PackageFile.sha256.in_(digests[at : at + BATCH // 2])
            found.update(self.session.scalars(select(PackageFile.sha256).where(mine).distinct()))
        return found

    def repaired(self, digests: Sequence[str]) -> None:
        """Know that the bytes of blobs have just come again, as they should be."""
        for at in range(0, len(digests), BATCH // 2):
            mine = Blob.sha256.in_(digests[at : at + BATCH // 2]) & Blob.damaged_at.is_not(None)
            self.session.execute(update(Blob).where(mine).values(damaged_at=None))

    def references(self, sha256: str) -> int:
        """How many files point at the blob."""
        return self.session.scalar(select(func.count()).where(PackageFile.sha256 == sha256)) or 0

    def mark(self, sha256: str, *, damaged: bool) -> None:
        """Know that the bytes in the store are others, or that they are right again."""
        values = {"damaged_at": now() if damaged else None}
        self.session.execute(update(Blob).where(Blob.sha256 == sha256).values(values))

    def is_damaged(self, sha256: str) -> bool | None:
        """Whether the bytes of a blob are known to be others; None for a blob that is not known."""
        row = self.connection.execute(_DAMAGED_AT, {"sha256": sha256}).one_or_none()
        return None if row is None else row[0] is not None

    def damaged(self) -> set[str]:
        """The digests of all blobs that are known to be damaged."""
        return set(self.session.scalars(select(Blob.sha256).where(Blob.damaged_at.is_not(None))))

    def forget(self, sha256: str) -> None:
        """Drop the record of a blob that nothing refers to."""
        self.session.execute(delete(Blob).where(Blob.sha256 == sha256))

    def referenced(self, after: str = "") -> Iterator[tuple[str, int]]:
        """Digest and size of every blob that a file points at, in the order of digests, those after one alone."""
        return self._walk(_IN_USE, after)

    def unreferenced(self) -> Iterator[tuple[str, int]]:
        """Digest and size of every blob that no file points at, in the order of digests."""
        return self._walk(~_IN_USE)

    def _walk(self, condition: ColumnElement[bool], last: str = "") -> Iterator[tuple[str, int]]:
        while rows := self.session.execute(
            select(Blob.sha256, Blob.size).where(condition, Blob.sha256 > last).order_by(Blob.sha256).limit(BATCH)
        ).all():
            yield from rows
            last = rows[-1].sha256


@built_once
def _ensure_statement(dialect: str) -> Insert:
    return upsert(dialect, Blob).on_conflict_do_update(
        index_elements=[Blob.sha256], set_={"damaged_at": None}, where=Blob.damaged_at.is_not(None)
    )
