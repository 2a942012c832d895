"""`user`, `project` and `token`: what an operator makes beside the API."""

from __future__ import annotations

import sys
from datetime import date, datetime

import click

from modelyard.access.identity import OPERATOR
from modelyard.cli.common import change, say
from modelyard.services.people import accounts, credentials, projects


@click.group()
def user() -> None:
    """Manage accounts."""


@user.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Let the user administer everything.")
def create_user(name: str, admin: bool) -> None:
    """Make a user and print the new id."""
    say(change(lambda registry: accounts.create(registry, OPERATOR, accounts.NewUser(name, admin=admin)).id))


@user.command("password")
@click.argument("name")
@click.option("--remove", is_flag=True, help="Let nobody in by a password of this user any more.")
def set_password(name: str, remove: bool) -> None:
    """Set an administrator's password, for when no provider can be asked; it is read from standard input."""
    from modelyard.services.identity import passwords  # noqa: PLC0415 - it is seldom asked for

    if remove:
        change(lambda registry: passwords.remove(registry, OPERATOR, name))
        return
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    change(lambda registry: passwords.change(registry, OPERATOR, name, password))


@click.group()
def project() -> None:
    """Manage projects."""


@project.command("create")
@click.argument("path", metavar="NAMESPACE/NAME")
@click.option("--visibility", type=click.Choice(["private", "internal", "public"]), default="private")
def create_project(path: str, visibility: str) -> None:
    """Make a project and print the new id; a user whose name is the namespace owns it."""
    namespace, _, name = path.rpartition("/")
    if not namespace:
        raise click.BadParameter("a project is named NAMESPACE/NAME", param_hint="path")
    new = projects.NewProject(name=name, path=name, namespace_path=namespace, visibility=visibility)
    say(change(lambda registry: projects.create(registry, OPERATOR, new)[0].id))


@click.group()
def token() -> None:
    """Manage access tokens."""


@token.command("create")
@click.option("--user", "username", required=True, help="Whom the token acts for.")
@click.option("--name", required=True, help="What the token is for.")
@click.option("--scopes", default="api", help="api, read_api or both, separated by commas.")
@click.option("--expires-at", type=click.DateTime(["%Y-%m-%d"]), help="Day on which the token stops working.")
def create_token(username: str, name: str, scopes: str, expires_at: datetime | None) -> None:
    """Make a personal access token and print it alone; it is shown this once."""
    day: date | None = expires_at.date() if expires_at else None
    wanted = credentials.NewToken(name, tuple(scopes.split(",")), expires_on=day)
    say(change(lambda registry: credentials.create_personal(registry, OPERATOR, username, wanted)[1]))
