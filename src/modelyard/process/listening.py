"""The address of the server, which nobody else can take from before the start until the last worker has left it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from modelyard.errors import CommandError
from modelyard.terms.addresses import in_url

_ANY_IPV6 = "::"
_TRIES = 8
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def claim(host: str, port: int) -> list[socket.socket]:
    """Sockets on all addresses that a host stands for, none of which listens; port 0 becomes one that is free.

    `::` stands for every address of IPv4 as well, whatever the system's default is (RFC 3493 section 5.3). Of a name's
    addresses, those that this machine does not have are left out. Raises CommandError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = list(dict.fromkeys((family, address) for family, *_, address in found))
        for _ in range(0 if port else _TRIES):  # a port that is free at the first address may be taken at another
            try:
                return _claim_all(addresses, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        return _claim_all(addresses, port)
    except (OSError, UnicodeError) as error:  # the latter of a name that IDNA does not allow
        reason = error.strerror if isinstance(error, OSError) else "it is no name of a host"
        raise CommandError(f"cannot listen on {in_url(host)}:{port}: {reason}") from error


def freed(claims: list[socket.socket]) -> list[socket.socket]:
    """The claims, so that what comes of them does not keep the next start from its address: as they are to listen."""
    for each in claims:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return claims


def shared(claims: list[socket.socket]) -> list[socket.socket]:
    """Claims beside which this user may bind more sockets (`share`), in place of others."""
    beside = [share(each) for each in freed(claims)]
    close(claims)
    for each in beside:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return beside


def share(other: socket.socket) -> socket.socket:
    """One more socket on an address, among which the kernel spreads the connections as soon as they listen."""
    own = _socket(other.family, _takes_ipv4(other))
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.bind(other.getsockname())
    return own


def close(sockets: Sequence[socket.socket]) -> None:
    """Close all."""
    for each in sockets:
        each.close()


def _claim_all(addresses: Sequence[tuple[int, tuple[Any, ...]]], port: int) -> list[socket.socket]:
    """Sockets on those of the addresses that this machine has; OSError if it has none of them, or one is taken."""
    claimed: list[socket.socket] = []
    absent: OSError | None = None
    for family, address in addresses:
        chosen = claimed[0].getsockname()[1] if claimed else port
        both = address[0] == _ANY_IPV6 and len(addresses) == 1  # `*` stands for 0.0.0.0 as well
        try:
            claimed.append(_claim(family, (address[0], chosen, *address[2:]), both))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                close(claimed)
                raise
            absent = error
    if absent and not claimed:
        raise absent
    return claimed


def _claim(family: int, address: tuple[object, ...], takes_ipv4: bool) -> socket.socket:
    claimed = _socket(family, takes_ipv4)
    try:
        claimed.bind(address)
    except OSError:
        claimed.close()
        raise
    # With it, anybody else could bind the address too for as long as nobody listens.
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return claimed


def _socket(family: int, takes_ipv4: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not takes_ipv4)
    return made


def _takes_ipv4(own: socket.socket) -> bool:
    return own.family == socket.AF_INET6 and not own.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
