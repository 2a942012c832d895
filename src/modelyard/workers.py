"""Several servers on one port, each in a process of its own, with a listening socket of its own.

Where processes share a listening socket, whoever wakes first takes the connection: of 16 that came at once, one of two
workers got 11 to 15, and all of them at times, so that the other brought nothing for as long as they stayed open. Among
sockets of their own the kernel spreads them evenly (SO_REUSEPORT in socket(7)).

The price: what the kernel has given to a worker waits for it, however busy it is, and is reset if it dies first.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from multiprocessing import parent_process

from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn.supervisors import multiprocess

from modelyard.settings import load_settings
from modelyard.stopping import StoppingServer

_SPREADS = sys.platform == "linux"  # macOS has the option as well, but gives all connections to one of the sockets


def run_workers(config: Config) -> None:
    """Serve in as many processes as `config` says, until a signal. Ends the process where the address is in use."""
    multiprocess.Process = StoppingWorker  # type: ignore[misc]  # the supervisor takes no other word for it
    claim = config.bind_socket()
    if _SPREADS:
        with claim as plain:
            claim = _beside(plain)
        # With it, anybody could bind the address too while no worker listens: at the start, or when all have died.
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    StoppingWorkers(config, [claim]).run()


class StoppingWorkers(multiprocess.Multiprocess):
    """uvicorn's supervisor of the servers. Its own socket holds the address, and never listens."""

    def terminate_all(self) -> None:
        """Tell the workers to stop, who alone listen from now on: what they do not take is refused at once."""
        super().terminate_all()
        for each in self.sockets:
            each.close()


class StoppingWorker(multiprocess.Process):
    """One of the server processes."""

    @property
    def server(self) -> Server:
        """The server, made in its own process."""
        if self._server is None:
            self._server = StoppingServer(self.config, load_settings().shutdown_delay)
        return self._server

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What runs in the process: the server, beside the others on the address of `sockets`."""
        threading.Thread(target=_stop_with_supervisor, daemon=True).start()
        claims = sockets or []
        if not _SPREADS:
            super().target(claims)
            return
        own = [_beside(each) for each in claims]
        for each in claims:
            each.close()  # or the address would not be free before this worker's last transfer has ended
        super().target(own)


def _stop_with_supervisor() -> None:
    """Stop this worker when its supervisor is killed: nobody else would, and its address would stay taken."""
    supervisor = parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _beside(other: socket.socket) -> socket.socket:
    """One more socket on the same address."""
    own = socket.socket(other.family, other.type)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.bind(other.getsockname())
    return own
