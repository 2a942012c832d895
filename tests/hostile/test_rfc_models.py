"""What headers and paths mean, against models written from the RFCs and nothing else: one property for each."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from urllib.parse import unquote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.errors import ParameterError
from modelyard.wire.conditions import Outcome, Validators, evaluate, http_date, range_applies
from modelyard.wire.digests import MalformedDigest, parse_digest_field
from modelyard.wire.paths import normalize_path, parse_file_name
from modelyard.wire.ranges import MAX_RANGES, UnsatisfiableRange, parse_range

settings.register_profile("models", deadline=None, max_examples=300)
MANY = settings.get_profile("models")
white = st.text(" \t", max_size=2)


# Ranges (RFC 9110 section 14.1.2): each is a set of positions, and the answer is those that the file has.

positions = st.integers(0, 30).map(str) | st.just("0" * 20 + "7") | st.just("9" * 30)
range_spec = st.one_of(
    st.builds("{}-{}".format, positions, positions),
    st.builds("{}-".format, positions),
    st.builds("-{}".format, positions),
    st.sampled_from(["", "-", "a-b", "1 - 2", "+1-2", "1-2-3", "--1", "\u0661-\u0662", "0x1-2"]),
)
range_header = st.builds(
    lambda unit, specs: unit + ",".join(specs),
    st.sampled_from(["bytes=", "Bytes=", "bytes =", "bytes", "items=", "bytes==", ""]) | st.just("bytes="),
    st.lists(st.builds(lambda a, spec, b: a + spec + b, white, range_spec, white), max_size=4),
)


def digits(text: str) -> bool:
    return text != "" and all(character in "0123456789" for character in text)


def model_of_ranges(header: str, size: int) -> list[list[int]] | str:
    """The positions of each range that the file has, or `ignore`, or `unsatisfiable`."""
    if size == 0:
        return "ignore"  # as a server may (section 14.2)
    unit, equals, rest = header.partition("=")
    elements = [element for element in (each.strip(" \t") for each in rest.split(",")) if element]
    if unit.strip().lower() != "bytes" or not equals or not elements:
        return "ignore"
    found = []
    for element in elements:
        first, dash, last = element.partition("-")
        if not dash or not (digits(first) or first == "") or not (digits(last) or last == "") or element == "-":
            return "ignore"
        if first and last and int(last) < int(first):
            return "ignore"
        file = range(size)
        taken = file[int(first) : int(last) + 1 if last else None] if first else file[max(0, size - int(last)) :]
        found += [list(taken)] if taken else []
    if not found:
        return "unsatisfiable"
    return "ignore" if len(found) > 1 and sum(map(len, found)) > size else found


@given(range_header, st.integers(0, 25))
@settings(MANY)
@example("bytes=-0", 5)
@example("bytes=0-", 0)
def test_ranges(header: str, size: int) -> None:
    try:
        ranges = parse_range(header, size)
        said: object = [list(range(each.start, each.stop)) for each in ranges] if ranges is not None else "ignore"
    except UnsatisfiableRange:
        said = "unsatisfiable"
    assert said == model_of_ranges(header, size)
    assert MAX_RANGES >= 4


# Conditions (RFC 9110 section 13.2.2), step by step as they are written there.

NOW = 1_800_000_000
OPAQUE = ["abc", "x", "", "a,b", "*", "W/abc", "\u00e9"]
tags = st.builds(lambda weak, opaque: f'{weak}"{opaque}"', st.sampled_from(["", "W/"]), st.sampled_from(OPAQUE))
broken_tags = st.sampled_from(
    ["abc", 'w/"abc"', 'W/ "abc"', '"abc', 'abc"', 'x"abc"', '"a"bc"', '"abc" "x"', "* *", '""abc""']
)
tag_list = st.lists(st.builds(lambda a, tag, b: a + tag + b, white, tags | st.just(""), white), max_size=4).map(
    ",".join
)
tag_header = st.one_of(st.just("*"), tag_list, st.lists(tags | broken_tags, min_size=1, max_size=3).map(", ".join))
date_header = st.integers(-2, 2).map(lambda days: http_date(NOW + days)) | st.sampled_from(["", "soon", "0", "*"])
conditions = st.fixed_dictionaries(
    {},
    optional={
        "if-match": tag_header,
        "if-none-match": tag_header,
        "if-modified-since": date_header,
        "if-unmodified-since": date_header,
    },
)


def model_of_tags(header: str) -> list[tuple[bool, str]]:
    """Weakness and opaque part of each tag, read letter by letter; none for what is no list."""
    found: list[tuple[bool, str]] = []
    rest, separated = header, True
    while rest := rest.lstrip(" \t"):
        if rest[0] == ",":
            rest, separated = rest[1:], True
            continue
        weak = rest.startswith("W/")
        rest = rest[2:] if weak else rest
        end = rest.find('"', 1)
        if not separated or rest[:1] != '"' or end < 0 or any(c <= " " or c == "\x7f" for c in rest[1:end]):
            return []
        found.append((weak, rest[1:end]))
        rest, separated = rest[end + 1 :], False
    return found


def model_of_conditions(method: str, headers: dict[str, str], exists: bool, etag: str) -> Outcome:
    def is_date(value: str | None) -> int | None:
        return {http_date(NOW + days): NOW + days for days in range(-2, 3)}.get(value or "")

    reading = method in {"GET", "HEAD"}
    if (value := headers.get("if-match")) is not None:
        named = value == "*" or (False, etag) in model_of_tags(value)
        if not (exists and named):
            return Outcome.PRECONDITION_FAILED
    elif (moment := is_date(headers.get("if-unmodified-since"))) is not None and exists and moment < NOW:
        return Outcome.PRECONDITION_FAILED
    if (value := headers.get("if-none-match")) is not None:
        named = value == "*" or etag in [opaque for _, opaque in model_of_tags(value)]
        if exists and named:
            return Outcome.NOT_MODIFIED if reading else Outcome.PRECONDITION_FAILED
    elif reading and (moment := is_date(headers.get("if-modified-since"))) is not None and exists and moment >= NOW:
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


@given(st.sampled_from(["GET", "HEAD", "PUT"]), conditions, st.booleans(), st.sampled_from(OPAQUE))
@settings(MANY)
@example("PUT", {"if-match": 'w/"abc"'}, True, "abc")
@example("PUT", {"if-match": 'W/ "abc"'}, True, "abc")
@example("GET", {"if-none-match": '"a,b" , , W/"x"'}, True, "x")
def test_conditions(method: str, headers: dict[str, str], exists: bool, etag: str) -> None:
    current = Validators(f'"{etag}"', NOW) if exists else None
    assert evaluate(method, headers, current) is model_of_conditions(method, headers, exists, etag)


@given(tags | broken_tags | date_header, st.sampled_from(OPAQUE))
@settings(MANY)
def test_if_range(value: str, etag: str) -> None:
    current = Validators(f'"{etag}"', NOW)
    assert range_applies(value, current) is (value in {f'"{etag}"', http_date(NOW)})


# Digests (RFC 9530 on RFC 8941): a dictionary of byte sequences, of which the last of a key counts.

LENGTHS = {"sha-256": 32, "sha-512": 64}
member_value = st.sampled_from([hashlib.sha256(b"a").digest(), hashlib.sha512(b"a").digest(), b"", b"short"])
parameter = st.sampled_from(["", ";a", "; a=1", ';a="b;c"', ";a=:YQ==:;b=?1"])
member = st.tuples(
    st.sampled_from(["sha-256", "sha-512", "md5", "unixsum", "*a"]), member_value, parameter, white, white
)


@given(st.lists(member, min_size=1, max_size=4))
@settings(MANY)
def test_digests(members: list[tuple[str, bytes, str, str, str]]) -> None:
    header = ",".join(
        f"{before}{key}=:{base64.b64encode(value).decode()}:{suffix}{after}"
        for key, value, suffix, before, after in members
    )
    known = [(key, value) for key, value, *_ in members if key in LENGTHS]
    if all(len(value) == LENGTHS[key] for key, value in known):
        assert parse_digest_field(header) == dict(known)
    else:
        try:
            raise AssertionError(parse_digest_field(header))
        except MalformedDigest:
            pass


@given(st.binary(min_size=32, max_size=32), st.integers(0, 60), st.characters(max_codepoint=0x17F))
@settings(MANY)
@example(bytes(32), 0, "\x0b")
@example(bytes(32), 0, "\xa0")
def test_a_digest_with_something_foreign_in_it_is_never_another_digest(value: bytes, at: int, foreign: str) -> None:
    whole = f"sha-256=:{base64.b64encode(value).decode()}:"
    header = whole[:at] + foreign + whole[at:]
    try:
        found = parse_digest_field(header)
    except MalformedDigest:
        return
    outside = foreign in " \t" and at in {0, len(whole)}
    # Within the name, it makes another algorithm of it, one that we do not know.
    assert found == ({"sha-256": value} if outside or at >= len(whole) else {})


# Paths (RFC 3986 sections 2.1 and 3.3): segments are split first, then decoded once.

escape = st.binary(min_size=1, max_size=1).map(lambda byte: f"%{byte[0]:02x}")
letters = st.sampled_from("ab.-_~/%2eEfF5cé模\u202e\u2028\\ ")
raw_name = st.lists(escape | letters | st.sampled_from(["%2F", "%252e", "%c3%a9", "%e2%80%ae", ".."]), max_size=12).map(
    "".join
)


def readings(segment: str) -> set[str]:
    """What a name becomes for whoever decodes it again and again."""
    found: set[str] = set()
    while segment not in found:
        found.add(segment)
        segment = unquote(segment, "latin-1")
    return found


def model_of_name(raw: str) -> str | None:
    """The name of a file, decoded byte by byte; None for one that the rule of the README refuses."""
    segments = []
    for segment in raw.split("/"):
        decoded, rest = bytearray(), segment.encode("latin-1")
        while rest:
            if rest[:1] != b"%":
                decoded, rest = decoded + rest[:1], rest[1:]
                continue
            if len(rest) < 3 or not all(digit in b"0123456789abcdefABCDEF" for digit in rest[1:3]):
                return None
            decoded, rest = decoded + bytes([int(rest[1:3], 16)]), rest[3:]
        try:
            segments.append(decoded.decode("utf-8", "strict"))
        except UnicodeDecodeError:
            return None
    name = "/".join(segments)
    fine = all(
        segment not in {"", ".", ".."}
        and not any(character in "/\\" for character in segment)
        and not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in segment)
        and not any("\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069" for character in segment)
        and not any(step in {".", ".."} or "/" in step or "\\" in step for step in readings(segment))
        and len(segment.encode()) <= 255
        for segment in segments
    )
    return name if fine and len(name.encode()) <= 1024 else None


@given(raw_name)
@settings(MANY)
@example("a%")
@example("%2")
@example("a" * 256)
@example("/".join(["a" * 255] * 5))
@example("%25%32%65")
@example("%25252e%25252E")
@example("a%25%2532f")
@example("100%25%20")
def test_names(raw: str) -> None:
    sent = raw.encode().decode("latin-1")  # as the server has the bytes of a target
    try:
        said: str | None = parse_file_name(sent)
    except ParameterError:
        said = None
    assert said == model_of_name(sent)


@given(st.lists(st.sampled_from([b"/", b"//", b"a", b"%2F", b".", b"..", b"\xe9"]), max_size=8).map(b"".join))
@settings(MANY)
def test_paths(raw: bytes) -> None:
    segments = [segment for segment in raw.split(b"/") if segment]
    assert normalize_path(raw).encode("latin-1") == b"/" + b"/".join(segments)
