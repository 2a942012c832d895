"""Addresses of clients and servers, each in one spelling.

A socket for IPv6 that takes IPv4 as well calls an IPv4 peer `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), and so do
proxies that listen so. Networks, limits, logs and the audit trail know it as `a.b.c.d`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_MAPPED_BITS = 96
_EVERYWHERE = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - no socket is bound to them here


def plain(address: str) -> str:
    """The address, as IPv4 where it is one within IPv6; whatever is no address stays as it is."""
    if ":" not in address:
        return address
    try:
        found = ip_address(address)
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return address if mapped is None else str(mapped)


def plain_network(network: str) -> str:
    """A CIDR or an address, as IPv4 where it is one within IPv6. Raises ValueError where it is neither."""
    found = ip_network(network)
    first = found.network_address
    mapped: IPv4Address | None = first.ipv4_mapped if isinstance(first, IPv6Address) else None
    return network if mapped is None else f"{mapped}/{found.prefixlen - _MAPPED_BITS}"


def in_url(host: str) -> str:
    """A host as a URL has it: an IPv6 address in brackets, the name of its zone escaped (RFC 6874)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def reachable(host: str) -> str:
    """The address at which this machine finds a server that listens on `host`."""
    return "127.0.0.1" if host in _EVERYWHERE else host
