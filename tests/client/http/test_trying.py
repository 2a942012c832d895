from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from modelyard_client.errors import Interrupted, Unreachable
from modelyard_client.http import trying
from modelyard_client.http.trying import Telling, Tries, TryAgain, retry_after
from modelyard_client.progress import Progress
from modelyard_client.results import Retry
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


def test_a_server_that_is_away_is_waited_for_longer_and_ever_longer() -> None:
    heard = Heard()
    tries = Tries(Stop(), most=2, tell=heard.retries, away=8)
    for _ in range(7):
        tries.failed(TryAgain(Unreachable("away"), away=True))
    with pytest.raises(Unreachable):
        tries.failed(TryAgain(Unreachable("away"), away=True))
    assert [retry.attempt for retry in heard.told] == list(range(1, 8))
    assert {retry.attempts for retry in heard.told} == {7}
    tries.progressed()
    tries.failed(failing())
    with pytest.raises(Unreachable):
        tries.failed(failing())


def test_who_is_away_is_not_asked_more_often_than_others_for_naming_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(trying, "MOST_SECONDS", 0.1)
    heard = Heard()
    tries = Tries(Stop(), tell=heard.retries)
    for seconds in (0.0, 0.3):
        tries.failed(TryAgain(Unreachable("away"), seconds, away=True))
    assert 0 < heard.told[0].seconds <= 0.1
    assert heard.told[1].seconds == 0.3


def test_a_stop_ends_the_wait() -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Interrupted):
        Tries(stop).failed(TryAgain(Unreachable("no"), 60.0))


class Heard(Progress):
    def __init__(self) -> None:
        self.told: list[Retry] = []

    def retries(self, retry: Retry) -> None:
        self.told.append(retry)


def test_each_try_that_is_waited_for_is_told_before_the_wait() -> None:
    heard, stop = Heard(), Stop()
    tries = Tries(stop, most=4, tell=heard.retries)
    tries.failed(failing())
    tries.failed(TryAgain(Unreachable("gone"), 0.01))
    stop.set()
    with pytest.raises(Interrupted):
        tries.failed(TryAgain(Unreachable("away"), 7.0))
    with pytest.raises(Unreachable):
        tries.failed(TryAgain(Unreachable("away"), 7.0))
    assert heard.told == [Retry("gone", 0.0, 2, 3), Retry("away", 7.0, 3, 3)]


def test_connections_that_fail_at_once_are_told_of_once_and_one_that_waits_much_longer_by_itself() -> None:
    heard = Heard()
    telling = Telling(heard)
    for seconds in (10.0, 12.0, 5.0, 60.0, 60.0):
        telling(Retry("gone", seconds, 1, 5))
    assert [retry.seconds for retry in heard.told] == [10.0, 60.0]


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after({"Retry-After": "7"}) == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after({"Retry-After": soon}) or 0) <= 30
    assert retry_after({"Retry-After": "Mon, 30 Nov 2020 00:00:00 GMT"}) == 0
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None
