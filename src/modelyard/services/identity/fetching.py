"""What an issuer publishes, fetched without trust: JSON of a bounded size in a bounded time from an allowed address.

The standard library in a thread: nothing that follows redirects, reads proxies' variables or keeps connections.
"""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import ssl
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from modelyard import __version__

SECONDS = 5.0  # for all of it
MAX_BYTES = 256 * 1024
_OK = 200
_USER_AGENT = f"modelyard/{__version__}"
# What clouds tell their machines, secrets included, at addresses that are not link-local.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))  # IPv4 within IPv6 (RFC 6052, RFC 8215)
_PORTS = {"https": 443, "http": 80}
_LOW_BITS = 0xFFFFFFFF
MAX_HOST = 253  # characters
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")  # `urlsplit` has made it lower case
_VISIBLE = re.compile(r"[!-~]*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

Address = IPv4Address | IPv6Address


class FetchFailed(Exception):
    """What keeps a document from being had, in one line for the operator."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a server may be: everywhere on the Internet, and perhaps beyond."""

    private: bool = False  # in private networks too
    loopback: bool = False  # on this machine too, and there over http: for trials and tests


def refuse_url(url: str, reach: Reach) -> str | None:
    """Why nothing may be fetched from a URL; None where it may be, as far as its text tells."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "must be a URL in ASCII"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "must be a URL"
    if not host or port == 0 or not _can_be_host(host):
        return "must name a host that there can be"
    if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
        return "must have neither user, query nor fragment"
    if parts.scheme == "https" or (parts.scheme == "http" and reach.loopback and _names_loopback(host)):
        return None
    return "must begin with https://"


def fetch_json(url: str, reach: Reach, ca: str = "", headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    """The JSON at a URL, whatever it is. Blocks for SECONDS at most, names aside. Raises FetchFailed."""
    status, body = fetch(url, reach, ca, headers)
    if status != _OK:
        raise FetchFailed(f"{url} answers {status}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchFailed(f"{url} is no JSON") from error


def fetch(
    url: str, reach: Reach, ca: str = "", headers: dict[str, str] | None = None, form: bytes | None = None
) -> tuple[int, bytes]:
    """The status and the body of a GET, or of a POST of a form; no redirect leads elsewhere. Raises FetchFailed.

    A URL may have a query here, as endpoints may (RFC 6749 section 3.2), though issuers and their keys may not.
    """
    bare, _sign, query = url.partition("?")
    if fault := refuse_url(bare, reach) or ("" if _VISIBLE.fullmatch(query) else "must have a query in ASCII"):
        raise FetchFailed(f"{bare} {fault}")
    until = time.monotonic() + SECONDS
    parts = urlsplit(url)
    sent = {"Accept": "application/json", "User-Agent": _USER_AGENT} | (headers or {})
    if form is not None:
        sent |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
    try:
        with _connected(parts, reach, ca, until) as connection:
            return _exchanged(connection, parts, sent, until, form)
    except FetchFailed:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchFailed(f"{url} cannot be fetched: {_reason(error)}") from error


def _resolved(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


_opened = socket.create_connection


def _connected(parts: SplitResult, reach: Reach, ca: str, until: float) -> socket.socket:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    found = _resolved(host, port)
    allowed = [target for *_kind, target in found if _allowed(str(target[0]), reach, parts.scheme)]
    if not allowed:
        raise FetchFailed(f"{host} is at no address that may be asked")
    for target in dict.fromkeys(allowed):
        try:
            # The address that was looked at, so that no second answer of the resolver leads elsewhere.
            plain = _opened((str(target[0]), port), _left(until))
            break
        except OSError as error:
            failed = error
    else:
        raise failed
    if parts.scheme != "https":
        return plain
    try:
        return ssl.create_default_context(cadata=ca or None).wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _exchanged(
    connection: socket.socket, parts: SplitResult, headers: dict[str, str], until: float, form: bytes | None
) -> tuple[int, bytes]:
    method = "GET" if form is None else "POST"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.settimeout(_left(until))
    connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + (form or b""))
    with http.client.HTTPResponse(_Timed(connection, until), method=method) as response:  # type: ignore[arg-type]
        response.begin()
        body = response.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise FetchFailed(f"the answer of {parts.netloc} is larger than {MAX_BYTES} bytes")
        return response.status, body


class _Timed:
    """A socket to read from until a moment, however slowly the bytes come."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._raw = _TimedReader(connection, until)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._raw)


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        self._connection.settimeout(_left(self._until))
        return self._connection.recv_into(buffer)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _allowed(text: str, reach: Reach, scheme: str) -> bool:
    address = _meant(ip_address(text.partition("%")[0]))
    if address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA:
        return False
    if address.is_loopback:
        return reach.loopback or (reach.private and scheme == "https")
    if address.is_global:
        return scheme == "https"
    return reach.private and not (isinstance(address, IPv4Address) and address.is_reserved) and scheme == "https"


def _meant(address: Address) -> Address:
    """The IPv4 address that one of IPv6 leads to, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & _LOW_BITS)
    return address.ipv4_mapped or address.sixtofour or address


def _names_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _can_be_host(host: str) -> bool:
    """Whether a host is an address, or a name as DNS has them (RFC 1123 section 2.1, RFC 1034 section 3.1).

    What ends in a number is an address or nothing, as browsers have it too: resolvers take `1` and `0x7f.1` for ones.
    """
    labels = host.removesuffix(".").split(".")
    if ":" in host or _NUMBER.fullmatch(labels[-1]):
        try:
            ip_address(host)
        except ValueError:
            return False
        return "%" not in host
    return len(host) <= MAX_HOST and all(_LABEL.fullmatch(label) for label in labels)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).partition("\n")[0]
