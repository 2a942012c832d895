"""Absolute URLs, as the client sees the server."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request

from modelyard.settings import Settings


def base_url(request: Request) -> str:
    """Scheme, host and port of the server without a trailing slash: the external URL, else what the request says."""
    settings: Settings = request.app.state.settings
    host = request.headers.get("host")  # asked first: Starlette takes the whole URL apart for its parts
    return settings.external_url or f"{request.scope['scheme']}://{host or request.url.netloc}"


def own_url(request: Request) -> str:
    """The absolute URL of the request itself, without its query."""
    return base_url(request) + quote(request.scope["path"].encode("latin-1"), safe="/%:@!$&'()*+,;=~-._")
