"""What must hold of a registry's files on disk, seen through `modelyard check` and `modelyard gc`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelyard.services.upkeep.checking import check
from modelyard.services.upkeep.collecting import collect
from tests.commands import environment_of, finished
from tests.live import LiveServer

Upkeep = Callable[..., list[dict[str, Any]]]
"""Runs `check` or `gc` with options, and gives what they print. Nothing is too young to be collected."""


def upkeep_of(folder: Path, variables: Mapping[str, str]) -> Upkeep:
    """The commands themselves, on the registry in a folder."""
    quiet = {"MODELYARD_GC_GRACE": "0", "MODELYARD_LOG_LEVEL": "warning"}
    environment = environment_of(folder, {**quiet, **variables})

    def run(*arguments: str) -> list[dict[str, Any]]:
        done = finished((*arguments, "--json"), cwd=folder, env=environment)
        assert done.stderr == "", done.stderr
        printed: list[dict[str, Any]] = json.loads(done.stdout)
        assert done.returncode == (1 if arguments[0] == "check" and printed else 0)
        return printed

    return run


def upkeep_within(live: LiveServer) -> Upkeep:
    """The services behind the commands, within this process."""
    database, store = live.app.state.database, live.app.state.store

    def run(*arguments: str) -> list[dict[str, Any]]:
        if arguments[0] == "check":
            return [asdict(each) for each in check(database, store, read="--read" in arguments)]
        return [asdict(each) for each in collect(database, store, grace=0, dry_run=False)]

    return run


def stored(blobs: Path) -> set[tuple[str, str]]:
    """Everything in a folder of blobs: ("blob", digest), and ("write", name) for what was never published."""
    return {("blob", path.name) for path in blobs.glob("sha256/*/*/*")} | {
        ("write", path.name) for path in blobs.glob("incoming/*")
    }


def only_the_unreferenced_goes(blobs: Path, referenced: set[str], run: Upkeep) -> list[dict[str, Any]]:
    """Hold that every blob is as the database says, and that `gc` takes exactly what no file refers to; what it took.

    Nobody may write meanwhile. Records of blobs without bytes go too; only the database knows of those.
    """
    wanted = {("blob", digest) for digest in referenced}
    assert run("check", "--read") == []
    garbage = stored(blobs) - wanted
    removed = run("gc")
    assert {(each["kind"], each["name"]) for each in removed if each["kind"] != "record"} == garbage
    assert stored(blobs) == wanted
    assert run("check") == []
    return removed


def errors_logged(log: str) -> list[str]:
    """The lines of a server's log, in JSON, that report an error, and whatever else is no line of it but a greeting."""
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    unexpected = [line for line in log.splitlines() if not line.startswith(("{", "modelyard ", "The administrator"))]
    return unexpected + [json.dumps(event) for event in events if event["level"] in ("error", "critical")]
