"""Who asks, where a trusted proxy passes the request on: uvicorn's rules, for addresses in one spelling."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts

from modelyard.addresses import plain


class Forwarded(ProxyHeadersMiddleware):
    """Believes the `X-Forwarded-For` and `-Proto` of proxies: addresses or CIDRs, separated by commas."""

    def __init__(self, app: Any, proxies: str) -> None:  # noqa: ANN401 - two names of an ASGI application
        super().__init__(app, [])
        self.trusted_hosts = _Proxies(proxies)


class _Proxies(_TrustedHosts):
    def _compute_trust(self, host: str) -> bool:
        return super()._compute_trust(plain(host))

    def get_trusted_client_address(self, x_forwarded_for: str) -> tuple[str, int]:
        """The client's address and port, 0 where the proxy does not say."""
        host, port = super().get_trusted_client_address(x_forwarded_for)
        return plain(host), port
