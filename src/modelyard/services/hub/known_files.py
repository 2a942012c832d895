"""Which files of a project are known by their chunks: kept when they come by xet, told to those who may send there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from modelyard.errors import EntryNotFound
from modelyard.registry.hub.chunks import Group, Known
from modelyard.registry.hub.uploads import Sender
from modelyard.registry.repository import Registry
from modelyard.services.hub.known_chunks import ShardWriter
from modelyard.services.hub.objects import Objects
from modelyard.services.hub.shards import SentFile
from modelyard.services.hub.tickets import Right, Wanted

ANSWERED_GROUPS = 8  # in one answer: 4 GiB of chunks of 64 KiB
ANSWERED_FILES = 8  # that may have the same chunk
MIN_CHUNK_BYTES = 4 * 1024  # in the mean, of a file that is worth it; clients' have 8 KiB at least, but for the last


class KnownFiles:
    """Keeps and tells the chunks of files."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def is_known(self, registry: Registry, sender: Sender, file: SentFile) -> bool:
        """Whether no more is to be kept of a file."""
        if file.chunks > 1 + file.size // MIN_CHUNK_BYTES:
            return True
        return registry.chunks.bytes_known(sender.project_id, file.sha256) >= file.size

    def keep(self, registry: Registry, sender: Sender, file: SentFile, group: Group) -> None:
        """Know some of a file's chunks, which is durable."""
        registry.chunks.keep(sender.project_id, file.sha256, group)

    async def shard_with(self, right: Right, chunk: str) -> AsyncIterator[bytes]:
        """A shard that tells of known chunks, one of that hash among them, and of those that follow them.

        Raises EntryNotFound where there is none in a file that the sender may refer to.
        """
        groups = await self._objects.read(lambda registry: self._groups_with(registry, right.sender, chunk))
        if not groups:
            raise EntryNotFound(chunk)
        return self._shard_of(right, groups)

    def _groups_with(self, registry: Registry, sender: Sender, chunk: str) -> list[int]:
        marked = registry.chunks.marked(sender.project_id, chunk, ANSWERED_FILES)
        sizes = registry.uploads.sizes(sender, sorted({sha256 for sha256, _number in marked}))
        whole = self._objects.there(registry, sender, [Wanted(*each) for each in sizes.items()])
        there = {each.sha256 for each in whole}
        found: dict[int, None] = {}  # in their order
        for sha256, number in marked:
            room = ANSWERED_GROUPS - len(found)
            if sha256 in there and room > 0:
                found |= dict.fromkeys(registry.chunks.from_on(sender.project_id, sha256, number, room))
        return list(found)

    async def _shard_of(self, right: Right, groups: Sequence[int]) -> AsyncIterator[bytes]:
        writer = ShardWriter()
        yield writer.begin()
        for group in groups:
            known = await self._objects.read(partial(_find, project_id=right.sender.project_id, group=group))
            if known is not None:
                yield writer.xorb(known)
        yield writer.end(right.ticket.expires_at // 1000)


def _find(registry: Registry, *, project_id: int, group: int) -> Known | None:
    return registry.chunks.find(project_id, group)
