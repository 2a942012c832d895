"""Addresses: one decode, and the rule for names."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ParameterError
from modelyard.terms.paths import MAX_NAME_BYTES, NOBODY, OwnerKind, OwnerRef, stored_form
from modelyard.wire.paths import decode_segment, normalize_path, parse_file_name, parse_owner, parse_project

PATH_FAULT = "file_name should be a valid file path"
NAME_FAULT = "file_name is invalid"


@pytest.mark.parametrize(
    ("raw", "routed"),
    [
        (b"/a//b", "/a/b"),
        (b"/a/b/", "/a/b"),
        (b"//", "/"),
        (b"/g%2Fp/x", "/g%2Fp/x"),
        (b"/a/../b", "/a/../b"),
    ],
)
def test_slashes_are_squeezed_and_nothing_is_decoded(raw: bytes, routed: str) -> None:
    assert normalize_path(raw) == routed


@pytest.mark.parametrize("segment", ["%", "a%2", "%zz", "100%", "%ff", "%c3%28"])
def test_a_malformed_escape_or_text_that_is_not_utf8_is_refused(segment: str) -> None:
    with pytest.raises(ValueError, match=r"percent-encoding|utf-8"):
        decode_segment(segment)


@given(st.text(st.characters(codec="utf-8")))
def test_decoding_undoes_encoding_once(text: str) -> None:
    assert decode_segment(quote(text, safe="")) == text


@pytest.mark.parametrize(
    ("segment", "project"),
    [
        ("1", 1),
        ("-1", -1),
        ("group%2Fproject", "group/project"),
        ("g%2Fs%2Fp", "g/s/p"),
        ("project", NOBODY),
        ("%zz", NOBODY),
        ("1" * 30, NOBODY),
        ("group%252Fproject", "group/project"),
        ("g%252Fs%252Fp", "g/s/p"),
        ("%2531", 1),
        ("group%25252Fproject", NOBODY),
        ("group%252Fpro%25ject", NOBODY),
        ("gr%25fcn%252Fp", NOBODY),
    ],
)
def test_a_project_is_a_number_or_a_path(segment: str, project: int | str) -> None:
    assert parse_project(segment) == project


@pytest.mark.parametrize(
    ("segment", "owner"),
    [
        ("5", OwnerRef(OwnerKind.VERSION, 5)),
        ("candidate:5", OwnerRef(OwnerKind.CANDIDATE, 5)),
        ("candidate%3A5", OwnerRef(OwnerKind.CANDIDATE, 5)),
        ("candidate%253A5", OwnerRef(OwnerKind.CANDIDATE, 5)),
        ("candidate%25253A5", OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("candidate:", OwnerRef(OwnerKind.CANDIDATE, NOBODY)),
        ("candidate:x", OwnerRef(OwnerKind.CANDIDATE, NOBODY)),
        ("candidate:-1", OwnerRef(OwnerKind.CANDIDATE, NOBODY)),
        ("CANDIDATE:5", OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("abc", OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("-5", OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("5abc", OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("1.0.0", OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("٣", OwnerRef(OwnerKind.VERSION, NOBODY)),
        (str(10**30), OwnerRef(OwnerKind.VERSION, NOBODY)),
        ("%zz", OwnerRef(OwnerKind.VERSION, NOBODY)),
    ],
)
def test_an_owner_is_a_version_id_or_a_candidate_iid(segment: str, owner: OwnerRef) -> None:
    assert parse_owner(quote(segment, safe="%:")) == owner


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("..", PATH_FAULT),
        (".", PATH_FAULT),
        ("%2e%2e", PATH_FAULT),
        ("%252e%252e", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("%252E", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("%25252e%25252e", f"{PATH_FAULT}, {NAME_FAULT}"),
        (".%252e", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("a%252fb", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("a%25252Fb", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("a%25%32%66b", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("a%25%2532fb", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("..%255cb", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("a%25" + "25" * 100 + "2fb", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("%25" * 200 + "2f" * 28, NAME_FAULT),
        ("a%252fb/file", "path should be a valid file path, path is invalid"),
        ("..%2f.ssh%2fauthorized_keys", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("%2e%2e%2f.ssh%2fauthorized_keys", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("..%5cwindows", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("%2fetc%2fpasswd", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("dir%2Ffoo.txt", NAME_FAULT),
        ("a%5cb", NAME_FAULT),
        ("a%00b", NAME_FAULT),
        ("a%0ab", f"{PATH_FAULT}, {NAME_FAULT}"),
        ("a%7fb", NAME_FAULT),
        ("a%c2%85b", NAME_FAULT),
        ("a%e2%80%a8b", NAME_FAULT),
        ("a%e2%80%aeb", NAME_FAULT),
        ("a%ffb", NAME_FAULT),
        ("100%", NAME_FAULT),
        ("a" * 256, NAME_FAULT),
        ("%C3%A9" * 128, NAME_FAULT),
        ("dir%2fx/file", "path is invalid"),
        ("../file", "path should be a valid file path"),
        ("a/%2e%2e/file", "path should be a valid file path"),
        ("/".join(["d" * 250] * 5), "path is invalid"),
        ("%25" + "25" * 8000, "path is invalid"),
    ],
)
def test_what_the_rule_refuses_gets_gitlabs_words(raw: str, sentence: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        parse_file_name(raw)
    assert refusal.value.body == {"error": sentence}


@pytest.mark.parametrize(
    "name",
    [
        "model.tar.gz",
        "~*();&|?#+=@!$',",
        "100% done",
        "dogs%step%0%timestamp%1795932854708%a1b2.png",
        "share%20of%20100%25.csv",
        "a%20b",
        "a%2520b",
        "%00%0a%ff",
        "%2e%2e%2e/%2ehidden/a%2e%2eb",
        "%",
        "%%/%2",
        "ünï/cödé 模型.bin",
        "👩‍🔬.pkl",
        "..a/b..",
        "...",
        "a" * 255,
        "/".join(["d" * 200] * 5),
        " leading and trailing ",
    ],
)
def test_odd_names_are_kept_as_sent(name: str) -> None:
    assert parse_file_name(quote(name)) == name


@given(st.text(st.characters(codec="utf-8"), max_size=40) | st.text("%2525fFeE5cC./a", max_size=60))
def test_every_name_is_kept_exactly_or_refused(name: str) -> None:
    try:
        kept = parse_file_name(quote(name))
    except ParameterError:
        return
    assert kept == name
    read, again = "", kept
    while again != read:  # however often somebody else decodes it
        read, again = again, unquote(again)
        assert read.count("/") == name.count("/")
        assert "\\" not in read
        assert not any(step in ("", ".", "..") for step in read.split("/"))


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("my_dir/model.md5", "my_dir%2Fmodel.md5"),
        ("Mo_de-l v12.md5", "Mo_de-l%20v12.md5"),
        ("a+b~*é", "a%2Bb%7E*%C3%A9"),
    ],
)
def test_listings_show_the_stored_form(name: str, stored: str) -> None:
    assert stored_form(name) == stored


def test_what_is_longer_than_any_name_is_nobodys() -> None:
    longest = "g%2F" + "p" * (3 * MAX_NAME_BYTES - 4)
    assert parse_project(longest) == "g/" + "p" * (3 * MAX_NAME_BYTES - 4)
    assert parse_project(longest + "p") == NOBODY
