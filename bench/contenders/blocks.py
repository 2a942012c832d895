"""Memory that bare servers receive into: as cheap as it can be had, so that nothing of the floor is its faults."""

from __future__ import annotations

import mmap

BLOCK = 2 << 20  # bytes that are received, hashed, and written or sent at once


def huge_page() -> memoryview:
    """A block that nobody shares, and that lies in one page where the kernel has such."""
    block = mmap.mmap(-1, BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(block)
