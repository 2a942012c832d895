"""Pages of any length: read piece by piece, each in a transaction of its own, and sent as they come.

MLflow lets a client ask for 50 000 runs at once, and many a client never asks for the next page: what it gets must not
depend on what the server can hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

import orjson
import structlog

from modelyard.departures import ClientGone
from modelyard.errors import ShortRead
from modelyard.registry.repository import Registry
from modelyard.routes.http import failures
from modelyard.routes.http.answers import Answer, StreamedAnswer
from modelyard.routes.mlflow.common import ProjectCall

log = structlog.get_logger()

MAX_PIECE = 2_000  # items that are read at once; fewer when they are large
# Of a page; one that has more ends early, with a token for the rest. Runs as they usually are come all at once, however
# many are asked for: what makes a page too large is long texts.
MAX_BYTES = 128 * 1024 * 1024
TEXT_BYTES, ITEM_BYTES = 16 * 1024 * 1024, 2048  # beside those of as many items
SLICE_BYTES = 256 * 1024
JSON = "application/json"

T = TypeVar("T")
Piece = tuple[Sequence[Mapping[str, object]], str | None]  # items, and the token of what follows
ReadPiece = Callable[[Registry, int, str | None, int], Piece]  # with the project, a token, and how many items at most


async def page(project: ProjectCall, shape: type[T], read: ReadPiece, token: str | None, limit: int) -> Answer[T]:
    """200 with up to `limit` items in the first field of `shape`, and the token of what follows, if anything."""
    pieces = _Pieces(project, read, token, limit)
    opening, items = b'{"%b":[' % next(iter(shape.__annotations__)).encode(), await pieces.next()
    if not pieces.over:
        return StreamedAnswer(pieces.rest(opening, items), media_type=JSON)
    whole = (opening, items, pieces.tail())
    if len(items) <= SLICE_BYTES:
        return Answer(b"".join(whole), media_type=JSON)
    length = {"Content-Length": str(sum(map(len, whole)))}
    return StreamedAnswer(_sliced(*whole), media_type=JSON, headers=length)


class _Pieces:
    """The items of one page, as JSON."""

    def __init__(self, project: ProjectCall, read: ReadPiece, token: str | None, limit: int) -> None:
        self._project = project
        self._read = read
        self._token = token
        self._left = limit
        self._bytes = self._count = 0
        self._begun = False

    @property
    def over(self) -> bool:
        """Whether the page is complete, as far as it may be."""
        most = min(MAX_BYTES, TEXT_BYTES + self._count * ITEM_BYTES)
        return self._token is None or self._left <= 0 or self._bytes >= most

    async def next(self) -> memoryview:
        """The items that come next, without brackets; made where they are read, so that nobody else waits for it."""
        items, self._token, count = await self._project.search(self._one, begun=self._begun)
        self._begun = True
        self._left -= count
        self._count += count
        self._bytes += len(items)
        return items

    def tail(self) -> bytes:
        """What closes the page."""
        return b'],"next_page_token":%b}' % orjson.dumps(self._token)

    async def rest(self, opening: bytes, items: memoryview) -> AsyncIterator[bytes]:
        """The page, which begins with these. Raises ShortRead, which cuts the answer off, when items cannot be read."""
        async for part in _sliced(opening, items):
            yield part
        while not self.over:
            comma = b"," if self._bytes else b""
            del items  # before there are more
            try:
                items = await self.next()
            except ClientGone as error:
                raise ShortRead from error
            except failures.EXPECTED as error:
                log.error("page cut off", error=str(error).partition("\n")[0], advice="ask for it again")
                raise ShortRead from error
            async for part in _sliced(comma if items else b"", items):
                yield part
        yield self.tail()

    def _one(self, registry: Registry, project_id: int) -> tuple[memoryview, str | None, int]:
        shapes, token = self._read(registry, project_id, self._token, min(self._left, MAX_PIECE))
        return memoryview(orjson.dumps(shapes))[1:-1], token, len(shapes)


async def _sliced(*parts: bytes | memoryview) -> AsyncIterator[bytes]:
    """The parts in slices: what is sent is copied on its way, and eight megabytes would be there several times."""
    for part in parts:
        for start in range(0, len(part), SLICE_BYTES):
            yield bytes(part[start : start + SLICE_BYTES])
