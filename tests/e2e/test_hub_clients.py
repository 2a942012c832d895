"""Three generations of Hugging Face's client, unmodified, against a live server: one test for each flow."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from modelyard.routes.hub import trees
from tests.e2e.environments import client_python
from tests.live import LiveServer, running

FLOWS = Path(__file__).parent / "flows" / "hub_reading.py"
CLIENTS = ("hub2", "hub1", "hub036")
LACKING = {
    ("hub1", "flow_transformers_load_config_and_tokenizer"): "this environment is the hub client's alone",
    ("hub036", "flow_a_cache_is_verified"): "the client has no such command",
}
ON_A_PAGE = 10  # items of a tree
TIMEOUT = 300  # seconds for a client's flows

Outcome = Callable[[str], dict[str, str | None]]
NAMES = re.findall(r"^def (flow_\w+)", FLOWS.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with pytest.MonkeyPatch.context() as patch, running(tmp_path_factory.mktemp("yard")) as live:
        patch.setattr(trees, "MAX_ITEMS", ON_A_PAGE)
        yield live


@pytest.fixture(scope="module")
def outcome(yard: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """How each flow went with a client; all of them run in one process, as imports take seconds."""
    work = tmp_path_factory.mktemp("work")

    @cache
    def of(client: str) -> dict[str, str | None]:
        names = [name for name in NAMES if (client, name) not in LACKING]
        command = [str(client_python(client)), str(FLOWS), *names]
        home = work / client
        home.mkdir()
        finished = subprocess.run(
            command, cwd=home, env=environment(yard, home), capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        lines = [line.removeprefix("RESULT ") for line in finished.stdout.splitlines() if line.startswith("RESULT ")]
        results = {each["flow"]: each["error"] for each in map(json.loads, lines)}
        return {name: results.get(name, f"it never ended: {finished.stderr[-2000:]}") for name in names}

    return of


def environment(yard: LiveServer, home: Path) -> dict[str, str]:
    """The two variables that a user sets, and a home of its own; the rest is for the flows themselves."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_ENDPOINT": yard.url,
        "HF_TOKEN": yard.root_token,
        "YARD_URL": yard.url,
        "YARD_TOKEN": yard.root_token,
        "LANG": "C.UTF-8",
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flow", NAMES)
@pytest.mark.parametrize("client", CLIENTS)
def test_flow(outcome: Outcome, client: str, flow: str) -> None:
    if reason := LACKING.get((client, flow)):
        pytest.skip(reason)
    error = outcome(client)[flow]
    assert error is None, error
