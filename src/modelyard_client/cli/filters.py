"""`--include` and `--exclude`, whose order counts: the last one that fits a name decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from modelyard_client.local.patterns import Rule, Selection

F = TypeVar("F", bound=click.Command | Callable[..., Any])
KINDS = {"--include": "+", "--exclude": "-"}


class Filtering(click.Command):
    """A command that has both options as one, `--filter` and a sign: click keeps no order between two."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        return super().parse_args(ctx, _joined(args))


def filtering(command: F) -> F:
    """Give a command the options; it has them as `rules`."""
    for option in (
        click.option("--filter", "rules", multiple=True, hidden=True),
        click.option("--exclude", metavar="PATTERN", expose_value=False, help="Leave out what fits; as above."),
        click.option("--include", metavar="PATTERN", expose_value=False, help="Take what fits; may be repeated."),
    ):
        command = option(command)
    return command


def chosen_files(where: str) -> Callable[[F], F]:
    """Give a command a version, names of files in it, and a folder here; it has them as `target`, `names`, `folder`."""
    folder = click.Path(file_okay=False, path_type=Path)
    options = (
        click.option(
            "-o",
            "--output-dir",
            "folder",
            metavar="DIR",
            type=folder,
            default=Path(),
            help=f"{where}; here by default.",
        ),
        click.argument("names", metavar="[NAME]...", nargs=-1),
        click.argument("target"),
    )

    def give(command: F) -> F:
        for option in options:
            command = option(command)
        return command

    return give


def selection_of(rules: Sequence[str]) -> Selection:
    """The selection that the options say."""
    return Selection([Rule(rule[1:], rule.startswith("+")) for rule in rules])


def _joined(args: Sequence[str]) -> list[str]:
    joined: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            return [*joined, word, *rest]
        if name in KINDS and (equals or rest):
            joined.append(f"--filter={KINDS[name]}{value if equals else rest.pop(0)}")
        else:
            joined.append(word)
    return joined
