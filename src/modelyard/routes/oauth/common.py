"""What all routes of OAuth share."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from modelyard.errors import UnknownRoute
from modelyard.registry.engine import Database
from modelyard.services.identity.exchange import Exchange
from modelyard.services.identity.keys import Keys
from modelyard.settings import Settings


class OpenRoute(Route):
    """A route by whose path its requests are counted."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["route_template"] = self.path
        await super().handle(scope, receive, send)


class OAuthRoute(OpenRoute):
    """A route of what issuers are for: without a single one there is nothing there."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await require_issuers(scope)
        await super().handle(scope, receive, send)


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
