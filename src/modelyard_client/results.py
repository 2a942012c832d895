"""What the calls of `Registry` give back. Their fields are the keys of `--json`, and stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class User:
    """Whose token it is, and where."""

    host: str
    username: str
    name: str
    id: int


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a version or candidate; `sha256` in hex, `size` in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model: its semantic version, and the id by which the server's API knows it."""

    version: str
    id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that did not arrive, or is not what it should be, and why; `code` as in `errors`."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one file.

    `sent`, `received`: it crossed the wire, `bytes` of it now, the others before; `present`: it was there already;
    `cached`: it was taken from the cache; `planned`: nothing was done, as was asked for.
    """

    path: str
    size: int
    sha256: str | None
    outcome: Literal["sent", "received", "present", "cached", "planned"]
    bytes: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A failure that may pass: the `attempt`th of `attempts` follows in so many seconds."""

    message: str
    seconds: float
    attempt: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """What became of a push or a pull. `bytes` crossed the wire, in `seconds`."""

    target: str
    files: Sequence[Moved]
    failed: Sequence[Failure]
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verification:
    """How files here compare with those of a version: `extra` are here alone, and no fault."""

    target: str
    ok: Sequence[str]
    missing: Sequence[str]
    different: Sequence[str]
    extra: Sequence[str]
