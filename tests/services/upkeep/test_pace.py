"""The pace of upkeep, on a clock that only moves when somebody sleeps or works."""

from __future__ import annotations

import pytest

from modelyard.services.upkeep.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_bytes_take_the_time_that_the_rate_says(clock: Clock) -> None:
    pace = Pace(1000, clock=clock, sleep=clock.sleep)
    for _ in range(20):
        pace.spend(500)
    assert clock.now == pytest.approx(110)
    assert pace.spent == 10_000


def test_time_that_passes_anyway_counts(clock: Clock) -> None:
    pace = Pace(1000, clock=clock, sleep=clock.sleep)
    for _ in range(20):
        clock.now += 0.25
        pace.spend(500)
    assert clock.now == pytest.approx(110, abs=0.5)


def test_what_was_slow_for_long_is_not_made_up_for(clock: Clock) -> None:
    pace = Pace(1000, clock=clock, sleep=clock.sleep)
    clock.now += 3600
    begun = clock.now
    for _ in range(10):
        pace.spend(1000)
    assert clock.now - begun == pytest.approx(9)  # but for one second's worth


def test_without_a_limit_nobody_sleeps_and_it_is_never_over(clock: Clock) -> None:
    pace = Pace(clock=clock, sleep=clock.sleep)
    pace.spend(10**12)
    clock.now += 10**6
    assert clock.now == 100 + 10**6
    assert not pace.is_over()


def test_it_is_over_when_the_time_is_up(clock: Clock) -> None:
    pace = Pace(max_seconds=60, clock=clock, sleep=clock.sleep)
    assert not pace.is_over()
    clock.now += 60
    assert pace.is_over()
