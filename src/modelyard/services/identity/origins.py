"""Which job a token is for, and so which one makes versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something comes from, in the issuer's words; empty what it does not say."""

    issuer: str
    subject: str = ""
    project: str = ""
    ref: str = ""
    commit: str = ""
    job: str = ""
    actor: str = ""
    url: str = ""  # where the job can be looked at


def packed(origin: Origin) -> str:
    """An origin as it is kept."""
    return orjson.dumps(asdict(origin)).decode()
