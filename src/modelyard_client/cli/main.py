"""The group of all commands, and what becomes of their mistakes."""

from __future__ import annotations

import gc
import os
import sys
from collections import UserDict
from importlib import import_module
from typing import Any

import click

from modelyard_client.cli.insisting import insist
from modelyard_client.errors import ClientError, Interrupted, UsageMistake

DEBUG = "MODELYARD_DEBUG"


class _Lazily(UserDict[str, Any]):
    """Commands by name, each imported when it is asked for: help and completion are to be quick."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, attribute = super().__getitem__(name).partition(":")
        command: click.Command = getattr(import_module(f"modelyard_client.cli.{module}"), attribute)
        return command


COMMANDS = {
    "login": "identity:login",
    "logout": "identity:logout",
    "whoami": "identity:whoami",
    "push": "moving:push",
    "pull": "moving:pull",
    "ls": "looking:ls",
    "cat": "looking:cat",
    "verify": "looking:verify",
    "rm": "removing:rm",
    "cache": "caching:cache",
}
HELP = {
    "login": "Keep a token for a server.",
    "logout": "Forget the token for a server.",
    "whoami": "Show whose token is used, and where.",
    "push": "Send files, and what is in folders, to a version.",
    "pull": "Bring the files of a version.",
    "ls": "List the files of a version, or versions.",
    "cat": "Write a file to standard output.",
    "verify": "Compare files here with those of a version.",
    "rm": "Remove files, or a version.",
    "cache": "Look after what `myd pull --cache` has kept.",
}


class _Group(click.Group):
    """Shows what its commands do without importing them."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - what the command gives
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # of which click would tell nothing but an empty line
            raise Interrupted("Interrupted") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - not needed otherwise

        found = [CompletionItem(name, help=text) for name, text in HELP.items() if name.startswith(incomplete)]
        return found or super(click.Group, self).shell_complete(ctx, incomplete)


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib import metadata  # noqa: PLC0415 - it takes a while

    for distribution in ("modelyard-client", "modelyard"):
        try:
            click.echo(f"myd, version {metadata.version(distribution)}")
        except metadata.PackageNotFoundError:
            continue
        ctx.exit()
    ctx.exit()


@click.group(cls=_Group, commands=_Lazily(COMMANDS), context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
def cli() -> None:
    """Send models to a modelyard registry, and bring them back.

    A TARGET is group/project/model@version; without @version the newest is meant. candidate:5 names a run's files.
    """


def main() -> None:
    """The console script. Garbage is looked for as long as a command works: all that is imported before is none."""
    gc.disable()
    _open_what_is_closed()
    insist()
    try:
        run()
    finally:
        gc.freeze()


def _open_what_is_closed() -> None:
    """Let whoever has closed one of the standard streams give nothing, and see nothing, there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as it works


def run() -> None:
    """The command: a mistake is one line on standard error, and an exit status that says its kind."""
    try:
        cli(prog_name="myd", standalone_mode=False, windows_expand_args=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(UsageMistake(error.format_message()), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(Interrupted.exit_status)
    except ClientError as error:
        _fail(error, error.exit_status)
    except OSError as error:  # what has no name is standard output
        from modelyard_client.local.files import error_of  # noqa: PLC0415 - not needed otherwise

        told = error_of(str(error.filename or "Standard output"), error)
        _fail(told, told.exit_status)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        _fail(ClientError(f"{type(error).__name__}: {error} ({DEBUG}=1 shows where)"), 1)


def _fail(error: ClientError, status: int) -> None:
    if "--json" in sys.argv:
        import json  # noqa: PLC0415 - not needed otherwise

        told = {"error": {"code": error.code, "message": error.sentence, "exit_status": status}}
        click.echo(json.dumps(told), err=True)
    else:
        click.echo(f"myd: {error.sentence}", err=True)
    sys.exit(status)
