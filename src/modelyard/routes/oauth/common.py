"""What all routes of OAuth share."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from typing_extensions import TypedDict

from modelyard.errors import UnknownRoute
from modelyard.registry.engine import Database
from modelyard.routes.http.refusals import Message, ParameterError, refusing
from modelyard.routes.http.routing import Face, Route
from modelyard.routes.http.transferred import TEXT_HEADER
from modelyard.services.identity.exchange import Exchange
from modelyard.services.identity.keys import Keys
from modelyard.settings import Settings

TAG = "OAuth"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1
GIVEN: dict[int | str, dict[str, Any]] = {200: {"headers": dict.fromkeys(NO_STORE, TEXT_HEADER)}, **refusing(404)}


class OAuthRefusal(TypedDict):
    """A code, on which clients act, and a sentence (RFC 6749 section 5.2)."""

    error: str
    error_description: str


class OpenRoute(Route):
    """A route of OAuth."""

    face = Face("OAuth", OAuthRefusal | ParameterError, headers=tuple(NO_STORE), strangers=True)


class OAuthRoute(OpenRoute):
    """A route of what issuers are for: without a single one there is nothing there."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await require_issuers(scope)
        await super().handle(scope, receive, send)


class FoundRoute(OAuthRoute):
    """One by which clients find out what the others are; it is none of OAuth's paths, and refuses as all others."""

    face = Face("Found", Message | ParameterError, strangers=True)


async def require_issuers(scope: Scope) -> None:
    """Raise UnknownRoute where there is not a single issuer."""
    database: Database = scope["app"].state.database
    if not await database.read(lambda registry: registry.issuers.any()):
        raise UnknownRoute


def keys_of(app: Starlette) -> Keys:
    """The keys of issuers as this process has them."""
    if not hasattr(app.state, "issuers_keys"):
        app.state.issuers_keys = Keys()
    keys: Keys = app.state.issuers_keys
    return keys


def exchange_of(app: Starlette) -> Exchange:
    """What exchanges id tokens in this process."""
    state = app.state
    if not hasattr(state, "exchange"):
        loopback = state.settings.loopback_issuers
        state.exchange = Exchange(state.database, keys_of(app), state.rows, state.metrics.exchange, loopback=loopback)
    exchange: Exchange = state.exchange
    return exchange


def settings_of(request: Request) -> Settings:
    """The settings of the server."""
    settings: Settings = request.app.state.settings
    return settings
