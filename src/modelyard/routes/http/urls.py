"""Absolute URLs, as the client sees the server."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from fastapi import Request

from modelyard.settings import Settings
from modelyard.terms.addresses import in_url


def base_url(request: Request) -> str:
    """Scheme, host and port of the server without a trailing slash: the external URL, else what the request says."""
    settings: Settings = request.app.state.settings
    return settings.external_url or _called_url(request)


def own_names(request: Request) -> list[str]:
    """The URLs by which a client may know the server: the external one, and what this request says."""
    settings: Settings = request.app.state.settings
    external, called = settings.external_url, _called_url(request)
    return [called, external, called + urlsplit(external).path] if external else [called]


def own_url(request: Request) -> str:
    """The absolute URL of the request itself, without its query."""
    return base_url(request) + quote(request.scope["path"].encode("latin-1"), safe="/%:@!$&'()*+,;=~-._")


def _called_url(request: Request) -> str:
    """What the request says that the server is called."""
    return f"{request.scope['scheme']}://{request.headers.get('host') or _own_host(request)}"


def _own_host(request: Request) -> str:
    """Where the request arrived, for HTTP/1.0 without `Host`."""
    host, port = request.scope["server"]
    return f"{in_url(host)}:{port}"
