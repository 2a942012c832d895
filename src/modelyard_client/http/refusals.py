"""What an answer that is none of the expected ones means."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from modelyard_client.errors import (
    ClientError,
    Forbidden,
    Mismatch,
    NoRoom,
    NotFound,
    NotIdentified,
    Refused,
    Unreachable,
)
from modelyard_client.http.trying import PASSING

CHECKSUM_MISMATCH = 460  # of tus
MOST_SHOWN = 500  # characters
DIGEST_MISMATCH = "does not match its digest"
LIMIT = "storage limit"


def error_of(status: int, body: bytes, what: str) -> ClientError:
    """The error for a refusal of `what`, such as `GET /api/v4/user`."""
    said = sentence_of(body) or f"HTTP {status}"
    sentence = f"{said} ({what})"
    if status == HTTPStatus.UNAUTHORIZED:
        return NotIdentified(f"{sentence}: `myd login` keeps a token")
    if status == HTTPStatus.FORBIDDEN:
        return NoRoom(sentence) if LIMIT in said else Forbidden(sentence)
    if status in {404, 410}:
        return NotFound(sentence)
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return NoRoom(f"The server has no room: {sentence}")
    if status == CHECKSUM_MISMATCH or (status == HTTPStatus.BAD_REQUEST and DIGEST_MISMATCH in said):
        return Mismatch(sentence)
    return (
        Unreachable(sentence)
        if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        else Refused(sentence, status)
    )


def sentence_of(body: bytes) -> str:
    """What a refusal says, whichever of the server's APIs it is from; empty for what is no refusal of ours."""
    try:
        fields: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(fields, dict):
        return ""
    told = fields.get("message") or fields.get("error_description") or fields.get("error")
    text = told if isinstance(told, str) else _sentences(told) if told else ""
    return "".join(c if c.isprintable() else " " for c in text)[:MOST_SHOWN]


def _sentences(told: Any) -> str:  # noqa: ANN401 - whatever it is
    """What is told of several fields, `{"path": ["is taken"]}`, as people would say it."""
    if not isinstance(told, dict):
        return json.dumps(told)
    each = {name: ", ".join(map(str, said)) if isinstance(said, list) else str(said) for name, said in told.items()}
    return "; ".join(f"{name} {said}" for name, said in each.items())
