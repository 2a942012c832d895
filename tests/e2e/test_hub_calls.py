"""How often Hugging Face's clients ask a live server, and how their work ends over a bad network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.e2e.hub_flows import names_in, outcomes
from tests.live import LiveServer, running

FLOWS = "hub_calls.py"
NAMES = names_in(FLOWS)

Outcome = Callable[[str], dict[str, str | None]]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture(scope="module")
def outcome(yard: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    work = tmp_path_factory.mktemp("work")
    return cache(lambda client: outcomes(client, FLOWS, NAMES, yard, work / client))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flow", NAMES)
@pytest.mark.parametrize("client", ["hub2", "hub036"])
def test_flow(outcome: Outcome, client: str, flow: str) -> None:
    error = outcome(client)[flow]
    assert error is None, error
