"""What must hold of a registry's files on disk, seen through `modelyard check` and `modelyard gc`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.processes import COMMAND


def upkeep(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """What `modelyard check` or `gc` prints of the registry in a folder. Its grace period is over at once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    environment |= {"MODELYARD_GC_GRACE": "0", **(variables or {})}
    done = subprocess.run(
        [COMMAND, *arguments, "--json"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == "", done.stderr
    printed: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == (1 if arguments[0] == "check" and printed else 0)
    return printed


def stored(folder: Path) -> set[tuple[str, str]]:
    """Everything in the folder of blobs: ("blob", digest), and ("write", name) for what was never published."""
    blobs = folder / "data" / "blobs"
    return {("blob", path.name) for path in blobs.glob("sha256/*/*/*")} | {
        ("write", path.name) for path in blobs.glob("incoming/*")
    }


def only_the_unreferenced_goes(
    folder: Path, referenced: set[str], variables: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Hold that every blob is as the database says, and that `gc` takes exactly what no file refers to; what it took.

    Nobody may write meanwhile. Records of blobs without bytes go too; only the database knows of those.
    """
    wanted = {("blob", digest) for digest in referenced}
    assert upkeep(folder, "check", "--read", variables=variables) == []
    garbage = stored(folder) - wanted
    removed = upkeep(folder, "gc", variables=variables)
    assert {(each["kind"], each["name"]) for each in removed if each["kind"] != "record"} == garbage
    assert stored(folder) == wanted
    assert upkeep(folder, "check", variables=variables) == []
    return removed


def errors_logged(log: str) -> list[str]:
    """The lines of a server's log, in JSON, that report an error, and whatever else is no line of it but a greeting."""
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    unexpected = [line for line in log.splitlines() if not line.startswith(("{", "modelyard ", "The administrator"))]
    return unexpected + [json.dumps(event) for event in events if event["level"] in ("error", "critical")]
