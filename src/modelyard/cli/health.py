"""`health`, which container engines run every few seconds: it imports little."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException

import click

from modelyard.errors import CommandError
from modelyard.settings import load_settings
from modelyard.terms.addresses import in_url, reachable
from modelyard.terms.paths import HEALTH

TIMEOUT_SECONDS = 4.0


@click.command()
@click.option("--host", help="Address that the server listens on.")
@click.option("--port", type=int, help="TCP port that it listens on.")
def health(host: str | None, port: int | None) -> None:
    """Ask the server of these settings whether it answers, past any proxy; exit 1 when it does not."""
    settings = load_settings(host=host, port=port)
    click.echo(_answer(reachable(settings.host), settings.port))


def _answer(host: str, port: int) -> str:
    """What the server says of itself. Raises CommandError where that is not that all is well."""
    url = f"http://{in_url(host)}:{port}{HEALTH}"
    connection = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", HEALTH)
        answer = connection.getresponse()
        text = answer.read(1000).decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        raise CommandError(f"no answer from {url}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own, without its import
        raise CommandError(f"{url} answers {answer.status}: {text}")
    return text
