"""GitLab's paging as headers: counts, and links to the other pages (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from modelyard.terms.paging import Page, PageRequest, T

SECRET_PARAMETERS = frozenset({"private_token", "job_token", "access_token"})


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
