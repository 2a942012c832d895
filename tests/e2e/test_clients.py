"""The released MLflow and python-gitlab clients, unmodified, against a live server: one test for each flow."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.environments import client_python
from tests.live import LiveServer, running

FLOWS = Path(__file__).parent / "flows"
MODULES = {
    "mlflow3": ("tracking", "artifacts", "registry", "models", "places"),
    "mlflow37": ("artifacts", "places"),
    "mlflow2": ("tracking", "artifacts", "registry", "models", "places"),
    "gitlab": ("gitlab_flows",),
}
ONCE = {"mlflow3": "flow_hundreds_of_small_files"}  # one client shows as well as three how many there may be
TIMEOUT = 600  # seconds for a client's script

Outcome = Callable[[str], dict[str, str | None]]


def flows() -> list[tuple[str, str]]:
    """Each client with each of its flows, as `module.name`."""
    return [
        (client, f"{module}.{name}")
        for client, modules in MODULES.items()
        for module in modules
        for name in re.findall(r"^def (flow_\w+)", (FLOWS / f"{module}.py").read_text(), re.MULTILINE)
        if name not in ONCE.values() or client in ONCE
    ]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture(scope="module")
def outcome(yard: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """How each flow went with a client; all of them run in one process, as imports take seconds."""
    work = tmp_path_factory.mktemp("work")

    @cache
    def of(client: str) -> dict[str, str | None]:
        names = [flow for asked, flow in flows() if asked == client]
        command, seconds = [str(client_python(client)), str(FLOWS / "every.py"), *names], TIMEOUT * len(MODULES[client])
        finished = subprocess.run(
            command, cwd=work, env=environment(yard), capture_output=True, text=True, timeout=seconds, check=False
        )
        lines = [line.removeprefix("RESULT ") for line in finished.stdout.splitlines() if line.startswith("RESULT ")]
        results = {each["flow"]: each["error"] for each in map(json.loads, lines)}
        return {name: results.get(name, f"it never ended: {finished.stderr[-2000:]}") for name in names}

    return of


def environment(yard: LiveServer) -> dict[str, str]:
    """Settings under which a client fails at once instead of trying for minutes, and reports to nobody."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "YARD_URL": f"http://127.0.0.1:{yard.port}",
        "YARD_TOKEN": yard.root_token,
        "MLFLOW_TRACKING_TOKEN": yard.root_token,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "LANG": "C.UTF-8",
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("client", "flow"), flows())
def test_flow(outcome: Outcome, client: str, flow: str) -> None:
    error = outcome(client)[flow]
    assert error is None, error
