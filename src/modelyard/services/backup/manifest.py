"""What a backup holds, as `manifest.json` says it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from modelyard.errors import CommandError
from modelyard.services.backup.copying import Copy

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class File:
    """A file of the backup: its name in the folder, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Blobs:
    """All blobs that the database copy refers to; `list` names them, `size` is their bytes together."""

    list: File
    count: int
    size: int
    included: bool  # else they are only in the blob store of the registry


@dataclass(frozen=True, slots=True)
class Manifest:
    """A complete backup. `faults` are blobs that the registry had lost, or that were damaged, before."""

    format: Literal[1]
    created_at: str  # when it began, in UTC
    version: str  # of modelyard
    schema: str  # revision of the database
    database_kind: str  # `sqlite` or `postgresql`
    database: File
    blobs: Blobs
    faults: tuple[Copy, ...]

    def encoded(self) -> bytes:
        """As JSON."""
        return _manifests().dump_json(self, indent=2) + b"\n"


@cache
def _manifests() -> TypeAdapter[Manifest]:
    """Made when it is first needed: most commands do without, and it takes milliseconds."""
    return TypeAdapter(Manifest)


def decoded(text: bytes) -> Manifest:
    """The manifest in a file. Raises CommandError where it is none that this version understands."""
    try:
        return _manifests().validate_json(text, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "JSON"
        raise CommandError(f"the manifest is damaged, or of a newer modelyard: {where}: {fault['msg']}") from error
