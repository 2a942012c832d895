"""The commands. Results go to standard output, errors to standard error in one line without a traceback."""

from __future__ import annotations

import dataclasses
import gc as collector
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TypeVar

import click
import structlog
from sqlalchemy.exc import DatabaseError, OperationalError

from modelyard import __version__, logs
from modelyard.access.identity import OPERATOR
from modelyard.amounts import BYTES, SECONDS
from modelyard.blobs.open import open_store
from modelyard.blobs.store import BlobError, BlobStore
from modelyard.clock import now
from modelyard.errors import ApiError
from modelyard.registry.backends import TurnTaken
from modelyard.registry.dialects import is_damaged
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.revisions import NewerDatabase, is_current
from modelyard.services import accounts, audit, copying, credentials, projects, results, upkeep
from modelyard.services.copying import Copy
from modelyard.services.pace import Pace
from modelyard.services.setup import prepare
from modelyard.settings import Settings, SettingsError, load_settings

T = TypeVar("T")

log = structlog.get_logger()


class Busy(click.ClickException):
    """The same work is going on already."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, only not now


@click.group()
@click.version_option(__version__, prog_name="modelyard")
def cli() -> None:
    """A self-hosted model registry that speaks GitLab's model registry API."""


@cli.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="TCP port to listen on.")
@click.option("--workers", type=int, help="Server processes.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Migrate the database, then serve; the first start makes the administrator `root`."""
    collector.disable()  # a start makes no garbage, and looking for it took a sixth of the time; the server enables it
    from modelyard.server import serve as run  # noqa: PLC0415 - no other command needs the web stack

    settings = load_settings(host=host, port=port, workers=workers)
    logs.configure(settings.log_level, settings.log_format)
    open_store(settings)  # or say here, in one line, why there is none
    prepare(settings)
    click.echo(f"modelyard {__version__} serves on http://{settings.host}:{settings.port}")
    if settings.root_token_path.exists():
        click.echo(f"The administrator's first token is in {settings.root_token_path.absolute()}")
    run(settings)


@cli.command()
def migrate() -> None:
    """Migrate the database and exit."""
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    prepare(settings)


@cli.group()
def user() -> None:
    """Manage accounts."""


@user.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Let the user administer everything.")
def create_user(name: str, admin: bool) -> None:
    """Make a user and print the new id."""
    click.echo(_change(lambda registry: accounts.create(registry, OPERATOR, accounts.NewUser(name, admin=admin)).id))


@cli.group()
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
    click.echo(_change(lambda registry: projects.create(registry, OPERATOR, new)[0].id))


@cli.group()
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
    click.echo(_change(lambda registry: credentials.create_personal(registry, OPERATOR, username, wanted)[1]))


@cli.command()
@click.option("--read", is_flag=True, help="Read and hash every blob again.")
@click.option("--max-rate", type=BYTES, help="Bytes that are read in a second at most, such as 50M.")
@click.option("--max-time", type=SECONDS, help="Stop after this time, such as 2h; the next run with it goes on there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(read: bool, max_rate: int | None, max_time: int | None, as_json: bool) -> None:
    """Compare database and blob store; exit 0 when all is well, 1 with a list otherwise, 75 if a check is running.

    Each fault is a log line as well, and the result is told by the server's metrics.
    """
    if (max_rate or max_time) and not read:
        raise click.UsageError("--max-rate and --max-time go with --read")
    task, started_at = results.SCRUB if read else results.CHECK, now()
    with _opened() as (_settings, database, store), _alone(database, "check"):
        progress = upkeep.Progress(results.stopped_at(database, task) if max_time else "")
        pace = Pace(max_rate, max_time)
        findings: list[upkeep.Finding | upkeep.Miscount] = []
        findings += map(_logged, upkeep.check(database, store, read=read, pace=pace, progress=progress))
        findings += map(_logged, upkeep.check_counts(database))
        results.keep(database, task, started_at, len(findings), progress)
    if read:
        log.info("scrub finished", faults=len(findings), bytes=progress.size, complete=progress.complete)
    _print(findings, as_json, str)
    if findings:
        sys.exit(1)


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gc(dry_run: bool, as_json: bool) -> None:
    """Remove what nothing refers to and is older than the grace period; safe beside a running server.

    Events of the audit trail go as well when they have been kept for long enough. Exit 75 if a gc is running already,
    on this machine or another.
    """
    with _opened() as (settings, database, store), _alone(database, "gc"):
        started_at = now()
        garbage = list(upkeep.collect(database, store, grace=settings.gc_grace, dry_run=dry_run))
        if not dry_run:
            if forgotten := audit.prune(database, settings.audit_days):
                log.info("audit events forgotten", count=forgotten, days=settings.audit_days)
            results.keep(database, results.GC, started_at, len(garbage), upkeep.collected(garbage))
    _print(garbage, as_json, lambda g: f"{g.kind}\t{g.name}\t{g.size} bytes")


@cli.command("copy-blobs")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def copy_blobs(source: str, target: str, as_json: bool) -> None:
    """Copy and verify every blob that is not there yet; FROM and TO are file:///path or s3://bucket/prefix.

    May be run beside a server, and again until nothing is left to copy; exit 1 when a blob is damaged.
    """
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    copies: list[Copy] = []

    def noted() -> Iterator[Copy]:
        for copy in copying.copy_blobs(open_store(settings, source), open_store(settings, target)):
            copies.append(copy)
            yield copy

    _print(noted(), as_json, lambda c: f"{c.outcome}\t{c.sha256}\t{c.size} bytes")
    if any(copy.outcome != "copied" for copy in copies):
        sys.exit(1)


@contextmanager
def _opened() -> Iterator[tuple[Settings, Database, BlobStore]]:
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    database = Database(settings.effective_database_url)
    try:
        if not is_current(database.engine):
            raise click.ClickException("the database is not migrated; run `modelyard migrate` first")
        yield settings, database, open_store(settings)
    finally:
        database.close()


@contextmanager
def _alone(database: Database, work: str) -> Iterator[None]:
    try:
        with database.alone(work):
            yield
    except TurnTaken as error:
        raise Busy(f"a {work} of this registry is running already") from error


def _change(work: Callable[[Registry], T]) -> T:
    def as_operator(registry: Registry) -> T:
        registry.act(OPERATOR)
        return work(registry)

    with _opened() as (_settings, database, _store):
        return database.write_now(as_operator)


def _logged(found: upkeep.Finding | upkeep.Miscount) -> upkeep.Finding | upkeep.Miscount:
    log.error(found.EVENT, advice=found.ADVICE, **dataclasses.asdict(found))
    return found


def _print(items: Iterable[object], as_json: bool, line: Callable[..., str]) -> None:
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(item) for item in items]))  # type: ignore[call-overload]
        return
    for item in items:
        click.echo(line(item))


def main() -> None:
    """The console script: a mistake is one line on standard error and exit status 2 for bad settings, else 1."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        sys.exit(130)
    except SettingsError as error:
        _fail(str(error), 2)
    except ApiError as error:
        _fail(json.dumps(error.body.get("message", error.body.get("error"))).strip('"'), 1)
    except (BlobError, NewerDatabase, OSError) as error:
        _fail(str(error), 1)
    except DatabaseError as error:
        if not isinstance(error, OperationalError) and not is_damaged(error):
            raise
        _fail(f"database: {str(error.orig).partition(chr(10))[0]}", 1)


def _fail(sentence: str, status: int) -> None:
    click.echo(f"modelyard: {sentence}", err=True)
    sys.exit(status)
