"""Uploads that go on: their rows, and the generations by which one writer ends another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, delete, func, insert, select, update

from modelyard.clock import Milliseconds
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.tables import Upload, UploadPart

OPEN, FINISHED, FAILED = "open", "finished", "failed"
PRUNED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Unfinished:
    """How many uploads are on their way, and how many bytes of them are durable."""

    uploads: int
    size: int


class ResumableRepository(Repository):
    """Uploads by their uid. Those that have expired are not there, but for `gc`."""

    def add(self, upload: Upload) -> Upload:
        """A new upload, with an id."""
        self.session.add(upload)
        self.session.flush()
        return upload

    def by_uid(self, uid: str, at: Milliseconds) -> Upload | None:
        """The upload of that uid, as it is now."""
        return self.session.scalars(_BY_UID, {"uid": uid, "at": at}).one_or_none()

    def parts(self, upload_id: int, after: int = 0) -> list[tuple[int, int, str]]:
        """Number, bytes and entity tag of each part that is durable, by ascending number, of those after one."""
        values = {"upload": upload_id, "after": after}
        return [(number, size, etag) for number, size, etag in self.tuples(_PARTS, values)]

    def raise_generation(self, upload_id: int, *, writes: bool) -> None:
        """Make void what anybody records who is at it now; `writes`: the new one will write."""
        values: dict[str, object] = {"generation": Upload.generation + 1}
        if writes:
            values["writer"] = Upload.generation + 1
        self.session.execute(update(Upload).where(Upload.id == upload_id).values(values))

    def record(
        self,
        upload_id: int,
        generation: int | None,
        values: Mapping[str, object],
        parts: Sequence[tuple[int, int, str]] = (),
    ) -> bool:
        """Write what has become of an open upload; False where another has raised its generation since.

        None for the generation: whoever writes has a lock, so that whoever raises it only waits.
        """
        mine = [Upload.id == upload_id, Upload.state == OPEN]
        if generation is not None:
            mine.append(Upload.generation == generation)
        if not self.changed(update(Upload).where(*mine).values(dict(values))):
            return False
        rows = [{"upload_id": upload_id, "number": n, "size": size, "etag": etag} for n, size, etag in parts]
        if rows:
            self.session.execute(insert(UploadPart), rows)
        return True

    def keep_part(self, upload_id: int, number: int, size: int, sha256: str, expires_at: Milliseconds) -> None:
        """Know a part, in place of one of its number, and how many bytes all have that are there."""
        row = {"upload_id": upload_id, "number": number, "size": size, "etag": sha256}
        keys = [UploadPart.upload_id, UploadPart.number]
        kept = upsert(self.dialect, UploadPart).values(row)
        self.session.execute(kept.on_conflict_do_update(index_elements=keys, set_={"size": size, "etag": sha256}))
        total = select(func.coalesce(func.sum(UploadPart.size), 0)).where(UploadPart.upload_id == upload_id)
        values = {"size": total.scalar_subquery(), "expires_at": expires_at}
        mine = (Upload.id == upload_id, Upload.state == OPEN)
        self.session.execute(update(Upload).where(*mine).values(values).execution_options(synchronize_session=False))

    def size_beside(self, upload_id: int, number: int) -> int:
        """The bytes of all parts of an upload but one."""
        values = {"upload": upload_id, "number": number}
        return int(self.connection.execute(_SIZE_BESIDE, values).scalar_one())

    def is_part(self, sha256: str) -> bool:
        """Whether a blob is a part of an upload that may be finished."""
        return self.session.scalar(select(UploadPart.number).where(UploadPart.etag == sha256).limit(1)) is not None

    def end(self, upload_id: int, state: str, expires_at: Milliseconds) -> bool:
        """Say how an open upload has ended; False where it had already. Its parts are forgotten."""
        mine = (Upload.id == upload_id, Upload.state == OPEN)
        values = {"state": state, "expires_at": expires_at, "hash_state": b"", "place": ""}
        ended = self.changed(update(Upload).where(*mine).values(values))
        if ended:
            self.session.execute(delete(UploadPart).where(UploadPart.upload_id == upload_id))
        return ended

    def remove(self, upload_id: int) -> bool:
        """Forget an upload; False where it is gone."""
        return self.changed(delete(Upload).where(Upload.id == upload_id))

    def remove_expired(self, upload_id: int, at: Milliseconds) -> bool:
        """Forget an upload that has expired; False where it has not, or no more."""
        return self.changed(delete(Upload).where(Upload.id == upload_id, Upload.expires_at <= at))

    def generations(self, ids: Sequence[int]) -> dict[int, int]:
        """The generation of each upload that is open."""
        return dict(self.tuples(_GENERATIONS, {"ids": list(ids)}))

    def open_of_token(self, token_id: int, at: Milliseconds) -> int:
        """How many uploads that were begun with a token are open."""
        return int(self.connection.execute(_OF_TOKEN, {"token": token_id, "at": at}).scalar_one())

    def reserved(self, project_id: int, at: Milliseconds, but: int = 0) -> int:
        """The bytes that the open uploads of a project will have, as far as they have told, without one of them."""
        values = {"project": project_id, "at": at, "but": but}
        return int(self.connection.execute(_RESERVED, values).scalar_one())

    def has_ended(self, at: Milliseconds) -> bool:
        """Whether there is one to `prune`: a look takes no lock, and no room."""
        return self.session.scalar(_ended(at).limit(1)) is not None

    def prune(self, at: Milliseconds) -> None:
        """Forget some of those that have ended and expired, which nothing in the store belongs to."""
        self.session.execute(delete(Upload).where(Upload.id.in_(_ended(at).limit(PRUNED_AT_ONCE))))

    def expired(self, at: Milliseconds, after: int, limit: int) -> list[Upload]:
        """Uploads that have expired, by ascending id, those after an id."""
        statement = select(Upload).where(Upload.expires_at <= at, Upload.id > after).order_by(Upload.id).limit(limit)
        return list(self.session.scalars(statement))

    def open_after(self, after: int, at: Milliseconds, limit: int) -> list[Upload]:
        """Open uploads, by ascending id, those after an id."""
        mine = (Upload.state == OPEN, Upload.expires_at > at, Upload.id > after)
        return list(self.session.scalars(select(Upload).where(*mine).order_by(Upload.id).limit(limit)))

    def is_known(self, uid: str) -> bool:
        """Whether there is an upload of that uid whose bytes may be in the store."""
        return self.session.scalar(select(Upload.id).where(Upload.uid == uid, Upload.state == OPEN)) is not None

    def unfinished(self, at: Milliseconds) -> Unfinished:
        """What is on its way."""
        count, size = self.session.execute(_UNFINISHED, {"at": at}).one()
        return Unfinished(count, int(size))


def _ended(at: Milliseconds) -> Select[int]:
    return select(Upload.id).where(Upload.state.in_([FINISHED, FAILED]), Upload.expires_at <= at)


# Built once: building a statement takes several times as long as running it.
_BY_UID = (
    select(Upload)
    .where(Upload.uid == bindparam("uid"), Upload.expires_at > bindparam("at"))
    .execution_options(populate_existing=True)
)
_PARTS = (
    select(UploadPart.number, UploadPart.size, UploadPart.etag)
    .where(UploadPart.upload_id == bindparam("upload"), UploadPart.number > bindparam("after"))
    .order_by(UploadPart.number)
)
_SIZE_BESIDE = select(func.coalesce(func.sum(UploadPart.size), 0)).where(
    UploadPart.upload_id == bindparam("upload"), UploadPart.number != bindparam("number")
)
_GENERATIONS = select(Upload.id, Upload.generation).where(
    Upload.id.in_(bindparam("ids", expanding=True)), Upload.state == OPEN
)
_OF_TOKEN = select(func.count()).where(
    Upload.token_id == bindparam("token"), Upload.state == OPEN, Upload.expires_at > bindparam("at")
)
_RESERVED = select(func.coalesce(func.sum(func.coalesce(Upload.length, Upload.size)), 0)).where(
    Upload.project_id == bindparam("project"),
    Upload.state == OPEN,
    Upload.expires_at > bindparam("at"),
    Upload.id != bindparam("but"),
)
_UNFINISHED = select(func.count(), func.coalesce(func.sum(Upload.size), 0)).where(
    Upload.state == OPEN, Upload.expires_at > bindparam("at")
)
