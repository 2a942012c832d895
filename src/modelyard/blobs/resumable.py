"""What a store can do besides when bytes on their way outlive the process that writes them.

Whoever writes holds the bytes alone, or, in a store that knows no locks, is known by the generation of his checkpoint:
what he has not recorded by then is nobody's, and the next one writes where the record ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self, runtime_checkable

from modelyard.blobs._sha256 import Hasher
from modelyard.blobs.store import BlobStore, BlobWriter, Digest, Leftover


class SentPart(NamedTuple):
    """A part of an upload that lies in a bucket already."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is durable of an upload, and how a store goes on with it; `name` has 32 hexadecimal digits."""

    name: str
    size: int = 0  # bytes
    state: bytes = b""  # of the hash; empty where it cannot be kept
    place: str = ""  # what the store wants to be told again
    parts: Sequence[SentPart] = ()  # those in which `size` bytes lie; in what a writer tells, those that are new
    generation: int = 0  # of whoever goes on
    previous: int = 0  # of whoever wrote last before that, whether or not a checkpoint came of it
    hasher: Hasher | None = field(default=None, compare=False)  # of this process, where `state` is empty


class ResumableWriter(BlobWriter, Protocol):
    """Bytes on their way that stay when the writer is closed, as far as they were saved."""

    @property
    def due(self) -> bool:
        """Whether it should be saved before it takes more."""
        ...

    def save(self, *, last: bool) -> Checkpoint:
        """Make all bytes that were written durable, and tell how to go on after them; `last`: no more will be written.

        Raises as `BlobWriter.write` does.
        """
        ...


class Hold(Protocol):
    """The right to write on. `release` gives it back."""

    def resume(self, checkpoint: Checkpoint) -> ResumableWriter:
        """A writer that goes on after a checkpoint; what lies beyond it is forgotten. It has the hold from then on.

        Raises BlobMissing where the bytes are gone; StoreFull; StoreUnavailable.
        """
        ...

    def release(self) -> None:
        """Let others write. May be repeated, and never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


@runtime_checkable
class ResumableBlobStore(BlobStore, Protocol):
    """A store in which uploads outlive their process."""

    locks: bool  # whether a hold keeps all others from writing, and no parts are told; else only generations do
    save_seconds: float  # after which a long upload is worth being saved in between

    def hold(self, name: str, *, new: bool) -> Hold | None:
        """The right to write on; None while another has it. `new`: nothing has been saved of it yet."""
        ...

    def discard(self, checkpoint: Checkpoint) -> bool:
        """Remove what is there of an upload; False while somebody writes it."""
        ...

    def recover(self, checkpoint: Checkpoint, digest: Digest) -> None:
        """See to it that what was published under its digest is a blob, though its process died in between.

        Raises BlobMissing where it was not published, or was collected since.
        """
        ...

    def has(self, checkpoint: Checkpoint) -> bool:
        """Whether what a checkpoint tells of is there, as far as the store can tell without reading it."""
        ...

    def partials(self) -> Iterator[Leftover]:
        """What is there of uploads beside the leftovers, each with its `upload`; what is written just now may be."""
        ...
