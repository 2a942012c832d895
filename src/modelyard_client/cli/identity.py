"""Whose token goes where."""

from __future__ import annotations

import sys

import click

from modelyard_client.cli.common import Output, printing, printing_alone
from modelyard_client.credentials import Credentials, Login, require_token, server_url
from modelyard_client.devices import DeviceCode, sign_in
from modelyard_client.errors import NotFound
from modelyard_client.registry import Registry


@click.command()
@click.argument("address", metavar="HOST")
@click.option("--device", is_flag=True, help="Sign in with a code that you confirm in a browser.")
@printing_alone
def login(address: str, device: bool, output: Output) -> None:
    """Keep a token for a server, which is meant from then on.

    The token comes from standard input, or is asked for on a terminal, where none is an answer too: then, as with
    --device, a code is shown that you confirm in a browser. It is tried before it is kept, in a file that you alone can
    read.
    """
    url = server_url(address)
    token = "" if device else _typed()
    if not token:
        token = sign_in(url, _show, output.telling())
    with Registry(url, token, progress=output.telling()) as registry:
        user = registry.user()
    credentials = Credentials()
    credentials.keep(Login(url, token), user.username)
    output.data(user, [])
    output.tell(f"{user.username} at {url}, kept in {credentials.path}")


def _typed() -> str:
    """The token that is piped in, or typed; empty where somebody on a terminal has none. Raises NotIdentified."""
    if not sys.stdin.isatty():
        return require_token(sys.stdin.readline())
    asked = "Token (none: sign in with a browser)"
    typed: str = click.prompt(asked, hide_input=True, default="", show_default=False, err=True)
    return require_token(typed) if typed else ""


def _show(code: DeviceCode) -> None:
    # To standard error, also with --quiet: nobody can go on without it.
    click.echo(f"Open {code.complete}\nand confirm the code {code.user_code}", err=True)


@click.command()
@click.argument("address", metavar="[HOST]", required=False)
@printing
def logout(address: str | None, output: Output) -> None:
    """Forget the token for a server; it stays valid."""
    credentials = Credentials()
    url = server_url(address) if address else credentials.find(output.host).url
    if not credentials.forget(url):
        raise NotFound(f"No token is kept for {url}")
    output.data({"host": url}, [])
    output.tell(f"The token for {url} is forgotten; it is valid until it is revoked")


@click.command()
@printing
def whoami(output: Output) -> None:
    """Show whose token is used, and where."""
    with output.registry() as registry:
        user = registry.user()
    output.data(user, [f"{user.username} at {user.host}"])
