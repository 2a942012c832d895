"""Memory that lies as a file's pages do."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard import memory_pages
from modelyard.memory_pages import HUGE_BYTES, PAGE_BYTES, Blocks, _is_unseen, address, find, give_back, lies_like

SIZE = 4 * PAGE_BYTES
MIB = 1024 * 1024
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


@pytest.mark.parametrize("offset", [0, 1, PAGE_BYTES - 1, PAGE_BYTES, 5 * PAGE_BYTES + 77])
def test_a_block_begins_within_a_page_as_its_bytes_will_and_ends_at_the_end_of_one(offset: int) -> None:
    block = Blocks().take(SIZE, offset)
    assert lies_like(block, offset)
    assert not lies_like(block, offset + 1)
    assert len(block) == SIZE - offset % PAGE_BYTES
    assert (address(block) + len(block)) % PAGE_BYTES == 0


def test_memory_that_cannot_change_is_no_page() -> None:
    assert not lies_like(memoryview(b"constant"), 0)


def test_a_block_is_used_again_once_nobody_has_a_view_of_it() -> None:
    blocks = Blocks()
    first = blocks.take(SIZE, 0)
    place, part = address(first), first[10:20]
    second = blocks.take(SIZE, 0)
    del first
    assert address(blocks.take(SIZE, 0)) not in (place, address(second))  # a part of it is still in view
    del part
    assert address(blocks.take(SIZE, 0)) == place


def mapped() -> int:
    """Bytes of memory that the process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell it otherwise")
def test_blocks_of_another_size_replace_those_before() -> None:
    blocks, before = Blocks(), mapped()
    for size in (SIZE, 100 * MIB, SIZE):
        assert len(blocks.take(size, 3)) == size - 3
    assert mapped() < before + 50 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell it otherwise")
def test_memory_goes_back_to_the_system_with_the_last_view_of_it() -> None:
    blocks, before = Blocks(), mapped()
    view = blocks.take(100 * MIB, 0)
    del blocks
    assert mapped() > before + 50 * MIB
    del view
    assert mapped() < before + 50 * MIB


@pytest.mark.skipif(not HUGE_PAGES.exists(), reason="this kernel has none")
@pytest.mark.parametrize(("size", "huge"), [(HUGE_BYTES, True), (HUGE_BYTES - PAGE_BYTES, False)])
def test_large_blocks_alone_may_lie_in_huge_pages(size: int, huge: bool) -> None:
    block = Blocks().take(size, 0)
    assert ("hg" in flags_at(address(block))) is huge


def flags_at(place: int) -> list[str]:
    """The kernel's flags of the mapping that an address is in."""
    found = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and not first.endswith(":"):
            begin, _, end = first.partition("-")
            found = int(begin, 16) <= place < int(end, 16)
        elif found and first == "VmFlags:":
            return rest.split()
    raise AssertionError("no mapping is there")


def test_a_kernel_without_huge_pages_gives_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_pages, "_HUGE", -1)  # which no kernel knows
    assert len(Blocks().take(HUGE_BYTES, 0)) == HUGE_BYTES


def test_systems_on_which_no_mapping_changes_its_size_tell_views_as_well() -> None:
    class Fixed(mmap.mmap):
        def resize(self, _newsize: int) -> None:
            raise SystemError("mmap: resizing not available--no mremap()")

    assert _is_unseen(Fixed(-1, SIZE))


@given(st.text("ab", max_size=40), st.text("ab", min_size=1, max_size=4), st.integers(0, 40))
def test_what_is_found_is_what_bytes_find(text: str, wanted: str, start: int) -> None:
    content = text.encode()
    assert find(memoryview(bytearray(content)), wanted.encode(), start) == content.find(wanted.encode(), start)


def test_what_is_free_in_the_heap_can_be_given_back_again_and_again() -> None:
    give_back()
    give_back()
