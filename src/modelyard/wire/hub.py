"""Refusals as huggingface_hub reads them: a code and the text in headers, as HEAD has no body, and `error` in JSON.

The paths of that API are known here, since what refuses a request may know no more of it than its path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CODE, MESSAGE = "X-Error-Code", "X-Error-Message"
MAX_MESSAGE = 1_000  # characters
# The client's words for a credential that is not valid: over https it takes any other 401 for a missing repository.
INVALID_CREDENTIALS = "Invalid credentials in Authorization header"

_PATHS = re.compile(
    r"/(?:api(?!/v4(?:/|$))(?:/|$)|(?!api/)(?:[^/]+/){1,2}resolve/|(?!api/)[^/]+/[^/]+\.git(?:/|$)|(?:datasets|spaces)/)"
)


def is_hub(path: str) -> bool:
    """Whether a path, still encoded, belongs to Hugging Face's API."""
    return _PATHS.match(path) is not None


def refusal(status: int, body: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """The body and more headers of a refusal, whose body in another API's shape is `body`."""
    sentence = _sentence(body)
    told = INVALID_CREDENTIALS if status == 401 else sentence  # noqa: PLR2004 - the status that the client looks for
    return {"error": sentence}, {MESSAGE: _line(told)}


def _sentence(body: Mapping[str, object]) -> str:
    said = body.get("error_description") or body.get("message") or body.get("error") or "refused"
    if isinstance(said, Mapping):  # reasons by field
        return ", ".join(f"{field} {reason}" for field, reasons in said.items() for reason in reasons)
    return str(said)


def _line(text: str) -> str:
    """One line of ASCII, as a header can have it."""
    plain = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in plain)[:MAX_MESSAGE]
