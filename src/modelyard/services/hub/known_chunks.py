"""Files that are known by their chunks, so that xet sends none of them twice.

Xet's clients ask for the first chunk of a file, and for about one in 1 024 of the others, before they send them. The
answer is a shard without files, whose xorbs are groups of the chunks of a file that is here (the Xet protocol's
specification, "Deduplication"). Such a xorb was never sent as it is: its name leads to the group, and that to the file.

What hashes a file's chunks have is what its sender has said. A wrong one does no more harm than that a file which is
put together by it has another SHA-256 than it should, and is refused; then nothing is known of the chunks any more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import accumulate

from modelyard.registry.hub.chunks import Group, Known
from modelyard.services.hub.shards import END, HASH_BYTES, RECORD_BYTES, hash_of_text, hash_text

CHUNK_RECORD = HASH_BYTES + 4  # a chunk's hash, and its bytes
GROUP_CHUNKS = 8 * 1024  # as many as a xorb has, at most
MARKED = 1024  # a chunk is asked for if its hash is a multiple of this
CHUNKS_A_MARK = 64  # at least, beside two of each group; there are 1 024 in the mean

_TAG = b"HFRepoMetaData\0" + bytes(  # the format's own
    (85, 105, 103, 69, 106, 123, 129, 87, 131, 165, 189, 217, 92, 205, 209, 74, 169)
)
_HEAD = struct.Struct("<32sQQ")
_XORB = struct.Struct("<32sIIII")
_CHUNK = struct.Struct("<32sIIQ")
_KNOWN = struct.Struct("<32sI")
_FOOTER = struct.Struct("<9Q32sQQ48sQQQQ")
_LAST_WORD = struct.Struct("<Q")
HEAD_VERSION, FOOTER_VERSION = 2, 1
DIGITS = 48  # of a file's SHA-256 that begin the name of a group; its id follows in as many as are left


def name_of(known: Known) -> str:
    """The name by which a group is referred to as a xorb."""
    return f"{known.sha256[:DIGITS]}{known.id:016x}"


def id_in(name: str) -> int:
    """The id of the group that a name may be of; see `name_of`."""
    return int(name[DIGITS:], 16)


def record(hash_: bytes, size: int) -> bytes:
    """A chunk as it is kept."""
    return _KNOWN.pack(hash_, size)


def sizes_of(records: bytes) -> list[int]:
    """The bytes of each chunk."""
    return [size for _hash, size in _KNOWN.iter_unpack(records)]


def grouped(parts: Iterable[bytes]) -> Iterator[Group]:
    """The groups of a file, whose chunks come in parts of any length."""
    waiting, number, offset = bytearray(), 0, 0
    for part in parts:
        waiting += part
        while len(waiting) >= GROUP_CHUNKS * CHUNK_RECORD:
            group = _group(bytes(waiting[: GROUP_CHUNKS * CHUNK_RECORD]), number, offset)
            del waiting[: GROUP_CHUNKS * CHUNK_RECORD]
            yield group
            number, offset = number + 1, offset + group.size
    if waiting:
        yield _group(bytes(waiting), number, offset)


def _group(records: bytes, number: int, offset: int) -> Group:
    marks = [hash_text(records[:HASH_BYTES])] if number == 0 else []
    for hash_, _size in _KNOWN.iter_unpack(records):
        if _LAST_WORD.unpack_from(hash_, HASH_BYTES - _LAST_WORD.size)[0] % MARKED == 0:
            marks.append(hash_text(hash_))
    return Group(
        number, offset, sum(sizes_of(records)), records, marks[: 2 + len(records) // CHUNK_RECORD // CHUNKS_A_MARK]
    )


class ShardWriter:
    """A shard that tells of known chunks; it is sent piece by piece."""

    def __init__(self) -> None:
        self._at = 0

    def begin(self) -> bytes:
        """Its head, and that it has no files."""
        return self._counted(_HEAD.pack(_TAG, HEAD_VERSION, _FOOTER.size) + END + bytes(RECORD_BYTES - len(END)))

    def xorb(self, known: Known) -> bytes:
        """A group as a xorb."""
        sizes = sizes_of(known.records)
        ends = list(accumulate(sizes))
        head = _XORB.pack(hash_of_text(name_of(known)), 0, len(sizes), ends[-1], ends[-1])
        chunks = zip(_KNOWN.iter_unpack(known.records), ends, strict=True)
        return self._counted(b"".join([head, *(_CHUNK.pack(h, end - size, size, 0) for (h, size), end in chunks)]))

    def end(self, expires_at: int) -> bytes:
        """Its footer; without tables, which its reader makes by itself. `expires_at`: seconds since 1970."""
        files_at = RECORD_BYTES
        xorbs_at = files_at + RECORD_BYTES
        mark = self._counted(END + bytes(RECORD_BYTES - len(END)))
        end = self._at
        offsets = (files_at, xorbs_at, end, 0, end, 0, end, 0)
        return mark + _FOOTER.pack(FOOTER_VERSION, *offsets, bytes(32), 0, expires_at, bytes(48), 0, 0, 0, end)

    def _counted(self, piece: bytes) -> bytes:
        self._at += len(piece)
        return piece
