"""A stop, and who asks whether there is one."""

from __future__ import annotations

import pytest

from modelyard_client.errors import Interrupted
from modelyard_client.stopping import Stop


def test_a_stop_is_raised_wherever_one_asks() -> None:
    stop = Stop()
    stop.check()
    stop.wait(0)
    stop.set()
    assert stop.wanted
    for ask in (stop.check, lambda: stop.wait(60)):
        with pytest.raises(Interrupted):
            ask()
