from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from modelyard_client.errors import Interrupted, Unreachable
from modelyard_client.http.trying import Tries, TryAgain, retry_after
from modelyard_client.stopping import Stop


def failing() -> TryAgain:
    return TryAgain(Unreachable("no"), 0.0)


def test_the_last_failure_is_raised() -> None:
    tries = Tries(Stop(), most=3)
    tries.failed(failing())
    tries.failed(failing())
    with pytest.raises(Unreachable):
        tries.failed(failing())


def test_whatever_gets_on_begins_the_count_anew() -> None:
    tries = Tries(Stop(), most=2)
    for _ in range(5):
        tries.failed(failing())
        tries.progressed()


def test_a_stop_ends_the_wait() -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Interrupted):
        Tries(stop).failed(TryAgain(Unreachable("no"), 60.0))


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after({"Retry-After": "7"}) == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after({"Retry-After": soon}) or 0) <= 30
    assert retry_after({"Retry-After": "Mon, 30 Nov 2020 00:00:00 GMT"}) == 0
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None
