"""What commands share: options, the registry that they ask, and how they print."""

from __future__ import annotations

import functools
import gc
import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from modelyard_client.cli.terminal import Telling, shown
from modelyard_client.progress import Progress
from modelyard_client.registry import Registry
from modelyard_client.results import as_json

F = TypeVar("F", bound=Callable[..., Any])


class Output(NamedTuple):
    """How a command prints: data alone to standard output, all else to standard error."""

    as_json: bool
    quiet: bool
    host: str | None

    def data(self, value: Any, lines: list[str]) -> None:  # noqa: ANN401 - a result, or what JSON has
        """Print what was asked for, for a program or for people."""
        if self.as_json:
            click.echo(json.dumps(as_json(value), ensure_ascii=False))
            return
        for line in lines:
            click.echo(line)

    def tell(self, sentence: str) -> None:
        """Tell people what was done, unless they want to know of mistakes alone."""
        if not self.quiet and not self.as_json:
            click.echo(sentence, err=True)

    def registry(self, progress: Progress | None = None) -> Registry:
        """The registry that is meant. Raises ClientError."""
        if not gc.isenabled():  # see `main.main`
            gc.freeze()
            gc.enable()
        return Registry(self.host, progress=progress or self.telling())

    def progress(self) -> Progress:
        """What shows how far it is, unless nobody wants to see it."""
        return Progress() if self.quiet else shown(as_json=self.as_json)

    def telling(self) -> Progress:
        """What tells of what is tried again, unless nobody wants to know."""
        return Progress() if self.quiet else Telling(as_json=self.as_json)


def printing(command: F) -> F:
    """Give a command the options of `Output`, as its argument `output`."""
    option = click.option("--host", metavar="URL", help="The server, instead of the one of `myd login`.")
    return option(printing_alone(command))


def printing_alone(command: F) -> F:
    """As `printing`, for a command that asks no server but what its arguments name."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, mistakes too.")
    @click.option("-q", "--quiet", is_flag=True, help="Tell of mistakes alone.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, as_json: bool, quiet: bool, host: str | None = None, **named: Any) -> Any:  # noqa: ANN401 - what the command gives
        return command(*arguments, output=Output(as_json, quiet, host), **named)

    return wrapped  # type: ignore[return-value] # it has fewer parameters, which click gives by name
