"""Listings: page numbers in, rows and GitLab's paging headers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from fastapi import Request
from pydantic import BeforeValidator, Field, WithJsonSchema

from modelyard.clock import Milliseconds
from modelyard.registry.base import MAX_NEEDLE, Ends
from modelyard.routes.http.answers import Listing
from modelyard.routes.http.params import Parameters, empty_is_none, stating
from modelyard.routes.http.urls import own_url
from modelyard.terms.paging import Page, PageRequest
from modelyard.wire.links import keyset_headers, paging_headers

T = TypeVar("T")
R = TypeVar("R", bound=Mapping[str, object])


def _milliseconds(text: object) -> Milliseconds:
    time = datetime.fromisoformat(str(text))
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _or_empty(*schemas: dict[str, str]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [*schemas, {"const": ""}]})


# What narrows a listing; an empty value is none, as in GitLab. Times are ISO 8601, in UTC where no offset is given.
Moment = Annotated[
    Annotated[Milliseconds, BeforeValidator(_milliseconds)] | None,
    BeforeValidator(empty_is_none),
    _or_empty({"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}),
]
Id = Annotated[int | None, BeforeValidator(empty_is_none), _or_empty({"type": "integer"})]
Needle = Annotated[str, stating(maxLength=MAX_NEEDLE)]  # what is looked for within texts


class PageQuery(Parameters):
    """Parameters of every listing."""

    page: int = Field(1, description="Page, counted from 1.")
    per_page: int = Field(20, description="Rows on a page, 100 at most.")

    @property
    def request(self) -> PageRequest:
        """The page that is asked for."""
        return PageRequest(self.page, self.per_page)


class KeysetQuery(PageQuery):
    """Parameters of a listing that has pages by keyset, too, when it is ordered by id."""

    pagination: Literal["legacy", "keyset"] = Field(
        "legacy",
        description="`keyset` with `order_by=id`: pages that follow each other by ids, neither numbered nor counted.",
    )
    id_after: Id = Field(None, description="Only ids above this one.")
    id_before: Id = Field(None, description="Only ids below this one.")
    order_by: str = "id"
    sort: Literal["asc", "desc"] = "desc"

    @property
    def ids(self) -> Ends:
        """The least and the greatest id that are asked for."""
        after, before = self.id_after, self.id_before
        return None if after is None else after + 1, None if before is None else before - 1

    @property
    def descending(self) -> bool:
        """Whether the last comes first."""
        return self.sort == "desc"

    @property
    def request(self) -> PageRequest:
        """The page that is asked for; by number where the order has no keyset, as in GitLab."""
        if self.pagination != "keyset" or self.order_by != "id":
            return super().request
        return PageRequest(1, self.per_page, keyset="id_before" if self.descending else "id_after")


def listing(request: Request, page: Page[T], present: Callable[[T], R]) -> Listing[R]:
    """The answer for one page, each row in its shape."""
    rows, url, query = [present(item) for item in page.items], own_url(request), request.query_params.multi_items()
    if page.request.keyset is None:
        return Listing(rows, headers=paging_headers(page, url, query))
    return Listing(rows, headers=keyset_headers(page, rows[-1]["id"] if rows else None, url, query))
