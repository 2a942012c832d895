"""GitLab's paging, 20 rows a page and 100 at most: by offset with the counts in headers, or by the last row's id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")

DEFAULT_PER_PAGE = 20
MAX_PER_PAGE = 100
MAX_PAGE = 2**53  # offsets stay within 64 bits


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
