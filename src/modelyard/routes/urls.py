"""Absolute URLs, as the client sees the server."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request

from modelyard.addresses import in_url
from modelyard.settings import Settings


def base_url(request: Request) -> str:
    """Scheme, host and port of the server without a trailing slash: the external URL, else what the request says."""
    settings: Settings = request.app.state.settings
    return settings.external_url or f"{request.scope['scheme']}://{request.headers.get('host') or _own_host(request)}"


def own_url(request: Request) -> str:
    """The absolute URL of the request itself, without its query."""
    return base_url(request) + quote(request.scope["path"].encode("latin-1"), safe="/%:@!$&'()*+,;=~-._")


def _own_host(request: Request) -> str:
    """Where the request arrived, for HTTP/1.0 without `Host`."""
    host, port = request.scope["server"]
    return f"{in_url(host)}:{port}"
