from __future__ import annotations

import time

import pytest

from modelyard_client.errors import Interrupted
from modelyard_client.http.pace import Pace
from modelyard_client.stopping import Stop


def test_a_limit_holds_for_all_who_take_together() -> None:
    pace = Pace(Stop(), 1000)
    begun = time.monotonic()
    for _ in range(4):
        pace.take(100)
    assert time.monotonic() - begun >= 0.3


def test_without_a_limit_nobody_waits_and_a_stop_ends_the_wait() -> None:
    Pace(Stop()).take(10**12)
    stop = Stop()
    pace = Pace(stop, 1)
    pace.take(1000)
    stop.set()
    with pytest.raises(Interrupted):
        pace.take(1)
