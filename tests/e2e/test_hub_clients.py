"""Three generations of Hugging Face's client, unmodified, against a live server: one test for each flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from modelyard.routes.hub import trees
from tests.e2e.hub_flows import names_in, outcomes
from tests.live import LiveServer, running

FLOWS = "hub_reading.py"
CLIENTS = ("hub2", "hub1", "hub036")
LACKING = {
    ("hub1", "flow_transformers_load_config_and_tokenizer"): "this environment is the hub client's alone",
    ("hub1", "flow_diffusers_load_a_config"): "this environment is the hub client's alone",
    ("hub036", "flow_diffusers_load_a_config"): "diffusers is there for the newest client",
    ("hub036", "flow_a_dry_run_tells_what_would_come"): "the client has no such option",
    ("hub036", "flow_a_cache_is_verified"): "the client has no such command",
}
ON_A_PAGE = 10  # items of a tree

Outcome = Callable[[str], dict[str, str | None]]
NAMES = names_in(FLOWS)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with pytest.MonkeyPatch.context() as patch, running(tmp_path_factory.mktemp("yard")) as live:
        patch.setattr(trees, "MAX_ITEMS", ON_A_PAGE)
        yield live


@pytest.fixture(scope="module")
def outcome(yard: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    work = tmp_path_factory.mktemp("work")

    @cache
    def of(client: str) -> dict[str, str | None]:
        names = [name for name in NAMES if (client, name) not in LACKING]
        return outcomes(client, FLOWS, names, yard, work / client)

    return of


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flow", NAMES)
@pytest.mark.parametrize("client", CLIENTS)
def test_flow(outcome: Outcome, client: str, flow: str) -> None:
    if reason := LACKING.get((client, flow)):
        pytest.skip(reason)
    error = outcome(client)[flow]
    assert error is None, error
