"""What refusals look like, and how a route says which ones it has beyond those of all."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Message(TypedDict):
    """GitLab's usual sentence, or what is wrong with each field. Some successes are told so, too."""

    message: str | dict[str, list[str]]


class ParameterError(TypedDict):
    """What is wrong with the parameters."""

    error: str


class TokenError(TypedDict):
    """What is wrong with a token (RFC 6750), and which scope it lacks."""

    error: str
    error_description: str
    scope: NotRequired[str]


def refusing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals of a route, for its `responses`, beyond those that OpenAPI tells of all of its kind."""
    return {status: {} for status in statuses}
