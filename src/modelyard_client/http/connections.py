"""Connections that stay, each host's by the proxy and with the certificates that the environment has for it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from modelyard_client.errors import UsageMistake

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # as other clients know them; OpenSSL itself knows SSL_CERT_FILE


class Connections:
    """To any hosts, from any number of threads; `most` to each are kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._by_host: dict[tuple[str, str], urllib3.PoolManager] = {}

    def to(self, url: str) -> urllib3.PoolManager:
        """Those by which a URL is asked. Raises UsageMistake for a proxy or certificates that there cannot be."""
        scheme, host = urlsplit(url)[:2]
        with self._lock:
            found = self._by_host.get((scheme, host))
            if found is None:
                found = self._by_host[scheme, host] = self._new(scheme, host)
            return found

    def _new(self, scheme: str, host: str) -> urllib3.PoolManager:
        certificates = _certificates() if scheme == "https" else {}
        proxy = _proxy(scheme, host)
        options: dict[str, Any] = {"maxsize": self._most, "blocksize": 1 << 18, **certificates}
        return urllib3.PoolManager(**options) if proxy is None else _by_proxy(proxy, options)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            for manager in self._by_host.values():
                manager.clear()


def _by_proxy(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    try:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        headers = {}
        if address.username is not None:
            secret = f"{unquote(address.username)}:{unquote(address.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=secret)
        place = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        return urllib3.ProxyManager(place, proxy_headers=headers, **options)
    except (ValueError, HTTPError) as error:
        raise UsageMistake(f"The proxy that the environment names cannot be asked: {error}") from error


def _certificates() -> dict[str, str]:
    """The authorities that vouch for servers, where another file or folder of them is named."""
    name = next((name for name in BUNDLES if os.environ.get(name)), None)
    if name is None:
        return {}
    path = Path(os.environ[name])
    if not path.exists():
        raise UsageMistake(f"{name} names {path}, which is not there")
    return {"ca_cert_dir" if path.is_dir() else "ca_certs": str(path)}


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy to a host, by the variables, and elsewhere than on Linux by the system's settings as well."""
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request  # noqa: PLC0415 - it takes a while

    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    names = (host, urlsplit(f"//{host}").hostname or host)  # `no_proxy` has an IPv6 address with brackets or without
    return None if not proxy or any(map(urllib.request.proxy_bypass, names)) else proxy
