"""All routes of OAuth."""

from __future__ import annotations

from starlette.routing import BaseRoute

from modelyard.routes.oauth import devices, exchange, metadata, revocation, token

ROUTES: list[BaseRoute] = [
    *token.ROUTES,
    *devices.ROUTES,
    *exchange.ROUTES,
    *revocation.ROUTES,
    *metadata.ROUTES,
]
