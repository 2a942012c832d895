"""Restoring a backup into an empty registry: its blobs first, and then the database, all at once.

So an interrupted restore leaves no registry, and may be run again: what it brought into the blob store stays there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from modelyard.blobs.store import BlobStore
from modelyard.errors import CommandError
from modelyard.registry.revisions import newest_revision
from modelyard.registry.snapshots import Snapshots
from modelyard.services.backup.copying import DAMAGED, MISSING, PRESENT, Carrier, Copy, in_order
from modelyard.services.backup.folder import BackupFolder
from modelyard.services.backup.manifest import Manifest
from modelyard.services.backup.tally import Summary, Tally, Watch, unwatched
from modelyard.services.upkeep.blob_lists import not_among


def restore(snapshots: Snapshots, store: BlobStore, path: Path, *, watch: Watch = unwatched) -> Summary:
    """Make the registry what it was when the backup in the folder began, in the newest schema.

    Every byte is verified before it counts. Blobs that the backup lacks, or that are damaged in it, are among the
    faults of the summary, and all the rest is restored. Where a backup has no blobs, the store must have them already.

    Raises CommandError where the folder holds no complete backup, the database or the store is not empty, or a tool is
    missing; BlobError; SQLAlchemyError. Then there is no database.
    """
    with BackupFolder.reading(path) as folder:
        manifest = folder.manifest()
        _refuse_what_does_not_fit(manifest, snapshots)
        snapshots.refuse_unless_empty()
        copy = folder.verified(manifest.database)
        folder.verified(manifest.blobs.list)
        tally = Tally()
        for blob in watch(_blobs(folder, manifest, store), manifest.blobs.count):
            tally.note(blob)
        snapshots.put_back(copy)
        return tally.summary(manifest)


def _refuse_what_does_not_fit(manifest: Manifest, snapshots: Snapshots) -> None:
    if manifest.database_kind != snapshots.kind:
        raise CommandError(
            f"the backup is of {manifest.database_kind}, and the database is {snapshots.kind}:"
            f" restore into {manifest.database_kind}, and then run modelyard copy-database"
        )
    if manifest.schema > newest_revision():
        raise CommandError(f"the backup is of modelyard {manifest.version}, which is newer than this one")


def _blobs(folder: BackupFolder, manifest: Manifest, store: BlobStore) -> Iterator[Copy]:
    if not manifest.blobs.included:
        yield from in_order(partial(_look, store), folder.listed(manifest))
        return
    for other in not_among(store.list(), folder.listed(manifest)):
        raise CommandError(f"the blob store is not empty: it holds {other.digest}, which the backup does not")
    carrier = Carrier(folder.blobs(), store, links=True)
    yield from in_order(carrier.carry, folder.listed(manifest))
    carrier.sync()


def _look(store: BlobStore, blob: tuple[str, int]) -> Copy:
    digest, size = blob
    found = store.stat(digest)
    if found is None:
        return Copy(MISSING, digest, size)
    return Copy(PRESENT if found.size == size else DAMAGED, digest, found.size)
