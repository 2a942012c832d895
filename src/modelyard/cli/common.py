"""What several commands share: the registry that they work on, and how they print."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from modelyard import logs
from modelyard.access.identity import OPERATOR
from modelyard.blobs.open import open_store
from modelyard.blobs.store import BlobStore
from modelyard.disk.naming import naming
from modelyard.registry.backends import TurnTaken
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.revisions import is_current
from modelyard.settings import Settings, load_settings

T = TypeVar("T")


class Busy(click.ClickException):
    """The same work is going on already."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, only not now


FOLDER = click.Path(file_okay=False, path_type=Path)


@contextmanager
def opened(*, on_full_disk: bool = False) -> Iterator[tuple[Settings, Database, BlobStore]]:
    """The settings, and the migrated database and the blob store that they name. Raises ClickException, BlobError.

    `on_full_disk`: see `Database`.
    """
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    database = Database(settings.effective_database_url, on_full_disk=on_full_disk)
    try:
        if not is_current(database.engine):
            raise click.ClickException("the database is not migrated; run `modelyard migrate` first")
        yield settings, database, open_store(settings)
    finally:
        database.close()


@contextmanager
def alone(database: Database, work: str) -> Iterator[None]:
    """Do work of which only one goes on at a time, on whichever machine. Raises Busy."""
    try:
        with database.alone(work):
            yield
    except TurnTaken as error:
        raise Busy(f"a {work} of this registry is running already") from error


def change(work: Callable[[Registry], T]) -> T:
    """Run `work` in one transaction on the registry that the settings name, as the operator's."""

    def as_operator(registry: Registry) -> T:
        registry.act(OPERATOR)
        return work(registry)

    with opened() as (_settings, database, _store):
        return database.write_now(as_operator)


def say(text: object) -> None:
    """Print a line of a command's result."""
    with naming("standard output"):
        click.echo(text)


def print_items(items: Iterable[object], as_json: bool, line: Callable[..., str]) -> None:
    """Print dataclasses, a line each as they come, or all at once as a JSON array."""
    if as_json:
        say(json.dumps([dataclasses.asdict(item) for item in items]))  # type: ignore[call-overload] # dataclasses
        return
    for item in items:
        say(line(item))
