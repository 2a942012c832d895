"""GitLab's paging as headers."""

from __future__ import annotations

from modelyard.terms.paging import Page, PageRequest
from modelyard.wire.links import keyset_headers, paging_headers

URL = "http://host/api/v4/things"


def test_a_page_in_the_middle_links_in_both_directions() -> None:
    headers = paging_headers(
        Page([1], 5, PageRequest(2, 2)), URL, [("name", "a b"), ("page", "2"), ("private_token", "s")]
    )
    assert headers == {
        "X-Page": "2",
        "X-Per-Page": "2",
        "X-Total": "5",
        "X-Total-Pages": "3",
        "X-Next-Page": "3",
        "X-Prev-Page": "1",
        "Link": (
            f'<{URL}?name=a+b&page=1&per_page=2>; rel="prev", <{URL}?name=a+b&page=3&per_page=2>; rel="next", '
            f'<{URL}?name=a+b&page=1&per_page=2>; rel="first", <{URL}?name=a+b&page=3&per_page=2>; rel="last"'
        ),
    }


def test_an_empty_listing_is_one_page() -> None:
    empty: Page[int] = Page([], 0, PageRequest())
    headers = paging_headers(empty, URL, [])
    assert (headers["X-Total"], headers["X-Total-Pages"]) == ("0", "1")
    assert (headers["X-Next-Page"], headers["X-Prev-Page"]) == ("", "")
    assert 'rel="next"' not in headers["Link"]


def test_a_page_beyond_the_last_has_no_next() -> None:
    beyond: Page[int] = Page([], 5, PageRequest(9, 2))
    headers = paging_headers(beyond, URL, [])
    assert headers["X-Next-Page"] == ""


def test_a_page_by_keyset_says_only_where_the_next_one_is() -> None:
    query = [("pagination", "keyset"), ("id_after", "3"), ("page", "9"), ("per_page", "2"), ("job_token", "s")]
    request = PageRequest(1, 2, keyset="id_after")
    assert keyset_headers(Page([4, 5], 0, request, more=True), 5, URL, query) == {
        "Link": f'<{URL}?pagination=keyset&id_after=5&per_page=2>; rel="next"'
    }
    assert keyset_headers(Page([4, 5], 0, request), 5, URL, query) == {}
