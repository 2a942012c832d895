"""Answers to parts that were put, which have a head and next to nothing behind it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self

OK = 200
MOST_BYTES = 64 << 10  # of an answer
_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """An answer whose end is told: its status, its headers by small names, its content with what frames its chunks."""

    version: str
    status: int
    headers: dict[str, str]
    content: bytes

    @classmethod
    def read(cls, line: socket.socket) -> Self:
        """The answer that comes. Raises OSError, and ValueError for one of another kind."""
        received = b""
        while _END not in received:
            received = _more(line, received)
        head, _, content = received.partition(_END)
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        fields = (field.partition(":") for field in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        length = int(headers["content-length"]) if "content-length" in headers else None
        if "transfer-encoding" in headers:
            while not content.endswith(_LAST_CHUNK):
                content = _more(line, content)
        elif length is None:
            raise ValueError("an answer whose end is not told")
        while length is not None and len(content) < length:
            content = _more(line, content)
        return cls(version, int(rest[:3]), headers, content)

    @property
    def is_success(self) -> bool:
        """Whether it is one, and no error in the body of one."""
        return self.status == OK and b"<Error" not in self.content

    @property
    def keeps_connection(self) -> bool:
        """Whether the next request may come on the same connection."""
        return self.version == "HTTP/1.1" and self.headers.get("connection", "").lower() in {"", "keep-alive"}


def _more(line: socket.socket, received: bytes) -> bytes:
    new = line.recv(MOST_BYTES)
    if not new or len(received) + len(new) > MOST_BYTES:
        raise ValueError("an answer that is cut, or too long")
    return received + new
