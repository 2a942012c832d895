"""A process that has imported the command `modelyard`, and forks itself for each start that it is asked for.

A start takes 0.1 s of processor that way, and by itself a second. What runs in a fork is the console script, with
arguments, variables, folder, standard streams and mask of its own, to an end of its own; its parent is the process that
asked. The module is run as a program by `tests.commands`.

A server of several processes starts each of them anew with `multiprocessing`, which is a second and more again. Beside
such a server is another process like this one, forked before the server itself began, and they are forks of that.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import inspect
import os
import pickle
import runpy
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fcntl import F_DUPFD, fcntl
from importlib import import_module
from multiprocessing import util
from pathlib import Path

import coverage

from modelyard.cli.entry import COMMANDS

MESSAGE_BYTES = 1024 * 1024
STREAMS = (0, 1, 2)
MOST_DESCRIPTORS = 64
SPAWNED = "spawn_main"  # what a process of several is called, as its command line has it where it begins by itself
_FORKS = "--multiprocessing-fork"  # how multiprocessing marks a command
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
# What commands import as they need it.
MODULES = (
    *(f"modelyard.cli.{place.partition(':')[0]}" for place in COMMANDS.values()),
    "modelyard.process.server",
    "modelyard.process.mistakes",
    "modelyard.registry.schema",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
    "boto3",
)


@dataclass(frozen=True)
class Start:
    """What a process is to begin with, beside its open files."""

    command: Sequence[str]
    folder: str
    variables: dict[str, str]
    umask: int
    new_session: bool
    descriptors: Sequence[int] = STREAMS  # which numbers the open files have

    def run(self, received: Sequence[int]) -> None:
        """Become the command; this ends as the command does."""
        self._take(received)
        if self.new_session:
            os.setsid()
        os.umask(self.umask)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.variables)
        tempfile.tempdir = None  # it is looked up once, by the variables
        if "--workers" in self.command:
            util.spawnv_passfds = _Nursery()  # type: ignore[assignment] # it takes what is given here
        coverage.process_startup(force=True)  # if the variables ask for it
        if self.command[-1] == _FORKS:
            _prctl(_PR_SET_NAME, SPAWNED.encode())
            sys.argv = ["-c", _FORKS]
            exec(self.command[self.command.index("-c") + 1], {})
        sys.argv = list(self.command)
        sys.path[0] = os.path.dirname(self.command[0])
        runpy.run_path(self.command[0], run_name="__main__")

    def _take(self, received: Sequence[int]) -> None:
        """Give the open files their numbers, and close all others."""
        above = max(*self.descriptors, *received) + 1
        for number, each in zip(self.descriptors, [fcntl(each, F_DUPFD, above) for each in received], strict=True):
            os.dup2(each, number)
        for number in set(map(int, os.listdir("/proc/self/fd"))) - set(self.descriptors):
            with suppress(OSError):  # what has listed them
                os.close(number)


def forked(channel: socket.socket) -> tuple[Start, Sequence[int]] | None:
    """What to run, in a fork of its own each time it is asked for; None in the process itself, when nobody can ask."""
    while True:
        message, received, _flags, _address = socket.recv_fds(channel, MESSAGE_BYTES, MOST_DESCRIPTORS)
        if not message:
            return None
        told, telling = os.pipe()
        between = os.fork()
        if between == 0:
            started = os.fork()
            if started == 0:
                for each in (told, telling):
                    os.close(each)
                channel.close()
                return pickle.loads(message), received
            os.write(telling, str(started).encode())
            os._exit(0)  # which leaves it to the process that asked
        os.waitpid(between, 0)
        channel.send(os.read(told, 64))
        for each in (told, telling, *received):
            os.close(each)


def fork_of(channel: socket.socket, start: Start, descriptors: Sequence[int]) -> int:
    """The id of a new process, a child of the one that asks; it is a fork of that at the socket's other end."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # the parent of processes below this one whose own parent ends
    try:
        socket.send_fds(channel, [pickle.dumps(start)], descriptors)
        return int(channel.recv(MESSAGE_BYTES))
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def own_umask() -> int:
    """The mask of this process."""
    return int(Path("/proc/self/status").read_text().partition("Umask:")[2].split()[0], 8)


class _Nursery:
    """Starts what `multiprocessing.util.spawnv_passfds` would, as forks of a process that has begun nothing yet."""

    def __init__(self) -> None:
        self._spawn = util.spawnv_passfds
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._channel.close()
            _serve(theirs)
            os._exit(0)
        theirs.close()

    def __call__(self, path: bytes, args: Sequence[str], passfds: Sequence[int]) -> int:
        """The id of a new process with these descriptors."""
        if args[-1] != _FORKS:
            return self._spawn(path, args, passfds)
        descriptors = (*STREAMS, *sorted({*passfds} - {*STREAMS}))
        start = Start(args, str(Path.cwd()), dict(os.environ), own_umask(), new_session=False, descriptors=descriptors)
        return fork_of(self._channel, start, descriptors)


def _prctl(option: int, argument: int | bytes) -> None:
    ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


def _serve(channel: socket.socket) -> None:
    start = forked(channel)
    if start is not None:
        try:
            start[0].run(start[1])
        except SystemExit as ended:
            _end_at_once(ended.code)
            raise


def _end_at_once(status: object) -> None:
    """End where a process with this status would, but for taking all its objects apart: a fork has to copy each page of
    them for that, which takes longer than most commands. What cannot be written at the end is told in the usual way.
    """
    threading._shutdown()  # type: ignore[attr-defined] # it waits for threads
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        if status is None or isinstance(status, int):
            os._exit((status or 0) & 0xFF)


def main() -> None:
    """Serve the socket whose descriptor is the only argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in MODULES:
        with suppress(ModuleNotFoundError):  # of an extra that is not installed
            import_module(name)
    inspect.stack()  # which looks at the files of all modules, once; coverage asks for it as it begins in each fork
    gc.freeze()
    _serve(channel)


if __name__ == "__main__":
    main()
