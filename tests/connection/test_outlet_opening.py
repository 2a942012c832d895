"""The way past the transport waits for what the transport still holds, and lets go once."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelyard.connection.http1 import Http1Protocol
from modelyard.connection.outlet import Outlet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the way past the transport is opened on Linux alone")


class Transport:
    """One that holds bytes, and notes the limits that it is given."""

    def __init__(self, own: socket.socket, held: int) -> None:
        self.own, self.held = own, held
        self.limits: list[dict[str, int]] = []

    def get_extra_info(self, _name: str) -> socket.socket:
        return self.own

    def get_write_buffer_size(self) -> int:
        return self.held

    def set_write_buffer_limits(self, **limits: int) -> None:
        self.limits.append(limits)

    def is_closing(self) -> bool:
        return False


def opened(transport: Transport, **cycle: bool) -> Outlet:
    async def drain() -> None:
        transport.held = 0

    flow = SimpleNamespace(drain=drain)
    state = {"disconnected": False, "chunked_encoding": False} | cycle
    connection = cast(Http1Protocol, SimpleNamespace(transport=transport, flow=flow))
    return Outlet(connection, cast(Any, SimpleNamespace(**state)))


@pytest.mark.parametrize("held", [0, 7])
@pytest.mark.parametrize("gone", [False, True])
def test_what_was_written_before_is_on_its_way_first(held: int, gone: bool) -> None:
    with socket.socket() as own:
        transport = Transport(own, held)
        outlet = opened(transport, disconnected=gone)
        assert asyncio.run(outlet.ready()) is not gone
        assert transport.held == 0
        assert transport.limits == ([{"high": 0}, {}] if held else [])
        outlet.close()


def test_its_descriptor_is_closed_once() -> None:
    with socket.socket() as own:
        outlet = opened(Transport(own, 0))
        descriptor = outlet._socket
        outlet.close()
        with Path(os.devnull).open("rb") as other:
            os.dup2(other.fileno(), descriptor)  # the number is another's by now
            outlet.close()
            os.fstat(descriptor)
            if other.fileno() != descriptor:
                os.close(descriptor)
