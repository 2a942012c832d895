"""Writes on threads: each waits for one of the few that write, and brief ones may share a commit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Protocol, TypeVar

from modelyard.hops import Reply
from modelyard.registry.backends.base import Backend
from modelyard.registry.groups import Member, commit_together, taken
from modelyard.registry.repository import Registry
from modelyard.registry.usage import Usage

T = TypeVar("T")


class Transact(Protocol):
    """Runs a unit of work in a transaction of its own, again where another one thwarted it."""

    def __call__(self, work: Callable[[Registry], T], /) -> T:
        """What the work returns, once that is committed."""
        ...


def _nothing() -> None:
    pass


class Writes:
    """The threads that write, and who waits for them. `observe` is told of each write that was awaited, in seconds."""

    def __init__(
        self, backend: Backend, usage: Usage, transact: Transact, observe: Callable[[str, float], None]
    ) -> None:
        self._backend = backend
        self._usage = usage
        self._transact = transact
        self._observe = observe
        self._threads = ThreadPoolExecutor(backend.writer_threads, "registry-write")
        self._waiting = deque[Member[Any]]()  # to share a commit

    async def write(self, work: Callable[[Registry], T], *, brief: bool) -> T:
        """See `Database.write`."""
        # Log lines keep their request id in the other thread.
        reply, context, begun = Reply[T](), copy_context(), time.perf_counter()
        try:
            self._queue(reply, context, work, brief=brief)
            return await reply.awaited
        finally:
            self._observe("write", time.perf_counter() - begun)

    async def write_after(
        self, executor: Executor, prepare: Callable[[], Callable[[Registry], T]], kept: Callable[[], None]
    ) -> T:
        """See `Database.write_after`."""
        reply, context, queued = Reply[T](), copy_context(), list[float]()

        def queue() -> None:
            if reply.is_unwanted:
                return
            try:
                work = context.run(prepare)
                queued.append(time.perf_counter())
                self._queue(reply, context, work, brief=True, kept=kept)
            except BaseException as error:
                reply.fail(error)

        try:
            executor.submit(queue)
            return await reply.awaited
        finally:
            if queued:
                self._observe("write", time.perf_counter() - queued[0])

    def close(self) -> None:
        """Let those that wait end."""
        self._threads.shutdown()

    def _queue(
        self,
        reply: Reply[T],
        context: Context,
        work: Callable[[Registry], T],
        *,
        brief: bool,
        kept: Callable[[], None] = _nothing,
    ) -> None:
        """Have a thread do it, from whichever thread this is."""
        queued = time.monotonic()

        def alone() -> T:
            self._backend.refuse_late(time.monotonic() - queued)
            result = self._transact(work)
            kept()
            return result

        if brief and self._backend.one_writer:
            self._waiting.append(Member(work, alone, context, reply, kept))
            self._threads.submit(self._write_together)
        else:
            self._threads.submit(reply.tell, partial(context.run, alone))

    def _write_together(self) -> None:
        """Commit all that have come by now and may share a commit; nothing, if those before have done so."""
        members = taken(self._waiting)
        if len(members) > 1:
            with self._backend.turn():
                commit_together(members, self._backend.writer.begin(), self._usage)
        for member in members:
            member.settle()
