"""What the calls of `Registry` give back. Their fields are the keys of `--json`, and stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple


class User(NamedTuple):
    """Whose token it is, and where."""

    host: str
    username: str
    name: str
    id: int


class RemoteFile(NamedTuple):
    """A file of a version or candidate; `sha256` in hex, `size` in bytes."""

    path: str
    size: int
    sha256: str


class Version(NamedTuple):
    """A version of a model: its semantic version, and the id by which the server's API knows it."""

    version: str
    id: str


class Failure(NamedTuple):
    """A file that did not arrive, or is not what it should be, and why; `code` as in `errors`."""

    path: str
    code: str
    message: str


class Moved(NamedTuple):
    """What became of one file.

    `sent`, `received`: it crossed the wire, `bytes` of it now, the others before; `present`: it was there already;
    `cached`: it was taken from the cache; `planned`: nothing was done, as was asked for.
    """

    path: str
    size: int
    sha256: str | None
    outcome: Literal["sent", "received", "present", "cached", "planned"]
    bytes: int


class Retry(NamedTuple):
    """A failure that may pass: the `attempt`th of `attempts` follows in so many seconds."""

    message: str
    seconds: float
    attempt: int
    attempts: int


class Transfer(NamedTuple):
    """What became of a push or a pull. `bytes` crossed the wire, in `seconds`."""

    target: str
    files: Sequence[Moved]
    failed: Sequence[Failure]
    bytes: int
    seconds: float


class Verification(NamedTuple):
    """How files here compare with those of a version: `extra` are here alone, and no fault."""

    target: str
    ok: Sequence[str]
    missing: Sequence[str]
    different: Sequence[str]
    extra: Sequence[str]


def as_json(value: Any) -> Any:  # noqa: ANN401 - whatever a call gives back
    """A result as `--json` prints it: an object of its fields, also where one is within another."""
    if isinstance(value, dict):
        return {name: as_json(field) for name, field in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: as_json(field) for name, field in value._asdict().items()}
    return [as_json(each) for each in value] if isinstance(value, (list, tuple)) else value
