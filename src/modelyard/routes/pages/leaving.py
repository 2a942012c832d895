"""The way to a provider and back: what pages for that share.

Whoever has sent a form is led to another host by a page of its own: our Content-Security-Policy lets no form be sent
elsewhere, and browsers hold redirects of its answer to that as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import Unavailable
from modelyard.registry.repository import Registry
from modelyard.routes.http.urls import base_url
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.visit import Visit
from modelyard.services.identity.fetching import FetchFailed
from modelyard.services.identity.keys import Keys
from modelyard.services.identity.relying import Relying, end_session_url
from modelyard.settings import Settings

log = structlog.get_logger()


def relying_of(request: Request) -> Relying:
    """What asks providers in this process."""
    state = request.app.state
    if not hasattr(state, "relying"):
        state.relying = Relying(Keys(), loopback=state.settings.loopback_issuers)
    found: Relying = state.relying
    return found


def own_base(request: Request) -> str:
    """The server's URL as its settings have it, and never as a request does; but for trials with a local provider.

    Raises Unavailable where it is not set.
    """
    settings: Settings = request.app.state.settings
    if settings.external_url is None and not settings.loopback_issuers:
        raise Unavailable("MODELYARD_EXTERNAL_URL is not set, to which providers send people back")
    return base_url(request)


async def sign_out_url(visit: Visit, token_id: int | None) -> tuple[str, str] | None:
    """Where a session that was begun at a provider is ended there, and what that is called; None for any other."""
    request = visit.request
    database = request.app.state.database
    found = await database.read(lambda registry: registry.sign_on.session_of(token_id or -1))
    if found is None:
        return None
    session, provider, issuer = found
    try:
        base = own_base(request)
        asked = await relying_of(request).ask((provider, issuer))
    except (FetchFailed, Unavailable) as error:
        log.warning("a provider cannot be asked where to sign out", provider=provider.name, error=str(error))
        return None
    url = end_session_url(asked, session.id_token, f"{base}/")
    return (url, provider.label) if url is not None else None


async def lead(visit: Visit, url: str, label: str, said: str) -> Response:
    """A page that goes on to another host by itself, and says where to."""

    def view(_registry: Registry, _caller: Identity) -> View:
        return View([said], {"url": url, "label": label, "said": said, "host": urlsplit(url).netloc})

    return await visit.show("leaving.html", view, no_store=True)
