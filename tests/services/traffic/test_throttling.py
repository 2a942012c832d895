"""Counting who asks too often, against a clock of our own and the library's own storage as model."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from modelyard.errors import TooManyRequests
from modelyard.services.traffic.throttling import Throttle, UploadSlots, mark_of, network_of
from modelyard.services.traffic.windows import BoundedWindows

OFFICE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
GOOD, STALE = mark_of(b"good"), mark_of(b"stale")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_007.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@given(steps=st.lists(st.tuples(st.floats(0, 90), st.sampled_from("ab"), st.booleans()), max_size=60))
def test_windows_count_as_those_of_the_library_do(steps: list[tuple[float, str, bool]]) -> None:
    item, clock = RateLimitItemPerMinute(5), Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", clock)
        ours, theirs = (SlidingWindowCounterRateLimiter(kind()) for kind in (BoundedWindows, MemoryStorage))
        for seconds, key, hit in steps:
            clock.now += seconds
            if hit:
                assert ours.hit(item, key) == theirs.hit(item, key)
            assert ours.test(item, key) == theirs.test(item, key)
            assert ours.get_window_stats(item, key) == pytest.approx(theirs.get_window_stats(item, key))
        ours.clear(item, "a")
        assert ours.get_window_stats(item, "a").remaining == 5


@pytest.mark.usefixtures("clock")
def test_windows_take_bounded_memory() -> None:
    limiter, item = SlidingWindowCounterRateLimiter(BoundedWindows(max_keys=3)), RateLimitItemPerMinute(1)
    for key in "abc":
        assert limiter.hit(item, key)
    assert not limiter.hit(item, "a")
    assert limiter.hit(item, "d")
    assert limiter.hit(item, "a")  # the one that was counted longest ago had to go
    assert not limiter.hit(item, "d")


def test_strangers_are_counted_by_address_and_come_back_after_a_while(clock: Clock) -> None:
    throttle = Throttle(anonymous=3, token=0, failed_logins=0)
    assert [throttle.anonymous(OFFICE) for _ in range(3)] == [None] * 3
    refused = throttle.anonymous(OFFICE)
    assert refused is not None
    assert throttle.anonymous(ELSEWHERE) is None
    headers = refused.headers
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("3", "0")
    assert headers["RateLimit-Reset"] == str(int(clock.now) + int(headers["Retry-After"]))
    clock.now += int(headers["Retry-After"]) + 20
    assert throttle.anonymous(OFFICE) is None


@pytest.mark.usefixtures("clock")
def test_one_stale_token_locks_nobody_else_out() -> None:
    throttle = Throttle(anonymous=0, token=0, failed_logins=3)
    for _ in range(3):
        assert throttle.stale(OFFICE, STALE) is None
        assert throttle.failed(OFFICE, STALE) is None
    assert throttle.stale(OFFICE, STALE) is not None
    assert throttle.stale(ELSEWHERE, STALE) is None
    assert [throttle.failed(OFFICE, mark_of(b"%d" % guess)) for guess in range(2)] == [None, None]


def test_guesses_are_refused_once_they_are_wrong_and_nobody_else_is(clock: Clock) -> None:
    throttle = Throttle(anonymous=0, token=0, failed_logins=3)
    throttle.passed(GOOD)
    assert [throttle.failed(OFFICE, mark_of(b"%d" % guess)) for guess in range(3)] == [None] * 3
    another = mark_of(b"another")
    assert throttle.stale(OFFICE, another) is None
    refused = throttle.failed(OFFICE, another)
    assert refused is not None
    assert refused.name == "throttle_failed_logins"
    assert throttle.failed(ELSEWHERE, another) is None
    assert throttle.stale(OFFICE, another) is None  # whether it is valid now is found out
    assert throttle.failed(OFFICE, mark_of(b"0")) is None  # one of those that were counted
    assert throttle.knows(GOOD)
    throttle.failed(OFFICE, GOOD)  # it was revoked
    assert not throttle.knows(GOOD)
    clock.now += 120
    assert throttle.failed(OFFICE, another) is None


def test_what_is_not_limited_is_not_counted() -> None:
    throttle = Throttle(anonymous=0, token=0, failed_logins=0)
    throttle.passed(STALE)
    assert throttle.failed(OFFICE, STALE) is None
    assert throttle.knows(STALE)
    assert (throttle.anonymous(OFFICE), throttle.stale(OFFICE, STALE), throttle.identified(STALE)) == (None,) * 3


def test_ipv6_clients_are_their_networks() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8:0:0:ffff::2%eth0") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") == network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("testclient:x") == "testclient:x"


def test_upload_slots_are_given_back() -> None:
    slots = UploadSlots(1)
    with slots.taken("token"), slots.taken("another"), pytest.raises(TooManyRequests), slots.taken("token"):
        pass
    with slots.taken("token"):
        pass
