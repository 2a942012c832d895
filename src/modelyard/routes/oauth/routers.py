"""All routes of OAuth."""

from __future__ import annotations

from starlette.routing import BaseRoute

from modelyard.routes.oauth import devices, metadata, minting, revocation, token

_ROUTERS = (
    token.router,
    devices.router,
    devices.beside,
    minting.router,
    minting.found,
    revocation.router,
    metadata.router,
)
ROUTES: list[BaseRoute] = [route for router in _ROUTERS for route in router.routes]
