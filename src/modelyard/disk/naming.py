"""Errors of the system that name the path which they are about; those of calls on a descriptor do not by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Let every OSError inside name a path, also that of a call which knows a descriptor alone."""
    try:
        yield
    except OSError as error:
        add_path(error, path)
        raise


def add_path(error: OSError, path: Path | str) -> None:
    """Let an error name a path, unless it names one by itself."""
    if error.filename is None or isinstance(error.filename, int):
        error.filename = str(path)
