"""npm's `oidc-provider`, a certified OpenID provider, as a process that tests start; its people are whom they name."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.environments import ROOT, Steps, installed

PINS = ROOT / ".constraints" / "oidc-provider" / "package-lock.json"
SCRIPT = Path(__file__).with_name("oidc_provider.mjs")
START_SECONDS = 30
CLIENT, SECRET = "modelyard", "the-secret-of-the-client"


@dataclass(frozen=True)
class Provider:
    """A running provider."""

    issuer: str


def _steps(folder: Path) -> Steps:
    return (
        ["mkdir", "-p", folder],
        ["cp", PINS.with_name("package.json"), PINS, folder],
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--prefix={folder}"],
    )


@contextmanager
def running_provider(folder: Path, base: str, *, people: dict[str, dict[str, object]]) -> Iterator[Provider]:
    """A provider that knows the client CLIENT of the server at `base`, and people by the names that they log in with,
    each with the claims of theirs. It takes any password.
    """
    modules = installed("oidc-provider", PINS, _steps) / "node_modules"
    told = {"modules": str(modules), "base": base, "client": CLIENT, "secret": SECRET, "people": people}
    output = folder / "oidc-provider.log"
    with output.open("wb") as log:
        process = subprocess.Popen(["node", "--no-warnings", SCRIPT, json.dumps(told)], stdout=log, stderr=log)
    try:
        yield Provider(f"http://127.0.0.1:{_port(output, process)}")
    finally:
        process.terminate()
        process.wait(10)


def _port(output: Path, process: subprocess.Popen[bytes]) -> int:
    give_up = time.monotonic() + START_SECONDS
    while "listening on " not in (lines := output.read_text()) or not lines.partition("listening on ")[2].count("\n"):
        if process.poll() is not None or time.monotonic() > give_up:
            raise AssertionError(f"oidc-provider did not start: {lines}")
        time.sleep(0.05)
    return int(lines.partition("listening on ")[2].split()[0])
