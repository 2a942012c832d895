"""What coverage need not trace: pytest, and a test's own client and servers, which run no line of what is measured.

To trace a call takes as long again as the call, whosever it is, and a client makes some hundred for each request.
"""

from __future__ import annotations

import socketserver
import sys
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import httpx2
import pytest

P = ParamSpec("P")
T = TypeVar("T")
Tracer = Any  # what typeshed calls TraceFunction | None, and has for itself


def untraced(call: Callable[P, T]) -> Callable[P, T]:
    """The same, of which this thread's tracer sees nothing; it goes on where it was."""

    @wraps(call)
    def unseen(*args: P.args, **options: P.kwargs) -> T:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return call(*args, **options)
        finally:
            sys.settrace(tracer)

    return unseen


def trace_no_clients_and_servers_of_tests() -> None:
    """Leave out httpx2's clients, and what servers of tests do with a connection: in moto's it is the most."""
    for owner, name in (
        (httpx2.Client, "__init__"),
        (httpx2.Client, "request"),
        (httpx2.Client, "send"),
        (socketserver.ThreadingMixIn, "process_request_thread"),
    ):
        setattr(owner, name, untraced(getattr(owner, name)))


class TracesTestsAlone:
    """A plugin by which this thread's tracer sees what tests and fixtures do, and nothing of pytest between them."""

    def __init__(self) -> None:
        self._tracer: Tracer = sys.gettrace()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        return (yield from _traced_by(None))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        return (yield from _traced_by(self._tracer))

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, object, object]:
        return (yield from _traced_by(self._tracer))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from _traced_by(self._tracer))


def _traced_by(tracer: Tracer) -> Generator[None, object, object]:
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return (yield)
    finally:
        sys.settrace(before)
