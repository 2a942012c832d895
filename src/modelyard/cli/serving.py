"""`serve` and `migrate`."""

from __future__ import annotations

import gc
import socket

import click

from modelyard import __version__, logs
from modelyard.blobs.open import open_store
from modelyard.errors import CommandError
from modelyard.services.setup import prepare
from modelyard.settings import Settings, load_settings


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="TCP port to listen on.")
@click.option("--workers", type=int, help="Server processes.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Migrate the database, then serve; the first start makes the administrator `root`."""
    gc.disable()  # a start makes no garbage, and looking for it took a sixth of the time; the server enables it
    from modelyard.server import serve as run  # noqa: PLC0415 - no other command needs the web stack

    settings = load_settings(host=host, port=port, workers=workers)
    logs.configure(settings.log_level, settings.log_format)
    open_store(settings)  # or say here, in one line, why there is none
    _try_to_listen(settings)
    prepare(settings)
    click.echo(f"modelyard {__version__} serves on http://{settings.host}:{settings.port}")
    if settings.root_token_path.exists():
        click.echo(f"The administrator's first token is in {settings.root_token_path.absolute()}")
    run(settings)


def _try_to_listen(settings: Settings) -> None:
    """Raise CommandError where the address is taken, or is none of this machine's, before anything is announced."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _name, address in found[:1]:
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself will
                listener.bind(address)
    except OSError as error:
        raise CommandError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from error


@click.command()
def migrate() -> None:
    """Migrate the database and exit."""
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    prepare(settings)
