"""Which addresses a host stands for, how addresses are spelt, and that nobody else gets what is claimed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from modelyard.errors import CommandError
from modelyard.process import listening
from modelyard.terms.addresses import in_url, plain, plain_network
from tests.ports import free_port
from tests.sockets import IPV6


@contextmanager
def claimed(host: str, port: int = 0) -> Iterator[list[socket.socket]]:
    claims = listening.claim(host, port)
    try:
        yield claims
    finally:
        listening.close(claims)


@contextmanager
def nobody_else(address: str, port: int) -> Iterator[None]:
    """No other program listens there meanwhile, or EADDRINUSE."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as held:
        held.bind((address, port))
        yield


def claimed_alone(stack: ExitStack, host: str, elsewhere: list[str]) -> list[socket.socket]:
    """Claims of a port at which, for as long as the stack stands, nobody is reached at the other addresses either."""
    while True:
        claims = listening.claim(host, 0)
        try:
            with ExitStack() as held:
                for address in elsewhere:
                    held.enter_context(nobody_else(address, claims[0].getsockname()[1]))
                stack.push(held.pop_all())
                return claims
        except OSError:  # a port of IPv4 that is free may be another program's of IPv6
            listening.close(claims)


def reached(claims: list[socket.socket], address: str) -> bool:
    """Whether a connection to the address arrives."""
    try:
        with socket.create_connection((address, claims[0].getsockname()[1]), timeout=5):
            return True
    except OSError:
        return False


@IPV6
@pytest.mark.parametrize(
    ("host", "over_ipv4", "over_ipv6"),
    [
        ("::", True, True),
        ("0:0:0:0:0:0:0:0", True, True),
        ("*", True, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", True, False),
        ("::1", False, True),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_a_host_stands_for_the_same_addresses_whoever_listens(
    host: str, over_ipv4: bool, over_ipv6: bool, several: bool
) -> None:
    with ExitStack() as stack:
        over = {"127.0.0.1": over_ipv4, "::1": over_ipv6}
        claims = claimed_alone(stack, host, [address for address, taken in over.items() if not taken])
        if several:
            claims = listening.shared(claims)
            claims += [listening.share(each) for each in claims]
        for each in claims:
            stack.enter_context(each)
        assert len({each.getsockname()[1] for each in claims}) == 1
        assert not reached(claims, "127.0.0.1")  # before anybody listens
        for each in claims:
            each.listen()
        assert {address: reached(claims, address) for address in over} == over


def test_what_is_claimed_is_nobody_elses() -> None:
    with claimed("127.0.0.1") as claims:
        port = claims[0].getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0", "localhost"):
            with pytest.raises(CommandError, match=rf"cannot listen on {host}:{port}: Address already in use"):
                listening.claim(host, port)
        with closing(listening.shared(claims)[0]), pytest.raises(CommandError, match="in use"):
            listening.claim("127.0.0.1", port)


def test_connections_that_have_just_ended_do_not_hold_the_address() -> None:
    port = free_port()
    for _ in range(2):
        with claimed("127.0.0.1", port) as claims:
            listening.freed(claims)[0].listen()
            with socket.create_connection(("127.0.0.1", port)) as client:
                served, _ = claims[0].accept()
                served.close()  # first, so that it is this end that lingers
                assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("a..b", "it is no name of a host"),
        ("a" * 80, "it is no name of a host"),
        ("nowhere.invalid", "[Nn]ame"),
        ("192.0.2.1", "Cannot assign requested address"),
        pytest.param("2001:db8::1", "Cannot assign requested address", marks=IPV6),
    ],
)
def test_a_host_that_cannot_be_listened_on_is_named_in_one_line(host: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as refusal:
        listening.claim(host, 81)
    assert str(refusal.value).startswith(f"cannot listen on {in_url(host)}:81: ")
    assert "\n" not in str(refusal.value)


def test_of_several_addresses_those_that_are_not_here_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `localhost` has one for IPv6 in the files of machines without it."""

    def found(*_arguments: object, **_options: object) -> list[object]:
        addresses = ("192.0.2.1", "127.0.0.1", "127.0.0.1", "127.0.0.2")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with claimed("several") as claims:
        assert [each.getsockname()[0] for each in claims] == ["127.0.0.1", "127.0.0.2"]
        assert len({each.getsockname()[1] for each in claims}) == 1


@pytest.mark.parametrize(("port", "times"), [(0, 1), (0, 99), (1, 1)])
def test_a_port_that_the_system_chose_is_free_at_all_addresses(
    monkeypatch: pytest.MonkeyPatch, port: int, times: int
) -> None:
    """Another program has the port that was free at the first address: that one is chosen anew, a given one is not."""
    own = listening._claim
    taken: list[socket.socket] = []

    def found(*_arguments: object, **_options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, given)) for each in ("127.0.0.1", "127.0.0.2")]

    def raced(family: int, address: tuple[Any, ...], takes_ipv4: bool) -> socket.socket:
        if address[0] == "127.0.0.2" and len(taken) < times:
            taken.append(stack.enter_context(socket.socket()))
            taken[-1].bind(address)
        return own(family, address, takes_ipv4)

    given = port and free_port()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(listening, "_claim", raced)
    with ExitStack() as stack:
        if given or times > 1:
            with pytest.raises(CommandError, match=f"cannot listen on several:{given}: Address already in use"):
                listening.claim("several", given)
        else:
            with claimed("several") as claims:
                assert [each.getsockname()[0] for each in claims] == ["127.0.0.1", "127.0.0.2"]
                assert len({each.getsockname()[1] for each in claims}) == 1
        assert len(taken) == (1 if given else min(times, listening._TRIES + 1))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("unknown", "unknown"),
        ("::ffff:999.0.2.1", "::ffff:999.0.2.1"),
        ("", ""),
    ],
)
def test_an_address_has_one_spelling(address: str, expected: str) -> None:
    assert plain(address) == expected


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_spelling(network: str, expected: str) -> None:
    assert plain_network(network) == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("::", "[::]"), ("fe80::1%eth0", "[fe80::1%25eth0]"), ("a.example.com", "a.example.com")]
)
def test_a_url_has_addresses_of_ipv6_in_brackets(host: str, expected: str) -> None:
    assert in_url(host) == expected
