"""Lists that arrive in pages, to their end: what is missing in a list would be taken for gone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.blobs.s3.answers import s3_errors
from modelyard.blobs.store import StoreUnavailable

_OK = 200
_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listing:
    """An operation that lists: how the XML of its answer begins, which field has the entries, and how the markers of an
    answer are named in a request.
    """

    operation: str
    roots: tuple[bytes, ...]
    entries: str
    markers: Mapping[str, str]

    def require(self, response_dict: Mapping[str, Any], **_: object) -> None:
        """Raise StoreUnavailable for an answer that is no list, as a handler of botocore's event `before-parse`.

        botocore finds an empty list in any XML, and where there is none at all.
        """
        if response_dict["status_code"] != _OK:
            return
        found = _ROOT.match(response_dict["body"])
        if found is None or not found[1].startswith(self.roots):
            raise StoreUnavailable(f"the answer to {self.operation} is no list")


OBJECTS = Listing(
    "ListObjectsV2",
    (b"ListBucket", b"ListObjects"),
    "Contents",
    {"NextContinuationToken": "ContinuationToken"},
)
UPLOADS = Listing(
    "ListMultipartUploads",
    (b"ListMultipartUploads",),
    "Uploads",
    {"NextKeyMarker": "KeyMarker", "NextUploadIdMarker": "UploadIdMarker"},
)
PARTS = Listing("ListParts", (b"ListParts",), "Parts", {"NextPartNumberMarker": "PartNumberMarker"})
LISTINGS = (OBJECTS, UPLOADS, PARTS)


def entries(ask: Callable[..., dict[str, Any]], listing: Listing, **asked: object) -> Iterator[dict[str, Any]]:
    """The entries of all pages that a client's method gives.

    Raises what `s3_errors` does, and StoreUnavailable where a page is not the last and does not tell the next.
    """
    begin: dict[str, object] = {}
    while True:
        with s3_errors():
            page = ask(**asked, **begin)
        yield from page.get(listing.entries, ())
        following = {ours: page[theirs] for theirs, ours in listing.markers.items() if page.get(theirs)}
        goes_on = following not in ({}, begin)
        if page.get("IsTruncated") and not goes_on:
            raise StoreUnavailable(f"{listing.operation} was cut short, and not told how to go on")
        if not page.get("IsTruncated", goes_on):
            return
        begin = following
