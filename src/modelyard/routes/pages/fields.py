"""What several forms have: days, roles, and numbers of pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

from modelyard.access.policy import Role
from modelyard.clock import DAY, Milliseconds, start_of
from modelyard.errors import InvalidFields, ParameterError
from modelyard.registry.base import Ends
from modelyard.routes.pages.forms import Form
from modelyard.terms.paths import NOBODY, parse_id

ROLES = tuple((int(role), role.name.capitalize()) for role in Role)
ROWS = 50  # of a list


def role_name(level: int | None) -> str:
    """The name of an access level; empty for none."""
    return dict(ROLES).get(level or 0, "")


def day_in(form: Mapping[str, str], name: str) -> date | None:
    """A day that was typed, None for none. Raises InvalidFields."""
    text = form.get(name, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidFields(**{name: "is no date such as 2026-11-30"}) from error


def moment_in(query: Mapping[str, str], name: str, *, days: int = 0) -> Milliseconds | None:
    """The beginning of a day in a query, so many days later. Raises InvalidFields."""
    day = day_in(query, name)
    return start_of(day) + days * DAY if day is not None else None


def role_in(form: Form) -> Role:
    """The role that was chosen. Raises ParameterError."""
    level = parse_id(form.text("access_level"))
    if level not in set(Role):
        raise ParameterError("access_level does not have a valid value")
    return Role(level)


def before_in(query: Mapping[str, str]) -> Ends:
    """The ids that a page by keyset has, newest first: those before one in the query."""
    before = parse_id(query.get("before", ""))
    return (None, None) if before == NOBODY else (None, before - 1)


def page_in(query: Mapping[str, str]) -> int:
    """The number of a page in a query, counted from 1."""
    return max(parse_id(query.get("page", "")), 1)


def turning(query: Mapping[str, str], name: str, following: int | None) -> dict[str, str]:
    """The URLs by which a list is paged by a number in its query: of its first page, and of the one that follows."""
    others = {key: value for key, value in query.items() if key != name}
    return {
        "first_url": f"?{urlencode(others)}" if name in query else "",
        "next_url": f"?{urlencode(others | {name: following})}" if following is not None else "",
    }
