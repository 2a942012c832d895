"""The size of blocks follows what the other side moves."""

from __future__ import annotations

import asyncio
from weakref import WeakSet

import pytest

from modelyard.wire import pace, send
from modelyard.wire.pace import LEAST_BYTES, MOST_BYTES, MOVED_BEFORE, SHARED_BYTES, Pace
from modelyard.wire.ranges import ByteRange


@pytest.fixture(autouse=True)
def no_other_transfers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have left under way takes no room."""
    monkeypatch.setattr(Pace, "_fast", WeakSet())


QUICKLY, SLOWLY = 0.0, 1.0


def after(*moved: tuple[int, float]) -> int:
    pace = Pace()
    for size, seconds in moved:
        pace.moved(size, seconds)
    return pace.block_bytes


def test_a_transfer_begins_with_small_blocks() -> None:
    assert after() == LEAST_BYTES


def test_blocks_grow_with_what_was_moved_quickly_up_to_the_largest() -> None:
    halfway = MOVED_BEFORE * MOST_BYTES // 2
    assert after((halfway, QUICKLY)) == MOST_BYTES // 2
    assert after(*[(halfway, QUICKLY)] * 10) == MOST_BYTES


def test_what_a_socket_swallows_at_once_does_not_count_for_much() -> None:
    assert after((1024 * 1024, QUICKLY)) == LEAST_BYTES


def test_each_slow_block_halves_the_next_down_to_the_least() -> None:
    fast = [(MOVED_BEFORE * MOST_BYTES, QUICKLY)] * 10
    assert after(*fast, (MOST_BYTES, SLOWLY)) == MOST_BYTES // 2
    assert after(*fast, *[(MOST_BYTES, SLOWLY)] * 10) == LEAST_BYTES


def test_a_transfer_goes_on_with_what_was_earned_before() -> None:
    before = fast()
    assert Pace(earned=before.earned).block_bytes == before.block_bytes == MOST_BYTES


def test_transfers_that_go_on_at_once_share_the_room_from_their_first_block_on() -> None:
    many = [Pace(earned=MOVED_BEFORE * MOST_BYTES) for _ in range(SHARED_BYTES // MOST_BYTES)]
    assert {pace.block_bytes for pace in many} == {MOST_BYTES // 2}


def fast(most_bytes: int = MOST_BYTES, held: int = 2) -> Pace:
    pace = Pace(most_bytes, held)
    pace.moved(MOVED_BEFORE * most_bytes, QUICKLY)
    return pace


def test_many_fast_transfers_share_the_room_and_slow_ones_take_none_of_it() -> None:
    slow = [Pace() for _ in range(1000)]
    few = [fast() for _ in range(SHARED_BYTES // MOST_BYTES // 2)]
    assert {pace.block_bytes for pace in few} == {MOST_BYTES}
    many = few + [fast() for _ in range(len(few))]
    assert {pace.block_bytes for pace in many} == {MOST_BYTES // 2}
    del many
    assert few[0].block_bytes == MOST_BYTES
    few[0].moved(MOST_BYTES, SLOWLY)
    assert {pace.block_bytes for pace in slow} == {LEAST_BYTES}


def test_who_holds_more_blocks_gets_smaller_ones_when_there_are_many() -> None:
    transfers = [fast(), fast(2 * MOST_BYTES, held=4)]
    assert [pace.block_bytes for pace in transfers] == [MOST_BYTES, 2 * MOST_BYTES]
    transfers += [fast() for _ in range(SHARED_BYTES // MOST_BYTES // 2 - 2)]
    assert [pace.block_bytes for pace in transfers[:2]] == [MOST_BYTES, MOST_BYTES // 2]


class Zeros:
    """A file of zeros that notes how it is read."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []

    async def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return bytes(length)

    async def close(self) -> None:
        """Nothing to give back."""


@pytest.mark.parametrize(("quick_seconds", "largest"), [(60.0, MOST_BYTES), (0.0, LEAST_BYTES)])
def test_a_download_is_read_once_in_blocks_of_its_pace(
    monkeypatch: pytest.MonkeyPatch, quick_seconds: float, largest: int
) -> None:
    monkeypatch.setattr(pace, "QUICK_SECONDS", quick_seconds)
    source, part = Zeros(), ByteRange(3, 40_000_000)

    async def sizes() -> list[int]:
        return [len(block) async for block in send.blocks(source, part)]

    received = asyncio.run(sizes())
    assert sum(received) == part.length
    assert max(received) == largest
    assert [offset for offset, _ in source.reads] == [part.start + sum(received[:n]) for n in range(len(received))]
