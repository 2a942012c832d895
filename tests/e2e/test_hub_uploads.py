"""Three generations of Hugging Face's client, unmodified, send to a live server: one test for each flow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from modelyard.blobs.store import BlobReader
from modelyard.services.hub import xorbs
from tests.e2e.hub_flows import names_in, outcomes
from tests.live import LiveServer, running

CLIENTS = {  # with what is set besides the two variables
    "hub2": {},
    "hub2 without xet": {"HF_HUB_DISABLE_XET": "1"},
    "hub1": {},
    "hub036": {},
}
FLOWS = "hub_writing.py"
NAMES = names_in(FLOWS)
MAX_FILE_SIZE = 64 * 1024 * 1024

Outcome = Callable[[str], dict[str, str | None]]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard"), max_file_size=MAX_FILE_SIZE) as live:
        yield live


@pytest.fixture(scope="module")
def outcome(yard: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    work = tmp_path_factory.mktemp("work")

    @cache
    def of(client: str) -> dict[str, str | None]:
        program, home = client.partition(" ")[0], work / client.replace(" ", "-")
        return outcomes(program, FLOWS, NAMES, yard, home, **CLIENTS[client])

    return of


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flow", NAMES)
@pytest.mark.parametrize("client", CLIENTS)
def test_flow(outcome: Outcome, client: str, flow: str) -> None:
    error = outcome(client)[flow]
    assert error is None, error


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", ["xet151", "xet152", "xet160"])
def test_earlier_releases_of_xet_send_too(yard: LiveServer, tmp_path: Path, client: str) -> None:
    names = ("flow_folder", "flow_operations", "flow_one_large_file")
    assert outcomes(client, FLOWS, names, yard, tmp_path / "home") == dict.fromkeys(names)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_client_waits_while_a_large_file_is_put_together_once(
    yard: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than it waits for any other answer: here a second, by itself two minutes."""
    whole, times = xorbs.contents, []

    def slowly(reader: BlobReader, chunks: Sequence[xorbs.Chunk]) -> Iterator[bytes]:
        times.append(1)
        if len(times) == 1:
            time.sleep(5)
        return whole(reader, chunks)

    monkeypatch.setattr(xorbs, "contents", slowly)
    patience = {"HF_XET_CLIENT_READ_TIMEOUT": "1s", "HF_XET_CLIENT_RETRY_BASE_DELAY": "200ms"}
    result = outcomes("hub2", FLOWS, ["flow_one_large_file"], yard, tmp_path / "home", **patience)
    assert result == {"flow_one_large_file": None}
    assert len(times) == 1
