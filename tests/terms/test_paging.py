"""GitLab's offset paging."""

from __future__ import annotations

import pytest

from modelyard.terms.paging import Page, PageRequest


@pytest.mark.parametrize(
    ("page", "per_page", "offset", "limit"),
    [
        (1, 20, 0, 20),
        (3, 10, 20, 10),
        (0, 20, 0, 20),
        (-5, 20, 0, 20),
        (1, 1000, 0, 100),
        (1, 0, 0, 20),
        (2, -1, 20, 20),
    ],
)
def test_numbers_out_of_bounds_are_brought_within(page: int, per_page: int, offset: int, limit: int) -> None:
    request = PageRequest(page, per_page)
    assert (request.offset, request.limit) == (offset, limit)


def test_no_page_is_beyond_what_a_database_can_count() -> None:
    assert PageRequest(10**30, 100).offset < 2**63


def test_rows_made_from_those_of_a_page_are_the_same_page() -> None:
    page = Page([1, 2], 7, PageRequest(2, 2), more=True)
    assert page.showing(["a", "b"]) == Page(["a", "b"], 7, PageRequest(2, 2), more=True)
