"""Conditional requests (RFC 9110 section 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum, auto
from functools import lru_cache

CONDITIONS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"})
_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ELEMENT = re.compile(rf"[ \t]*({_ENTITY_TAG})?[ \t]*(?:,|$)")


class Outcome(Enum):
    """What the conditions of a request ask for."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    PRECONDITION_FAILED = auto()


@dataclass(frozen=True, slots=True)
class Validators:
    """What identifies the current representation: its strong entity tag with quotes, its time in seconds since 1970."""

    etag: str
    last_modified: int


def evaluate(method: str, headers: Mapping[str, str], current: Validators | None) -> Outcome:
    """Hold a request's conditions against what is current (None: nothing), in the order of section 13.2.2.

    Names in `headers` are in lower case. Dates that cannot be read are ignored.
    """
    if _fails_match(headers, current):
        return Outcome.PRECONDITION_FAILED
    if not _is_unchanged(method, headers, current):
        return Outcome.PROCEED
    return Outcome.NOT_MODIFIED if method in {"GET", "HEAD"} else Outcome.PRECONDITION_FAILED


def range_applies(if_range: str | None, current: Validators) -> bool:
    """Whether a `Range` is to be honoured: by strong comparison of tags, or exactly the same date (section 13.1.5)."""
    if if_range is None:
        return True
    value = if_range.strip()
    return value == current.etag if '"' in value else _seconds(value) == current.last_modified


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> str:
    """A moment as HTTP writes it, `Mon, 23 Nov 2026 18:00:00 GMT` (section 5.6.7)."""
    return formatdate(seconds, usegmt=True)


def _fails_match(headers: Mapping[str, str], current: Validators | None) -> bool:
    if (if_match := headers.get("if-match")) is not None:
        return current is None or not _lists(if_match, current.etag, weak=False)
    limit = _seconds(headers.get("if-unmodified-since"))
    return limit is not None and current is not None and current.last_modified > limit


def _is_unchanged(method: str, headers: Mapping[str, str], current: Validators | None) -> bool:
    if (if_none_match := headers.get("if-none-match")) is not None:
        return current is not None and _lists(if_none_match, current.etag, weak=True)
    since = _seconds(headers.get("if-modified-since")) if method in {"GET", "HEAD"} else None
    return since is not None and current is not None and current.last_modified <= since


def _lists(header: str, etag: str, *, weak: bool) -> bool:
    """Whether the header names the tag or is `*`; weak comparison ignores the mark of weak tags (section 8.8.3.2).

    What is no list of entity tags (sections 5.6.1 and 8.8.3) names none: a weak tag that is misspelt is no strong one.
    """
    if header.strip(" \t") == "*":
        return True
    tags = _entity_tags(header)
    return etag in ([tag.removeprefix("W/") for tag in tags] if weak else tags)


def _entity_tags(header: str) -> list[str]:
    tags, position = [], 0
    while position < len(header):
        element = _ELEMENT.match(header, position)
        if element is None:
            return []
        tags += [element[1]] if element[1] else []
        position = element.end()
    return tags


def _seconds(date: str | None) -> int | None:
    """A date in any of HTTP's three forms as seconds since 1970; None for what is none."""
    try:
        parsed = parsedate_to_datetime(date) if date else None
        if parsed is None:
            return None
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
