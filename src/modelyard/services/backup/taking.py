"""Backing up a registry in use: its database first, and then every blob that the copy refers to.

From before the first to after the last of it, no blob is removed (see `registry.upkeep.holding`), so the copy refers to
nothing that is not there. A backup that ends early leaves the one before it as it was, and brings the next one forward.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import structlog

from modelyard import __version__
from modelyard.blobs.store import BlobStore
from modelyard.clock import iso, now
from modelyard.registry.engine import Database
from modelyard.registry.snapshots import Snapshots
from modelyard.registry.tables import Upload
from modelyard.registry.upkeep.holding import holding_blobs
from modelyard.services.backup.copying import Carrier, in_order
from modelyard.services.backup.folder import BackupFolder
from modelyard.services.backup.manifest import FORMAT, Blobs, Manifest
from modelyard.services.backup.tally import Summary, Tally, Watch, unwatched
from modelyard.services.upkeep.blob_lists import not_among, write_list

log = structlog.get_logger()


def back_up(
    database: Database,
    snapshots: Snapshots,
    store: BlobStore,
    path: Path,
    *,
    with_blobs: bool = True,
    watch: Watch = unwatched,
) -> Summary:
    """Make the folder a backup of the registry as it is now, or bring one that is there up to date.

    Blobs that are there already are not copied again, and those that the new copy of the database does not refer to
    are removed in the end. A registry whose blobs are damaged is backed up as far as it can be; the faults are noted.
    Uploads that are not finished are left out.

    Raises CommandError where the folder holds something else or is in use, another backup of the registry runs, or a
    tool is missing; BlobError; SQLAlchemyError. Then there is no new manifest.
    """
    with BackupFolder.writing(path) as folder:
        folder.remove_strays()
        _tell_left_out(database)
        with holding_blobs(database.engine) as still_held:
            manifest = _copy_database(snapshots, folder, with_blobs=with_blobs)
            tally = _copy_blobs(store, folder, manifest, watch) if with_blobs else Tally()
            still_held()
        manifest = replace(manifest, faults=tuple(tally.faults))
        folder.complete(manifest)
        folder.remove_strays()
        return tally.summary(manifest, removed=_remove_others(folder, manifest) if with_blobs else 0)


def _tell_left_out(database: Database) -> None:
    if not database.has(Upload):
        return  # a registry of an older version, which has no uploads that go on
    left_out = database.read_now(lambda registry: registry.resumable.unfinished(now()))
    if left_out.uploads:
        log.info("unfinished uploads are left out", uploads=left_out.uploads, bytes=left_out.size)


def _copy_database(snapshots: Snapshots, folder: BackupFolder, *, with_blobs: bool) -> Manifest:
    created_at = str(iso(now()))
    copy = folder.new_file("database", created_at, snapshots.suffix)
    listed = folder.new_file("blobs", created_at, ".txt")
    with snapshots.taken(copy) as snapshot:
        schema = str(snapshot.revision())
        count, size = write_list(listed, snapshot.blobs())
    blobs = Blobs(folder.kept(listed), count, size, included=with_blobs)
    return Manifest(FORMAT, created_at, __version__, schema, snapshots.kind, folder.kept(copy), blobs, faults=())


def _copy_blobs(store: BlobStore, folder: BackupFolder, manifest: Manifest, watch: Watch) -> Tally:
    # What is linked is not read: that would take as long as a copy, and tells no more than `check --read` does.
    carrier = Carrier(store, folder.blobs(), links=True, verify_links=False)
    tally = Tally()
    for copy in watch(in_order(carrier.carry, folder.listed(manifest)), manifest.blobs.count):
        tally.note(copy)
    carrier.sync()
    return tally


def _remove_others(folder: BackupFolder, manifest: Manifest) -> int:
    """Remove the blobs that the manifest does not name; how many they were."""
    store, removed = folder.blobs(), 0
    for blob in not_among(store.list(), folder.listed(manifest)):
        removed += store.delete(blob.digest)
    return removed
