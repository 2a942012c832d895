"""Range requests against a plain model of RFC 9110 section 14."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.ranges import MAX_RANGES, ByteRange, MultipartRanges, UnsatisfiableRange, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-99", [(0, 100)]),
        ("bytes=10-", [(10, 100)]),
        ("bytes=-10", [(90, 100)]),
        ("bytes=-1000", [(0, 100)]),
        ("bytes=90-1000", [(90, 100)]),
        ("BYTES=0-1", [(0, 2)]),
        ("bytes=0-1, 5-6", [(0, 2), (5, 7)]),
        ("bytes= 0-1 ,\t5-6 , ,", [(0, 2), (5, 7)]),
        ("bytes=50-60,0-9", [(50, 61), (0, 10)]),
        ("bytes=0-1,500-600", [(0, 2)]),
        ("bytes=0-" + "9" * 500, [(0, 100)]),
        ("bytes=-" + "9" * 500, [(0, 100)]),
        ("bytes=" + "0" * 500 + "7-8", [(7, 9)]),
    ],
)
def test_ranges_are_cut_to_the_file(header: str, expected: list[tuple[int, int]]) -> None:
    assert parse_range(header, 100) == [ByteRange(*each) for each in expected]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=1-2-3",
        "bytes=\u0660-\u0669",
        "bytes=0-1;5-6",
        "items=0-1",
        "bytes=0-99,0-99",
    ],
)
def test_a_header_that_cannot_be_honoured_is_ignored(header: str | None) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=" + "9" * 500 + "-"])
def test_ranges_beyond_the_file_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        parse_range(header, 100)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=-0", "bytes=3-4"])
def test_an_empty_file_is_given_whole(header: str) -> None:
    assert parse_range(header, 0) is None


def test_more_ranges_than_anyone_needs_are_refused() -> None:
    listed = ",".join(f"{i}-{i}" for i in range(0, 2 * MAX_RANGES + 2, 2))
    with pytest.raises(UnsatisfiableRange):
        parse_range(f"bytes={listed}", 10_000)


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60), st.none() | st.integers(0, 60))
def test_one_range_is_what_slicing_gives(content: bytes, first: int, last: int | None) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    expected = content[first : None if last is None else last + 1]
    if last is not None and last < first:
        assert parse_range(header, len(content)) is None
    elif not expected:
        with pytest.raises(UnsatisfiableRange):
            parse_range(header, len(content))
    else:
        (found,) = parse_range(header, len(content)) or []
        assert content[found.start : found.stop] == expected
        assert found.content_range(len(content)) == f"bytes {first}-{first + len(expected) - 1}/{len(content)}"


@given(st.text(max_size=40))
def test_no_header_breaks_the_parser(text: str) -> None:
    try:
        ranges = parse_range(f"bytes={text}", 100)
    except UnsatisfiableRange:
        return
    assert ranges is None or all(0 <= each.start < each.stop <= 100 for each in ranges)


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 100)), min_size=1, max_size=9))
def test_the_framing_has_exactly_the_length_that_it_announces(spans: list[tuple[int, int]]) -> None:
    ranges = [ByteRange(start, start + length) for start, length in spans]
    framing = MultipartRanges(ranges, 1000, "boundary", "text/plain")
    body = b"".join(framing.part_head(each) + bytes(each.length) for each in ranges) + framing.tail
    assert framing.content_length == len(body)
    assert framing.content_type_header == "multipart/byteranges; boundary=boundary"
    assert body.count(b"--boundary") == len(ranges) + 1
