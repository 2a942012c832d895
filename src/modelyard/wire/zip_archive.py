"""ZIP archives (PKWARE's APPNOTE 6.3.10) of files as they are, whose length is known before a byte of them is read.

A file's CRC-32 is known only once the file has been read, so it follows the file, in a data descriptor. Its size stands
before it all the same, as nginx's mod_zip has it, by which readers that cannot seek find its end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

CONTENT_TYPE = "application/zip"

_LIMIT = 0xFFFFFFFF  # what does not fit into 32 bits, or is this itself, stands in fields of 64 (section 4.4.8)
_MANY = 0xFFFF
_FLAGS = 0x0808  # a data descriptor follows; names are UTF-8
_VERSION, _VERSION_64 = 20, 45
_UNIX = 3 << 8
_MODE = 0o100644 << 16
_ZIP64 = 0x0001  # the id of the extra field

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_DESCRIPTOR, _DESCRIPTOR_64 = struct.Struct("<4sIII"), struct.Struct("<4sIQQ")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")
_EXTRA_HEAD = struct.Struct("<HH")
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: bytes  # UTF-8, with folders
    size: int  # bytes
    modified: int  # seconds since 1970

    @property
    def wide(self) -> bool:
        """Whether its size needs 64 bits."""
        return self.size >= _LIMIT

    @property
    def head(self) -> bytes:
        """What stands before its bytes."""
        size = _LIMIT if self.wide else self.size
        extra = _extra(self.size, self.size) if self.wide else b""
        version = _VERSION_64 if self.wide else _VERSION
        fixed = _LOCAL.pack(b"PK\3\4", version, _FLAGS, 0, *self._moment, 0, size, size, len(self.name), len(extra))
        return fixed + self.name + extra

    def tail(self, crc: int) -> bytes:
        """What follows its bytes."""
        descriptor = _DESCRIPTOR_64 if self.wide else _DESCRIPTOR
        return descriptor.pack(b"PK\7\10", crc, self.size, self.size)

    @property
    def length(self) -> int:
        """Bytes from the first of its head to the last of its tail."""
        descriptor = _DESCRIPTOR_64 if self.wide else _DESCRIPTOR
        return len(self.head) + self.size + descriptor.size

    def entry(self, offset: int, crc: int) -> bytes:
        """What the directory says of it; its head lies at `offset`."""
        wide = [number for number in (self.size, self.size, offset) if number >= _LIMIT]
        extra = _extra(*wide) if wide else b""
        size, place = min(self.size, _LIMIT), min(offset, _LIMIT)
        version = _VERSION_64 if wide else _VERSION
        fixed = _CENTRAL.pack(
            *(b"PK\1\2", _UNIX | version, version, _FLAGS, 0, *self._moment, crc, size, size),
            *(len(self.name), len(extra), 0, 0, 0, _MODE, place),
        )
        return fixed + self.name + extra

    @property
    def _moment(self) -> tuple[int, int]:
        """Time and date as MS-DOS has them, in UTC."""
        at = min(max(datetime.fromtimestamp(self.modified, UTC), _EARLIEST), _LATEST)
        return at.hour << 11 | at.minute << 5 | at.second // 2, (at.year - 1980) << 9 | at.month << 5 | at.day


class Archive:
    """The members of an archive in order, and what is written around them."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members

    @property
    def length(self) -> int:
        """Bytes of the whole archive."""
        begins, entries = 0, 0
        for member in self.members:
            entries += len(member.entry(begins, 0))
            begins += member.length
        return begins + entries + len(_end(len(self.members), entries, begins))

    def directory(self, checksums: Sequence[int]) -> Iterator[bytes]:
        """What stands at the end, when the CRC-32 of each member is known."""
        begins, entries = 0, 0
        for member, crc in zip(self.members, checksums, strict=True):
            entry = member.entry(begins, crc)
            begins, entries = begins + member.length, entries + len(entry)
            yield entry
        yield _end(len(self.members), entries, begins)


def _extra(*numbers: int) -> bytes:
    return _EXTRA_HEAD.pack(_ZIP64, 8 * len(numbers)) + struct.pack(f"<{len(numbers)}Q", *numbers)


def _end(count: int, size: int, offset: int) -> bytes:
    """The end of the directory of that size, which begins at `offset`."""
    wide = b""
    if count >= _MANY or size >= _LIMIT or offset >= _LIMIT:
        version = _UNIX | _VERSION_64
        rest = _END_64.size - 12
        wide = _END_64.pack(b"PK\6\6", rest, version, _VERSION_64, 0, 0, count, count, size, offset)
        wide += _LOCATOR_64.pack(b"PK\6\7", 0, offset + size, 1)
    few = min(count, _MANY)
    return wide + _END.pack(b"PK\5\6", 0, 0, few, few, min(size, _LIMIT), min(offset, _LIMIT), 0)
