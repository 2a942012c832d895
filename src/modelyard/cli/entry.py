"""The group of all commands, and what becomes of their mistakes."""

from __future__ import annotations

import gc
import os
import sys
from collections import UserDict
from importlib import import_module
from typing import Any

import click

from modelyard import __version__


class _Lazily(UserDict[str, Any]):
    """Commands by name, each imported when it is asked for: all together take half a second of processor."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, attribute = super().__getitem__(name).partition(":")
        gc.disable()  # an import makes no garbage, and looking for it takes a twentieth of its time
        try:
            command: click.Command = getattr(import_module(f"modelyard.cli.{module}"), attribute)
        finally:
            gc.enable()
        return command


# What libraries load where it is installed, and do without otherwise. Structlog would draw tracebacks that none of our
# logs has: 4 MiB and 40 ms. FastAPI would look for old models, and tell that it does not take them: 2 MiB and 20 ms.
UNUSED = ("rich", "pydantic.v1")

COMMANDS = {
    "serve": "serving:serve",
    "health": "health:health",
    "migrate": "serving:migrate",
    "user": "accounts:user",
    "project": "accounts:project",
    "token": "accounts:token",
    "issuer": "identity:issuer",
    "provider": "providers:provider",
    "check": "upkeep:check",
    "gc": "upkeep:gc",
    "backup": "backups:backup",
    "restore": "backups:restore",
    "copy-blobs": "moving:copy_blobs",
    "copy-database": "moving:copy_database",
}


# The first sentence of each, as itself tells it too.
SUMMARIES = {
    "serve": "Migrate the database, then serve; the first start makes the administrator `root`.",
    "health": "Ask the server of these settings whether it answers, past any proxy; exit 1 when it does not.",
    "migrate": "Migrate the database and exit.",
    "user": "Manage accounts.",
    "project": "Manage projects.",
    "token": "Manage access tokens.",
    "issuer": "Manage issuers of id tokens.",
    "provider": "Manage where people sign in by OpenID Connect.",
    "check": "Compare database and blob store; exit 0 when all is well, 1 with a list otherwise, 75 if a check is "
    "running.",
    "gc": "Remove what nothing refers to and is older than the grace period; safe beside a running server.",
    "backup": "Make DIR a backup of the registry, or bring the one that is there up to date; beside a running server.",
    "restore": "Restore the backup in DIR into the empty database and blob store that the settings name.",
    "copy-blobs": "Copy and verify every blob that is not there yet; FROM and TO are file:///path or s3://bucket/prefix.",
    "copy-database": "Copy all rows between databases, say from SQLite to PostgreSQL; FROM and TO are as "
    "MODELYARD_DATABASE_URL.",
}


class _Commands(click.Group):
    """The group, which tells what its commands do without the import of any."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them down by name."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in self.list_commands(ctx)])


@click.group(cls=_Commands, commands=_Lazily(COMMANDS))
@click.version_option(__version__, prog_name="modelyard")
def cli() -> None:
    """A self-hosted model registry that speaks the APIs of GitLab, MLflow and Hugging Face."""


def main() -> None:
    """The console script: a mistake is one line on standard error and exit status 2 for bad settings, else 1."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # which tells an import that there is none
    os.umask(0o077)  # whatever a command or a library makes is its user's alone
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        sys.exit(130)
    except Exception as error:
        from modelyard.process.mistakes import told  # noqa: PLC0415 - it knows the errors of all libraries

        mistake = told(error)
        if mistake is None:
            raise
        _fail(*mistake)


def _fail(sentence: str, status: int) -> None:
    click.echo(f"modelyard: {sentence}", err=True)
    sys.exit(status)
