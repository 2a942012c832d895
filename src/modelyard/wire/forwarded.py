"""Who asks, where a trusted proxy passes the request on: uvicorn's rules, for addresses in one spelling."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts

from modelyard.terms.addresses import plain

FROM_PROXY = "modelyard.from_proxy"  # the scope's key of whether a trusted proxy sent the request


class Forwarded(ProxyHeadersMiddleware):
    """Believes the `X-Forwarded-For` and `-Proto` of proxies: addresses or CIDRs, separated by commas."""

    def __init__(self, app: Any, proxies: str) -> None:  # noqa: ANN401 - two names of an ASGI application
        super().__init__(app, [])
        self.trusted_hosts = _Proxies(proxies)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as above
        """Hand on one request, and whether a proxy passes it on."""
        client = scope.get("client")
        trusted = client is not None and client[0] in self.trusted_hosts
        scope[FROM_PROXY] = trusted
        await (super().__call__ if trusted else self.app)(scope, receive, send)


class _Proxies(_TrustedHosts):
    def _compute_trust(self, host: str) -> bool:
        return super()._compute_trust(plain(host))

    def get_trusted_client_address(self, x_forwarded_for: str) -> tuple[str, int]:
        """The client's address and port, 0 where the proxy does not say; empty for what is no address, so that the peer
        stays the client.
        """
        host, port = super().get_trusted_client_address(x_forwarded_for)
        # What is no address is not the client's, and would stand in the audit trail, and be counted as a client.
        return (plain(host), port) if _is_address(host) else ("", 0)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
