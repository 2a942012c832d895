"""A commit's lines on their way in, as far as memory allows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.blobs.memory import MemoryBlobStore
from modelyard.errors import Unavailable
from modelyard.services.hub.operations import Add, Received
from modelyard.services.hub.reception import BATCH_BYTES, COPIES, MAX_LINE, Reception
from modelyard.services.traffic import body_budget
from modelyard.services.traffic.body_budget import BodyBudget
from tests.routes.hub.sending import file, header, sha256

CONTENTS = {f"f{number}": os.urandom(40_000) for number in range(40)}
BODY = b"\n".join([header(), *(file(name, content) for name, content in CONTENTS.items())])


def received(budget: BodyBudget, sender: str = "one") -> Received:
    """What comes of the body, whose pieces are as large as a server's."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(BODY), 64 * 1024):
            yield BODY[at : at + 64 * 1024]

    async def receive() -> Received:
        with ThreadPoolExecutor(4) as executor, budget.claim(sender) as claim:
            return await Reception(MemoryBlobStore(), executor, lambda _size: None, claim).receive(pieces())

    return asyncio.run(receive())


def test_all_lines_come_in_their_order_however_little_memory_there_is() -> None:
    for total in (BodyBudget().total, 2 * COPIES * 3 * BATCH_BYTES):
        operations = received(BodyBudget(total)).operations
        expected = [Add(name, sha256(content), len(content), True) for name, content in CONTENTS.items()]
        assert operations == expected


def test_where_not_even_one_batch_has_room_the_commit_is_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(Unavailable):
        received(BodyBudget(COPIES * BATCH_BYTES))


def test_the_longest_line_fits_into_what_one_sender_may_hold() -> None:
    assert BodyBudget().share >= MAX_LINE * COPIES
