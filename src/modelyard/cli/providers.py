"""`provider`: where people sign in, and what their groups there give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from typing import TypeVar

import click

from modelyard.access.identity import OPERATOR
from modelyard.access.policy import Role
from modelyard.cli.common import change, opened, print_items, say
from modelyard.registry.repository import Registry
from modelyard.services.identity import provider_groups, providers, user_identities
from modelyard.services.identity.issuers import IssuerFields, Terms
from modelyard.services.identity.provider_groups import ADMIN, ENTRY
from modelyard.services.identity.providers import NewProvider, Provision
from modelyard.settings import load_settings
from modelyard.terms.paths import callback_path

T = TypeVar("T")

LEVELS = {role.name.lower(): int(role) for role in Role}
NAMES = {level: name for name, level in LEVELS.items()} | {ENTRY: "entry", ADMIN: "admin"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A provider as it is listed."""

    name: str
    issuer: str
    client_id: str
    provision: str
    groups_claim: str
    callback: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a group gives, as it is listed."""

    group: str
    gives: str
    path: str


@click.group()
def provider() -> None:
    """Manage where people sign in by OpenID Connect."""


@provider.command("create")
@click.argument("name")
@click.option("--issuer", required=True, help="URL of the provider, as its id tokens have it in `iss`.")
@click.option("--client-id", required=True, help="What this server is called there.")
@click.option(
    "--client-secret-file", type=click.Path(path_type=Path), help="File of the client's secret; read at each sign-in."
)
@click.option("--label", default="", help="What people read on the button.")
@click.option("--scopes", default="openid profile email", help="What is asked for, separated by blanks.")
@click.option(
    "--provision",
    type=click.Choice([each.value for each in Provision]),
    default=Provision.OFF.value,
    help="For whom accounts are made: nobody, whose group is listed, or all.",
)
@click.option("--groups-claim", default="groups", help="Where groups are told, such as `realm_access.roles`.")
@click.option("--algorithms", help="Of its id tokens, separated by commas; RS256 unless it is said.")
@click.option("--jwks-uri", help="Where its keys are, if not on its own host.")
@click.option("--ca-file", type=click.File(), help="Certificates that its own is signed by, as PEM.")
@click.option("--private", is_flag=True, default=None, help="It is in a private network.")
def create_provider(
    name: str,
    issuer: str,
    client_id: str,
    client_secret_file: Path | None,
    label: str,
    scopes: str,
    provision: str,
    groups_claim: str,
    algorithms: str | None,
    jwks_uri: str | None,
    ca_file: TextIOBase | None,
    private: bool | None,
) -> None:
    """List a provider, and print the URL that it is to send people back to."""
    told = IssuerFields(
        algorithms=tuple(algorithms.split(",")) if algorithms else None,
        jwks_uri=jwks_uri,
        ca=ca_file.read() if ca_file is not None else None,
        private=private,
    )
    secret_file = str(client_secret_file.absolute()) if client_secret_file is not None else ""
    new = NewProvider(
        name, issuer, client_id, label, secret_file, tuple(scopes.split()), Provision(provision), groups_claim, told
    )
    _with_terms(lambda registry, terms: providers.create(registry, OPERATOR, new, terms))
    say(_callback(name))


@provider.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_providers(as_json: bool) -> None:
    """List all providers."""
    found = change(lambda registry: providers.listed(registry, OPERATOR))
    items = [
        Shown(each.name, issuer.url, each.client_id, each.provision, each.groups_claim, _callback(each.name))
        for each, issuer in found
    ]
    print_items(items, as_json, lambda each: f"{each.name}\t{each.issuer}\t{each.provision}")


@provider.command("delete")
@click.argument("name")
def delete_provider(name: str) -> None:
    """List a provider no more; its sessions end, and so do the roles that its groups gave."""
    change(lambda registry: providers.delete(registry, OPERATOR, name))


@provider.command("group")
@click.argument("name")
@click.argument("group")
@click.option("--path", default="", help="Project or namespace where the role is given.")
@click.option("--role", type=click.Choice([*LEVELS]), help="Which role; with a path.")
@click.option("--admin", is_flag=True, help="Let the group's people administer everything.")
def give_group(name: str, group: str, path: str, role: str | None, admin: bool) -> None:
    """Say what a group gives: a role below a path, to administer, or else to come in."""
    if bool(path) != bool(role) or (path and admin):
        raise click.UsageError("a role needs --path and --role, and --admin neither")
    level = LEVELS[role] if role else ADMIN if admin else ENTRY
    change(lambda registry: provider_groups.give(registry, OPERATOR, name, group, path, level))


@provider.command("ungroup")
@click.argument("name")
@click.argument("group")
@click.option("--path", default=None, help="Only what it gives there.")
def take_group(name: str, group: str, path: str | None) -> None:
    """Let a group give nothing any more; what it gave ends as its people sign in next."""
    change(lambda registry: provider_groups.take_back(registry, OPERATOR, name, group, path))


@provider.command("groups")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def list_groups(name: str, as_json: bool) -> None:
    """List what the groups of a provider give."""
    found = change(lambda registry: provider_groups.groups(registry, OPERATOR, name))
    items = [Given(each.name, NAMES[each.access_level], each.path) for each in found]
    print_items(items, as_json, lambda each: f"{each.group}\t{each.gives}\t{each.path}".rstrip())


@provider.command("link")
@click.argument("name")
@click.argument("username")
@click.argument("subject")
def link(name: str, username: str, subject: str) -> None:
    """Say that a user is who the provider calls SUBJECT (the claim `sub`)."""
    change(lambda registry: user_identities.link(registry, OPERATOR, name, username, subject))


@provider.command("unlink")
@click.argument("name")
@click.argument("subject")
def unlink(name: str, subject: str) -> None:
    """Let whom the provider calls SUBJECT be nobody here."""
    change(lambda registry: user_identities.unlink(registry, OPERATOR, name, subject))


def _with_terms(work: Callable[[Registry, Terms], T]) -> T:
    with opened() as (settings, database, _store):
        terms = Terms(settings.external_url, settings.loopback_issuers)

        def as_operator(registry: Registry) -> T:
            registry.act(OPERATOR)
            return work(registry, terms)

        return database.write_now(as_operator)


def _callback(name: str) -> str:
    settings = load_settings()
    base = settings.external_url or f"http://{settings.host}:{settings.port}"
    return base + callback_path(name)
