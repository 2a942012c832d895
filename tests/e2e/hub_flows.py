"""Flows of Hugging Face's clients, run in an environment of one of them against a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.environments import client_python
from tests.live import LiveServer

FLOWS = Path(__file__).parent / "flows"
TIMEOUT = 500  # seconds for a client's flows


def names_in(flows: str) -> list[str]:
    """The flows of a module."""
    return re.findall(r"^def (flow_\w+)", (FLOWS / flows).read_text(), re.MULTILINE)


def environment(url: str, token: str, home: Path, **variables: str) -> dict[str, str]:
    """The two variables that a user sets, and a home of its own; the rest is for the flows themselves."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_ENDPOINT": url,
        "HF_TOKEN": token,
        "YARD_URL": url,
        "YARD_TOKEN": token,
        "LANG": "C.UTF-8",
        **variables,
    }


def outcomes(
    client: str, flows: str, names: Sequence[str], yard: LiveServer, home: Path, url: str = "", **variables: str
) -> dict[str, str | None]:
    """How each flow went, None where it went well; all of them run in one process, as imports take seconds.

    `url`: by which the client knows the server, where that is not its own.
    """
    home.mkdir()
    command = [str(client_python(client)), str(FLOWS / flows), *names]
    told = environment(url or yard.url, yard.root_token, home, **variables)
    finished = subprocess.run(command, cwd=home, env=told, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    lines = [line.removeprefix("RESULT ") for line in finished.stdout.splitlines() if line.startswith("RESULT ")]
    results = {each["flow"]: each["error"] for each in map(json.loads, lines)}
    return {name: results.get(name, f"it never ended: {finished.stderr[-2000:]}") for name in names}
