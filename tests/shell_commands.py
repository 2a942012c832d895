"""The command `modelyard` as shells find it, which begins as a fork of the process that has imported it.

A page's commands would each import it all again, which takes most of a second of processor.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.commands import COMMAND, Command
from tests.preloaded import MESSAGE_BYTES, STREAMS

# It hands over what it was started with, and ends as what was begun with that.
ASKING = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect({place!r})
    socket.send_fds(asked, [json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    sys.exit(int(asked.recv(16)))
"""


@contextmanager
def forked_commands() -> Iterator[Path]:
    """A folder for the beginning of a shell's PATH, in which the command is."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        place = str(Path(folder) / "asked")  # a short path, as that of a socket has to be
        listener.bind(place)
        listener.listen()
        program = Path(folder) / COMMAND.name
        program.write_text(ASKING.format(python=sys.executable, place=place))
        program.chmod(0o700)
        threading.Thread(target=_accept, args=(listener,)).start()
        try:
            yield Path(folder)
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket) -> None:
    with suppress(OSError):  # when nobody is to ask any more
        while True:
            connection, _address = listener.accept()
            threading.Thread(target=_run, args=(connection,)).start()


def _run(connection: socket.socket) -> None:
    """Begin what is asked for, and tell how it ended, as a shell says it."""
    with connection:
        message, streams, _flags, _from = socket.recv_fds(connection, MESSAGE_BYTES, len(STREAMS))
        arguments, folder, variables = json.loads(message)
        given, output, errors = streams
        with Command(arguments, cwd=folder, env=variables, stdin=given, stdout=output, stderr=errors) as process:
            for each in streams:
                os.close(each)
            status = process.wait()
        connection.send(str(status if status >= 0 else 128 - status).encode())
