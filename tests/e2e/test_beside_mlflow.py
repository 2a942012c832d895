"""The released MLflow client gets the same answers here as from MLflow's own server, which runs beside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.environments import client_python
from tests.e2e.test_clients import FLOWS, TIMEOUT, environment
from tests.live import LiveServer, running
from tests.ports import free_port

SCRIPT = FLOWS / "beside.py"
ANSWERS = re.findall(r"^def (answer_\w+)", SCRIPT.read_text(), re.MULTILINE)
START_SECONDS = 300

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of MLflow's own server."""
    folder = tmp_path_factory.mktemp("original")
    port = free_port()
    command = [str(client_python("mlflow3")), "-m", "mlflow", "server", f"--port={port}", "--workers=1"]
    places = [f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={folder}/artifacts"]
    settings = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *places], cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, server, folder / "log")
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture(scope="module")
def answers(
    yard: LiveServer, original: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Answers, Answers]]:
    """What a client is told by MLflow's own server, and here."""
    work = tmp_path_factory.mktemp("work")

    def asked(client: str, uri: str) -> Answers:
        command = [str(client_python(client)), str(SCRIPT), uri, *ANSWERS]
        done = subprocess.run(
            command, cwd=work, env=environment(yard), capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert len(lines) == len(ANSWERS), done.stderr[-2000:]
        return {each["name"]: each["answer"] for each in map(json.loads, lines)}

    @cache
    def of(client: str) -> tuple[Answers, Answers]:
        with yard.client(yard.root_token) as http:
            project = http.post("/projects", json={"name": f"beside {client}"}).json()["id"]
        return asked(client, original), asked(client, f"{yard.api}/projects/{project}/ml/mlflow")

    return of


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"MLflow's server did not start: {log.read_text()[-2000:]}")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("client", ["mlflow3", "mlflow2"])
def test_both_servers_answer_the_same(
    answers: Callable[[str], tuple[Answers, Answers]], client: str, answer: str
) -> None:
    expected, given = (each[answer] for each in answers(client))
    assert given == expected
    assert "Traceback" not in str(expected)
