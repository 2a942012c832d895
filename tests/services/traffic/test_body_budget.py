"""What all bodies of a process may hold in memory."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.errors import Unavailable
from modelyard.services.traffic import body_budget
from modelyard.services.traffic.body_budget import BodyBudget


def test_a_sender_has_a_share_and_others_have_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "PATIENCE_SECONDS", 0.01)

    async def claims() -> None:
        budget = BodyBudget(100)
        with budget.claim("a") as first, budget.claim("a") as second, budget.claim("b") as third:
            await first.grow(40)
            await first.grow(30)
            with pytest.raises(Unavailable):
                await second.grow(11)
            await third.grow(50)
        with budget.claim("c") as claim:
            await claim.grow(50)

    asyncio.run(claims())


def test_who_waits_goes_on_when_others_have_ended() -> None:
    order: list[str] = []

    async def read(budget: BodyBudget, sender: str) -> None:
        with budget.claim(sender) as claim:
            await claim.grow(50)
            order.append(sender)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        budget = BodyBudget(100)
        await asyncio.gather(*(read(budget, sender) for sender in "aabbcc"))
        with budget.claim("d") as claim:
            await claim.grow(50)

    asyncio.run(all_of_them())
    assert sorted(order) == list("aabbcc")


def test_who_gives_up_leaves_nothing_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_budget, "PATIENCE_SECONDS", 0.01)

    async def claims() -> None:
        budget = BodyBudget(10)
        with budget.claim("a") as first:
            await first.grow(5)
            with pytest.raises(Unavailable), budget.claim("a") as second:
                await second.grow(1)
        with budget.claim("a") as claim:
            await claim.grow(5)

    asyncio.run(claims())
