"""Who waits for his share, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.services.traffic import shares
from modelyard.services.traffic.shares import BURST_SECONDS, MAX_WAIT_SECONDS, Shares

SHARE = 0.25


class Clock:
    """Time that only passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(shares, "time", clock)
    return clock


def asked_at_once(known: Shares, *clients: str) -> None:
    """Requests that begin in one turn of the event loop, one after the other."""

    async def ask() -> None:
        for client in clients:
            known.enter(client)
            known.leave(client)
        await asyncio.sleep(0)

    asyncio.run(ask())


@pytest.mark.usefixtures("clock")
def test_whoever_is_alone_never_waits() -> None:
    known = Shares(SHARE)
    asked_at_once(known, "a", "a")
    asked_at_once(known, "b")  # in another turn: nobody waited for anybody
    known.took("a", 100.0)
    assert known.wait("a") == 0.0


@pytest.mark.usefixtures("clock")
def test_beside_others_a_client_waits_for_what_he_had_beyond_his_burst() -> None:
    known = Shares(SHARE)
    asked_at_once(known, "a", "b")
    known.took("a", BURST_SECONDS)
    assert known.wait("a") == 0.0
    known.took("a", 0.5)
    assert (known.wait("a"), known.wait("b")) == (2.0, 0.0)
    known.took("a", 100.0)
    assert known.wait("a") == MAX_WAIT_SECONDS


def test_what_was_owed_is_paid_by_time(clock: Clock) -> None:
    known = Shares(SHARE)
    known.took("a", BURST_SECONDS + 0.5)
    clock.now += 1.0
    asked_at_once(known, "a", "b")
    assert known.wait("a") == 1.0
    clock.now += 60.0
    asked_at_once(known, "a", "b")
    assert known.wait("a") == 0.0


def test_others_who_have_gone_are_forgotten(clock: Clock) -> None:
    known = Shares(SHARE)
    asked_at_once(known, "a", "b")
    known.took("a", 100.0)
    clock.now += shares.CONTENDED_SECONDS
    assert known.wait("a") == 0.0


def test_a_request_that_goes_on_tells_that_there_are_others(clock: Clock) -> None:
    known = Shares(SHARE)

    async def ask() -> None:
        known.enter("a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        known.enter("b")

    asyncio.run(ask())
    known.took("b", 100.0)
    clock.now += 10.0
    assert known.wait("b") == MAX_WAIT_SECONDS
    known.leave("a")
    clock.now += 10.0
    assert known.wait("b") == 0.0


@pytest.mark.usefixtures("clock")
def test_without_a_share_nobody_waits() -> None:
    known = Shares(0)
    asked_at_once(known, "a", "b")
    known.took("a", 100.0)
    assert known.wait("a") == 0.0


@pytest.mark.usefixtures("clock")
def test_no_more_clients_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_CLIENTS", 2)
    known = Shares(SHARE)
    for client in "abc":
        known.took(client, 100.0)
    asked_at_once(known, "a", "b")
    assert [known.wait(client) > 0 for client in "abc"] == [False, True, True]
