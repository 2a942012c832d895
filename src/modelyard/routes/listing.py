"""Listings: page numbers in, rows and GitLab's paging headers out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from modelyard.routes.urls import own_url
from modelyard.wire.paging import Page, PageRequest, paging_headers

T = TypeVar("T")


class PageQuery(BaseModel):
    """Parameters of every listing."""

    page: int = Field(1, description="Page, counted from 1.")
    per_page: int = Field(20, description="Rows on a page, 100 at most.")

    @property
    def request(self) -> PageRequest:
        """The page that is asked for."""
        return PageRequest(self.page, self.per_page)


def listing(request: Request, page: Page[T], present: Callable[[T], dict[str, object]]) -> JSONResponse:
    """The answer for one page, each row in its shape."""
    headers = paging_headers(page, own_url(request), request.query_params.multi_items())
    return JSONResponse([present(item) for item in page.items], headers=headers)
