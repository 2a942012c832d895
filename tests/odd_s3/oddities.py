"""What a server may do otherwise than most."""

from __future__ import annotations

from enum import StrEnum, auto


class Odd(StrEnum):
    """One thing that it does otherwise."""

    WHOLE_IS_200 = auto()  # a range over the whole object
    RANGES_IGNORED = auto()
    NO_CONTENT_RANGE = auto()  # 206 without it
    NO_TOTAL = auto()  # bytes 0-6/*
    EQUALS_SIGN = auto()  # bytes=0-6/7
    EARLIER = auto()  # 206 that begins before what was asked for
    SHORTER = auto()  # 206 that ends before it
    LATER = auto()  # 206 that begins behind it
    OTHER_RANGE_TOLD = auto()  # Content-Range of other bytes than come
    GARBLED_RANGE = auto()
    MANY_RANGES = auto()  # multipart/byteranges
    ALWAYS_416 = auto()
    NO_LENGTH = auto()  # chunked
    GARBLED_LENGTH = auto()
    NO_LENGTH_IN_HEAD = auto()
    CUT = auto()  # closed half-way, without a length that would tell
    BROKEN = auto()  # closed half-way, with a length that tells
    NO_DATES = auto()
    GARBLED_DATES = auto()
    NO_ETAGS = auto()
    FOREIGN_CHECKSUMS = auto()
    COMPRESSED = auto()
    REDIRECTED = auto()
    NONSENSE = auto()  # 200 and a page, whatever is asked
    NO_ANSWER = auto()  # the connection is closed
    MISSING_IS_404 = auto()  # DELETE of what is not there
    MISSING_IS_BARE_404 = auto()
    NO_UPLOADS = auto()  # lists of them: 501
    UPLOADS_NOT_ALLOWED = auto()  # 405
    UPLOADS_NOT_FOUND = auto()  # 404
    UPLOADS_FORBIDDEN = auto()  # 403
    UPLOADS_ARE_OBJECTS = auto()  # the list of another question
    UPLOADS_ARE_HTML = auto()
    UPLOADS_ARE_NOTHING = auto()  # 200 without a body
    NO_PARTS = auto()  # lists of them
    PARTS_NOT_FOUND = auto()
    NO_ABORT = auto()
    NO_COPIES = auto()
    NO_COPIES_OF_PARTS = auto()
    NO_UPLOAD_ID = auto()
    COMPLETED_TWICE = auto()  # the first answer is lost
    BARE_LISTS = auto()  # nothing but Contents, and the next page
    SMALL_PAGES = auto()
    CUT_LISTS = auto()  # IsTruncated, and no word how to go on
    SAME_PAGE = auto()  # for ever
    ENCODED_KEYS = auto()  # and no EncodingType
    HTML_LISTS = auto()
    EMPTY_LISTS = auto()  # 200 without a body
    BROKEN_LISTS = auto()  # the connection ends within the XML
    ENTRIES_WITHOUT_KEYS = auto()
