"""Commands of modelyard that die at one step of a commit, by themselves or with all that was not synced.

The calls by which bytes, names and rows become durable are wrapped before the command runs; the program itself knows
nothing of it. Death is `os._exit`, which runs no handler and flushes nothing. A death of the machine is stricter: what
the system may still have held in memory is taken back first, that is writes since the file's last fsync, and renames
and new folders whose parent has not been synced. SQLite's and PostgreSQL's own files are left as they are.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.engine.default import DefaultDialect

from modelyard.blobs import _direct
from modelyard.cli import cli
from modelyard.memory_pages import PAGE_BYTES

T = TypeVar("T")

STATUS = 77  # exit status of a death at the step
ARMED = "armed"  # a file in the folder: with it the step is deadly, but for the first times, whose number it holds

WRITE, FILE_SYNC, NEW_FOLDER, NEW_FOLDER_SYNC = "write", "fsync", "mkdir", "fsync of the parent folder"
RENAME, FOLDER_SYNC, COMMIT, UNLINK = "rename", "fsync of the folder", "database commit", "unlink"
HALF_A_WRITE = "in the middle of the write"
DIRECT_WRITE = "write past the page cache"
HALF_A_DIRECT_WRITE = f"in the middle of the {DIRECT_WRITE}"

UPLOAD_STEPS = (  # in their order
    HALF_A_WRITE,
    *(
        f"{when} the {call}"
        for call in (WRITE, FILE_SYNC, NEW_FOLDER, NEW_FOLDER_SYNC, RENAME, FOLDER_SYNC, COMMIT)
        for when in ("before", "after")
    ),
)
UPLOAD_DEATHS = (  # step, and whether the machine dies too; before the rename, that only loses what nobody sees
    *((step, True) for step in UPLOAD_STEPS),
    *((step, False) for step in (HALF_A_WRITE, *UPLOAD_STEPS[UPLOAD_STEPS.index(f"before the {RENAME}") :])),
)
RESUMED_DEATHS = (  # of the last piece of an upload: step, and how many of the same go well before
    *((step, 0) for step in UPLOAD_STEPS),
    *((f"{when} the {call}", 1) for call in (FILE_SYNC, COMMIT) for when in ("before", "after")),
)
BUCKET_PART_BYTES = 1 << 20  # of the first parts, so that an upload of several need not be large
BUCKET_CALLS = ("put", "create_upload", "upload_part", "complete_upload", "delete")
BUCKET_DEATHS = (  # of the last piece of an upload to a bucket, as of one to a folder
    *(
        (f"{when} the bucket's {call}", survives)
        for when in ("before", "after")
        for call, survives in (("upload_part", 0), ("put", 0), ("complete_upload", 0), ("put", 1))
    ),
    ("before the bucket's upload_part", 1),
    ("after the bucket's delete", 0),
    *((f"{when} the {COMMIT}", survives) for when in ("before", "after") for survives in (1, 2)),
)
PART_DEATHS = tuple(f"{when} the {call}" for call in (FILE_SYNC, RENAME, COMMIT) for when in ("before", "after"))
JOIN_DEATHS = (*UPLOAD_STEPS, f"before the {UNLINK}", f"after the {UNLINK}")
DIRECT_STEPS = (HALF_A_DIRECT_WRITE, f"before the {DIRECT_WRITE}", f"after the {DIRECT_WRITE}")
CHANGE_STEPS = (f"before the {COMMIT}", f"after the {COMMIT}")
COLLECT_STEPS = (*CHANGE_STEPS, f"before the {UNLINK}", f"after the {UNLINK}")
START_STEPS = tuple(  # with how many times of the same that go well before
    (f"{when} the {call}", survived)
    for call, times in (
        (NEW_FOLDER, 1),
        (NEW_FOLDER_SYNC, 1),
        (FILE_SYNC, 1),
        (RENAME, 1),
        (FOLDER_SYNC, 1),
        (COMMIT, 2),
    )
    for when in ("before", "after")
    for survived in range(times)
)


class _Machine:
    """What is in memory only, and the step at which it is lost."""

    def __init__(self, folder: Path, step: str, *, power: bool) -> None:
        self._armed = folder / ARMED
        self._step = step
        self._power = power
        self._survived = 0
        self._lock = threading.RLock()
        self._dirty: dict[tuple[int, int], tuple[str, int]] = {}  # by device and inode: path, bytes that are synced
        self._unsynced: list[tuple[Path, Callable[[], object]]] = []  # a folder, and how to take back its change
        self._renamed = False  # the next folder to be synced is the one of a new name

    def install(self) -> None:
        """Wrap the calls, for the rest of this process."""
        self._pwritev, self._fsync, self._mkdir, self._replace = os.pwritev, os.fsync, os.mkdir, os.replace
        dialect: Any = DefaultDialect
        unlink, commit = os.unlink, dialect.do_commit
        patched: Any = os
        patched.pwritev, patched.fsync, patched.mkdir, patched.replace = (
            self.write,
            self.fsync,
            self.mkdir,
            self.replace,
        )
        patched.fdatasync = self.fsync  # the size of a file that has grown belongs to it (POSIX, fdatasync)
        patched.unlink = lambda path, **options: self._around(UNLINK, lambda: unlink(path, **options))
        _direct.FROM_BYTES, _direct.LEAST_BYTES = 0, PAGE_BYTES  # so that a file need not be very large for it
        dialect.do_commit = lambda self_, connection: self._around(COMMIT, lambda: commit(self_, connection))

    def install_in_bucket(self) -> None:
        """Wrap the requests to a bucket, too."""
        from modelyard.blobs.s3 import writer  # noqa: PLC0415 - with a large library, which others do not need
        from modelyard.blobs.s3.bucket import Bucket  # noqa: PLC0415

        writer.FIRST_PART_BYTES = BUCKET_PART_BYTES
        for name in BUCKET_CALLS:
            setattr(Bucket, name, self._asking(name, getattr(Bucket, name)))

    def _asking(self, name: str, call: Callable[..., T]) -> Callable[..., T]:
        return lambda *arguments: self._around(f"bucket's {name}", lambda: call(*arguments))

    def write(self, descriptor: int, chunks: Sequence[memoryview], offset: int) -> int:
        """`os.pwritev`."""
        found = os.fstat(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self._dirty.setdefault((found.st_dev, found.st_ino), (path, found.st_size))
        direct = bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)
        if self._is_due(HALF_A_DIRECT_WRITE if direct else HALF_A_WRITE):
            half = len(chunks[0]) // 2
            self._pwritev(descriptor, [chunks[0][: half - half % PAGE_BYTES if direct else half]], offset)
            self._die()
        return self._around(DIRECT_WRITE if direct else WRITE, lambda: self._pwritev(descriptor, chunks, offset))

    def fsync(self, descriptor: int) -> None:
        """`os.fsync`, of a file or of a folder."""
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            folder = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            call = FOLDER_SYNC if self._renamed else NEW_FOLDER_SYNC
            self._around(call, lambda: self._sync_folder(descriptor, folder))
        else:
            self._around(FILE_SYNC, lambda: self._sync_file(descriptor, (found.st_dev, found.st_ino)))

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        """`os.mkdir`."""
        self._around(NEW_FOLDER, lambda: self._make(Path(path).absolute(), mode))

    def replace(self, source: Path, target: Path) -> None:
        """`os.replace`."""
        self._around(RENAME, lambda: self._rename(Path(source).absolute(), Path(target).absolute()))

    def _sync_file(self, descriptor: int, file: tuple[int, int]) -> None:
        self._fsync(descriptor)
        self._dirty.pop(file, None)

    def _sync_folder(self, descriptor: int, folder: Path) -> None:
        self._fsync(descriptor)
        self._unsynced = [(each, undo) for each, undo in self._unsynced if each != folder]
        self._renamed = False

    def _make(self, path: Path, mode: int) -> None:
        self._mkdir(path, mode)
        self._unsynced.append((path.parent, lambda: shutil.rmtree(path)))

    def _rename(self, source: Path, target: Path) -> None:
        existed = target.exists()
        self._replace(source, target)
        self._renamed = True
        found = target.stat()
        if (found.st_dev, found.st_ino) in self._dirty:
            self._dirty[found.st_dev, found.st_ino] = (str(target), self._dirty[found.st_dev, found.st_ino][1])
        if not existed:  # else either of the two may be there, and a blob's old and new bytes are the same
            self._unsynced.append((target.parent, lambda: self._replace(target, source)))

    def _around(self, call: str, work: Callable[[], T]) -> T:
        if self._is_due(f"before the {call}"):
            self._die()
        result = work()
        if self._is_due(f"after the {call}"):
            self._die()
        return result

    def _is_due(self, step: str) -> bool:
        if step != self._step or not self._armed.exists():
            return False
        self._survived += 1
        return self._survived > int(self._armed.read_text())

    def _die(self) -> None:
        with self._lock:
            if self._power:
                self._lose_memory()
            os._exit(STATUS)

    def _lose_memory(self) -> None:
        for path, size in self._dirty.values():
            if Path(path).exists():
                os.truncate(path, size)
        for _folder, undo in reversed(self._unsynced):
            undo()


def run(folder: Path, step: str, power: bool, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Run a command of modelyard in a folder, in a process that was forked for it."""
    os.chdir(folder)
    os.environ.update(variables)
    log = os.open("server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    machine = _Machine(folder, step, power=power)
    machine.install()
    if variables.get("MODELYARD_BLOB_URL", "").startswith("s3:"):
        machine.install_in_bucket()
    cli(list(arguments))
