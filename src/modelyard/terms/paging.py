"""GitLab's paging, 20 rows a page and 100 at most: by offset with the counts in headers, or by the last row's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

T = TypeVar("T")
V = TypeVar("V")

DEFAULT_PER_PAGE = 20
MAX_PER_PAGE = 100
MAX_PAGE = 2**53  # offsets stay within 64 bits
SECRET_PARAMETERS = frozenset({"private_token", "job_token", "access_token"})


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page a client asks for; numbers out of bounds are brought within them, as GitLab does."""

    page: int = 1
    per_page: int = DEFAULT_PER_PAGE
    # GitLab's keyset paging: the parameter by which the next page is asked for, with the id of this one's last row.
    # Then pages are neither numbered nor counted, and rows that come or go meanwhile move no others.
    keyset: str | None = None

    @property
    def number(self) -> int:
        """The page, counted from 1."""
        return min(max(self.page, 1), MAX_PAGE)

    @property
    def limit(self) -> int:
        """Rows on a page."""
        return min(self.per_page, MAX_PER_PAGE) if self.per_page > 0 else DEFAULT_PER_PAGE

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.number - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing: its rows, and how many there are in all, or by keyset only whether more follow."""

    items: list[T]
    total: int
    request: PageRequest
    more: bool = False

    def showing(self, items: list[V]) -> Page[V]:
        """The same page of rows that were made from these."""
        return Page(items, self.total, self.request, self.more)


def paging_headers(page: Page[T], url: str, query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """GitLab's `X-…` counts and a `Link` header (RFC 8288) with `first`, `last`, `prev` and `next`.

    `url` is the listing's absolute URL; `query` its other parameters, which the links keep, but for tokens. For a page
    by keyset see `keyset_headers`.
    """
    current, pages = page.request.number, max(1, -(-page.total // page.request.limit))
    relations = {"prev": current - 1, "next": current + 1, "first": 1, "last": pages}
    there = {relation: number for relation, number in relations.items() if 1 <= number <= pages}
    headers = {
        "X-Page": str(current),
        "X-Per-Page": str(page.request.limit),
        "X-Total": str(page.total),
        "X-Total-Pages": str(pages),
        "X-Next-Page": str(there.get("next", "")),
        "X-Prev-Page": str(there.get("prev", "")),
    }
    links = (_link(url, query, page.request, "page", number, relation) for relation, number in there.items())
    return headers | {"Link": ", ".join(links)}


def keyset_headers(page: Page[T], last_id: object, url: str, query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """A `Link` header with `next` alone, and none on the last page, as GitLab has it for a page by keyset."""
    if page.request.keyset is None or not page.more:
        return {}
    return {"Link": _link(url, query, page.request, page.request.keyset, last_id, "next")}


def _link(
    url: str, query: Sequence[tuple[str, str]], request: PageRequest, parameter: str, value: object, relation: str
) -> str:
    replaced = SECRET_PARAMETERS | {parameter, "page", "per_page"}
    kept = [(name, value) for name, value in query if name not in replaced]
    return f'<{url}?{urlencode([*kept, (parameter, value), ("per_page", request.limit)])}>; rel="{relation}"'
