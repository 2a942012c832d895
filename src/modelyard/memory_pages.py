"""Memory that lies as a file's pages do, which a disk can take without a copy (open(2), O_DIRECT)."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress

_memmem = ctypes.CDLL(None).memmem
_memmem.restype = ctypes.c_void_p
_memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone

HUGE_BYTES = 2 * 1024 * 1024
_HUGE = getattr(mmap, "MADV_HUGEPAGE", None)  # of Linux alone

PAGE_BYTES = 4096  # what disks and file systems ask for at most, whatever the processor's own pages are


def address(view: memoryview) -> int:
    """Where the bytes of a writable view begin."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if view else 0


def lies_like(view: memoryview, offset: int) -> bool:
    """Whether the bytes lie within pages of memory as they will within those of a file, from its byte `offset` on."""
    return not view.readonly and (address(view) - offset) % PAGE_BYTES == 0


def find(view: memoryview, wanted: bytes, start: int) -> int:
    """Where bytes are in a writable view, from `start` on, else -1: as `bytes.find`, but by memmem(3).

    That is twice as fast, and other threads run meanwhile.
    """
    begin = address(view)
    found: int | None = _memmem(begin + start, max(0, len(view) - start), wanted, len(wanted))
    return -1 if found is None else found - begin


def give_back() -> None:
    """Give what is free in the heap back to the system, also between what is not; a matter of milliseconds."""
    if _trim is not None:
        _trim(0)


class Blocks:
    """Memory of one transfer, used again as soon as nobody looks at it any more.

    It is mapped for itself and goes back to the system with its last view. From the heap, blocks whose size follows the
    pace of 32 uploads left 18 MiB of holes between them. Those of HUGE_BYTES, of which fast transfers have a few, may
    lie in huge pages: an upload to a bucket takes 4 % less CPU than by faults and look-ups for 512 small ones each.
    """

    def __init__(self) -> None:
        self._size = 0
        self._blocks: list[mmap.mmap] = []

    def take(self, size: int, offset: int) -> memoryview:
        """Memory for bytes of a file from `offset` on, up to the end of a page; `size` bytes, of whole pages, at most.

        Whoever keeps a view of it keeps it to himself.
        """
        if size != self._size:
            self._blocks, self._size = [], size
        block = next(filter(_is_unseen, self._blocks), None)
        if block is None:
            block = _mapped(size)
            self._blocks.append(block)
        return memoryview(block)[offset % PAGE_BYTES :]


def _mapped(size: int) -> mmap.mmap:
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared, it would be a file's pages
    if size >= HUGE_BYTES and _HUGE is not None:
        with suppress(OSError):  # of a kernel that has none
            block.madvise(_HUGE)
    return block


def _is_unseen(block: mmap.mmap) -> bool:
    """Whether there is no view of it: one that has views cannot change its size."""
    try:
        block.resize(len(block))
    except BufferError:
        return False
    except SystemError:  # here no mapping can, which is asked after the views
        pass
    return True
