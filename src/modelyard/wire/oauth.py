"""Refusals as OAuth's clients read them (RFC 6749 section 5.2): a code in `error`, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.terms.paths import OAUTH

ROOT = f"{OAUTH}/"
_INVALID, _AWAY = "invalid_request", "temporarily_unavailable"
_CODES = {429: _AWAY, 500: "server_error", 503: _AWAY, 507: _AWAY}


def is_oauth(path: str) -> bool:
    """Whether a path, still encoded, belongs to what gives tokens."""
    return path.startswith(ROOT)


def refusal(status: int, body: Mapping[str, object]) -> dict[str, object]:
    """The body of a refusal, whose body in GitLab's shape is `body`."""
    if "error_description" in body:
        return dict(body)
    return {"error": _CODES.get(status, _INVALID), "error_description": _sentence(body)}


def _sentence(body: Mapping[str, object]) -> str:
    said = body.get("message") or body.get("error") or "refused"
    if isinstance(said, Mapping):  # reasons by field
        return ", ".join(f"{field} {reason}" for field, reasons in said.items() for reason in reasons)
    return str(said)
