"""`serve` and `migrate`."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress

import click
from pydantic import BaseModel

from modelyard import __version__, logs
from modelyard.blobs.open import open_store
from modelyard.process import listening
from modelyard.process.aside import aside
from modelyard.services.people import setup
from modelyard.settings import load_settings
from modelyard.terms.addresses import in_url, reachable


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="TCP port to listen on.")
@click.option("--workers", type=int, help="Server processes.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Migrate the database, then serve; the first start makes the administrator `root`."""
    gc.disable()  # for the rest of the start as for its imports; the server enables it
    # FastAPI has forty models of OpenAPI, which are built when the document is first asked for: 25 ms of a start.
    BaseModel.model_config["defer_build"] = True
    from modelyard.process.server import serve as run  # noqa: PLC0415 - no other command needs the web stack

    settings = load_settings(host=host, port=port, workers=workers)
    logs.configure(settings.log_level, settings.log_format)
    open_store(settings)  # or say here, in one line, why there is none
    claims = listening.claim(settings.host, settings.port)
    setup.prepare(settings, run=aside)
    with suppress(OSError):  # where this is written there is no room, say: that stops no server
        address = claims[0].getsockname()
        host = in_url(address[0] if settings.host == "*" else settings.host)
        url = f"http://{host}:{address[1]}"
        click.echo(f"modelyard {__version__} serves on {url}")
        if settings.root_token_path.exists():
            click.echo(f"The administrator's first token is in {settings.root_token_path}")
        own = f"http://{in_url(reachable(str(address[0])))}:{address[1]}"
        if settings.pages and sys.stdout.isatty() and (link := setup.sign_in_link(settings, own)):
            click.echo(f"Open this once, within ten minutes, to be signed in as {link.username}: {link.url}")
    run(settings, claims)


@click.command()
def migrate() -> None:
    """Migrate the database and exit."""
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    setup.prepare(settings)
