"""`issuer`: whose id tokens are believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from modelyard.access.identity import OPERATOR
from modelyard.cli.common import opened, print_items, say
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer
from modelyard.services.identity import issuers
from modelyard.services.identity.keys import ALGORITHMS
from modelyard.services.identity.kinds import Kind
from modelyard.settings import Settings
from modelyard.terms.paging import MAX_PER_PAGE, PageRequest

T = TypeVar("T")
TEXT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
# What `create` and `update` take alike; each flag has its opposite.
OPTIONS = (
    click.option("--audience", help="What its tokens are for; by default MODELYARD_EXTERNAL_URL."),
    click.option("--algorithm", "algorithms", multiple=True, type=click.Choice(list(ALGORITHMS)), help="RS256."),
    click.option("--jwks", type=TEXT_FILE, help="File with its keys, where they are not to be fetched."),
    click.option("--jwks-uri", help="Where its keys are, if discovery does not say, or names another host."),
    click.option("--ca", type=TEXT_FILE, help="File with certificates of its authorities."),
    click.option("--private/--public", default=None, help="Whether it may be in a private network."),
    click.option("--jobs/--no-jobs", default=None, help="Whether projects may trust its jobs."),
    click.option("--single/--reuse", default=None, help="Whether each token can be exchanged once only."),
    click.option("--direct/--no-direct", default=None, help="Whether its tokens are credentials by themselves."),
    click.option("--job-tokens/--no-job-tokens", default=None, help="Whether GitLab is asked for its CI_JOB_TOKEN."),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """An issuer as it is printed."""

    id: int
    name: str
    kind: str
    url: str
    audience: str

    @classmethod
    def of(cls, issuer: Issuer) -> Listed:
        """What is printed of an issuer."""
        return cls(issuer.id, issuer.name, issuer.kind, issuer.url, issuer.audience)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.group()
def issuer() -> None:
    """Manage issuers of id tokens."""


@issuer.command("create")
@click.argument("name")
@click.option(
    "--kind", required=True, type=click.Choice([kind.value for kind in Kind]), help="Whose claims its tokens have."
)
@click.option("--url", required=True, help="The claim `iss` of its tokens, byte for byte.")
@_with_options
def create_issuer(name: str, kind: str, url: str, **options: Any) -> None:  # noqa: ANN401 - click's own
    """List an issuer and print its id: from now on projects may trust its jobs."""
    told = _told(name=name, **options)
    say(_change(lambda registry, terms: issuers.create(registry, OPERATOR, Kind(kind), url, told, terms)).id)


@issuer.command("update")
@click.argument("name")
@click.option("--name", "new_name", help="What it is to be called.")
@_with_options
def update_issuer(name: str, new_name: str | None, **options: Any) -> None:  # noqa: ANN401 - click's own
    """Change an issuer; what is not named stays as it is."""
    told = _told(name=new_name, **options)
    _change(lambda registry, terms: issuers.update(registry, OPERATOR, name, told, terms))


@issuer.command("delete")
@click.argument("name")
def delete_issuer(name: str) -> None:
    """List an issuer no more; all that it opened is closed from the next request on."""
    _change(lambda registry, _terms: issuers.delete(registry, OPERATOR, name))


@issuer.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_issuers(as_json: bool) -> None:
    """Print the issuers."""
    found = _change(lambda registry, _terms: issuers.page(registry, OPERATOR, PageRequest(per_page=MAX_PER_PAGE)).items)
    print_items(map(Listed.of, found), as_json, lambda each: f"{each.name}\t{each.kind}\t{each.url}\t{each.audience}")


def _told(**options: Any) -> issuers.IssuerFields:  # noqa: ANN401 - as click gives them
    texts = {name: path.read_text() for name in ("jwks", "ca") if (path := options.pop(name)) is not None}
    algorithms = options.pop("algorithms") or None
    return issuers.IssuerFields(**options, **texts, algorithms=algorithms)


def _change(work: Callable[[Registry, issuers.Terms], T]) -> T:
    with opened() as (settings, database, _store):
        terms = _terms(settings)

        def as_operator(registry: Registry) -> T:
            registry.act(OPERATOR)
            return work(registry, terms)

        return database.write_now(as_operator)


def _terms(settings: Settings) -> issuers.Terms:
    return issuers.Terms(settings.external_url, settings.loopback_issuers)
