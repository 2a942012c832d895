"""MLflow's own server, of the newest release, to compare answers with."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.e2e.environments import client_python
from tests.ports import free_port
from tests.waiting import eventually

START_SECONDS = 300


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """The URL of a fresh server."""
    port, program = free_port(), client_python("mlflow3").with_name("mlflow")
    command = [
        *(str(program), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1", "--serve-artifacts"),
        *(f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={folder}/artifacts"),
    ]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    # Its seven processes for jobs of language models take a quarter of a processor for as long as it runs.
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    said = folder / "mlflow.log"
    with said.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(url, process, said), START_SECONDS)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _answers(url: str, process: subprocess.Popen[bytes], said: Path) -> bool:
    assert process.poll() is None, said.read_text()[-2000:]
    try:
        return httpx2.get(f"{url}/health").status_code == 200
    except httpx2.TransportError:
        return False
