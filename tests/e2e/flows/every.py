"""Runs flows of several modules in one process, as to import a client takes seconds: `module.flow_name` for each."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from harness import run


def named(name: str) -> Any:
    """The flow of a module. All are imported before the first begins, as the harness tells the client where it is."""
    module, _, flow = name.partition(".")
    return getattr(import_module(module), flow)


if __name__ == "__main__":
    run({name: named(name) for name in sys.argv[1:]})
