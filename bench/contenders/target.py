"""Where a server takes and gives files: what load generators need of any contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bench.process import HOST, Server


@dataclass(frozen=True)
class Target:
    """One file on a server: its path and the headers that open it."""

    port: int
    path: str
    headers: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"http://{HOST}:{self.port}{self.path}"


class FileServer(Protocol):
    """A running server that holds files under names."""

    server: Server

    def file(self, name: str) -> Target:
        """Where the file `name` is put and got."""
        ...
