"""The group of all commands, and what becomes of their mistakes."""

from __future__ import annotations

import os
import sys

import click

from modelyard import __version__
from modelyard.cli import accounts, backups, moving, serving, upkeep
from modelyard.mistakes import told
from modelyard.private import OTHERS


@click.group()
@click.version_option(__version__, prog_name="modelyard")
def cli() -> None:
    """A self-hosted model registry that speaks GitLab's model registry API."""


for command in (
    serving.serve,
    serving.migrate,
    accounts.user,
    accounts.project,
    accounts.token,
    upkeep.check,
    upkeep.gc,
    backups.backup,
    backups.restore,
    moving.copy_blobs,
    moving.copy_database,
):
    cli.add_command(command)


def main() -> None:
    """The console script: a mistake is one line on standard error and exit status 2 for bad settings, else 1."""
    os.umask(OTHERS)  # whatever a command or a library makes is its user's alone
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        sys.exit(130)
    except Exception as error:
        mistake = told(error)
        if mistake is None:
            raise
        _fail(*mistake)


def _fail(sentence: str, status: int) -> None:
    click.echo(f"modelyard: {sentence}", err=True)
    sys.exit(status)
