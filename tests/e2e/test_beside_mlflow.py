"""The released MLflow client gets the same answers here as from MLflow's own server, which runs beside."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from tests.e2e.environments import client_python
from tests.e2e.test_clients import FLOWS, TIMEOUT, environment
from tests.live import LiveServer, running

SCRIPT = FLOWS / "beside.py"
ANSWERS = re.findall(r"^def (answer_\w+)", SCRIPT.read_text(), re.MULTILINE)

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture(scope="module")
def answers(
    yard: LiveServer, mlflow_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Answers, Answers]]:
    """What a client is told by MLflow's own server, and here."""
    work = tmp_path_factory.mktemp("work")

    @cache
    def of(client: str) -> tuple[Answers, Answers]:
        with yard.client(yard.root_token) as http:
            project = http.post("/projects", json={"name": f"beside {client}"}).json()["id"]
        uris = (mlflow_url, f"{yard.api}/projects/{project}/ml/mlflow")
        # One process asks both, as to import the client takes longer than all that it asks.
        command = [str(client_python(client)), str(SCRIPT), *uris, *ANSWERS]
        done = subprocess.run(
            command, cwd=work, env=environment(yard), capture_output=True, text=True, timeout=2 * TIMEOUT, check=False
        )
        lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert len(lines) == 2 * len(ANSWERS), done.stderr[-2000:]
        told = [json.loads(line) for line in lines]
        theirs, ours = ({each["name"]: each["answer"] for each in told if each["uri"] == uri} for uri in uris)
        return theirs, ours

    return of


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
