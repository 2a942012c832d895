"""The group of all commands, and what becomes of their mistakes."""

from __future__ import annotations

import os
import sys

import click
from sqlalchemy.exc import DatabaseError, OperationalError

from modelyard import __version__
from modelyard.blobs.store import BlobError
from modelyard.cli import accounts, backups, moving, serving, upkeep
from modelyard.errors import ApiError, CommandError
from modelyard.private import OTHERS
from modelyard.registry.dialects import is_damaged, is_misdirected, is_out_of_space
from modelyard.registry.revisions import NewerDatabase
from modelyard.settings import SettingsError


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
    except SettingsError as error:
        _fail(str(error), 2)
    except ApiError as error:
        _fail(_sentence(error), 1)
    except (CommandError, BlobError, NewerDatabase, OSError) as error:
        _fail(str(error), 1)
    except DatabaseError as error:
        if not isinstance(error, OperationalError) and not is_damaged(error) and not is_misdirected(error):
            raise
        advice = "; free room there, say with `modelyard gc`" if is_out_of_space(error) else ""
        _fail(f"database: {str(error.orig).partition(chr(10))[0]}{advice}", 1)


def _sentence(error: ApiError) -> str:
    message = error.body.get("message", error.body.get("error"))
    if isinstance(message, dict):  # of fields, each with what is wrong with it
        return ", ".join(f"{field} {reason}" for field, reasons in message.items() for reason in reasons)
    return str(message)


def _fail(sentence: str, status: int) -> None:
    click.echo(f"modelyard: {' '.join(sentence.splitlines())}", err=True)
    sys.exit(status)
