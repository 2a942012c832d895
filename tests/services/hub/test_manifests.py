"""The files of a commit, and the id that is made from them."""

from __future__ import annotations

import hashlib

from modelyard.services.hub.manifests import Entry, Manifest
from modelyard.terms.lfs import blob_id, pointer

ONE, TWO = hashlib.sha256(b"1").hexdigest(), hashlib.sha256(b"2").hexdigest()
FILES = [("b c", TWO, 2), ("b", ONE, 1), ("é/b", ONE, 1), ("a/b", TWO, 2)]


def test_a_commit_does_not_depend_on_the_order_in_which_files_were_found() -> None:
    assert Manifest.of(FILES).commit_of(1) == Manifest.of(reversed(FILES)).commit_of(1)


def test_every_file_and_the_version_count_for_a_commit() -> None:
    lists = [FILES, FILES[1:], [*FILES, ("z", ONE, 1)], [("b c", ONE, 2), *FILES[1:]], [("x", TWO, 2), *FILES[1:]], []]
    oids = {Manifest.of(files).commit_of(version) for files in lists for version in (1, 11)}
    assert len(oids) == 2 * len(lists)
    assert all(len(oid) == 40 and set(oid) <= set("0123456789abcdef") for oid in oids)


def test_what_was_kept_is_what_there_was() -> None:
    manifest = Manifest.of(FILES)
    again = Manifest.inflated(manifest.deflated())
    assert list(again.entries()) == list(manifest.entries()) == [Entry(*file) for file in sorted(FILES)]
    assert again.size == 6


def test_a_file_is_found_by_its_whole_name_alone() -> None:
    manifest = Manifest.of(FILES)
    assert [manifest.find(name) for name, _sha256, _size in FILES] == [Entry(*file) for file in FILES]
    assert [manifest.find(name) for name in ("c", "a", "", "b ", "/b", "\t", "\n", "b\nb", "é")] == [None] * 9
    assert Manifest.of([]).find("b") is None


def test_a_pointer_has_the_id_that_git_gives_it() -> None:
    """As `git hash-object` says of the pointer that git-lfs writes."""
    content = pointer("a" * 64, 12345)
    assert len(content) == 125 + len("12345")
    assert blob_id("a" * 64, 12345) == hashlib.sha1(b"blob 130\0" + content).hexdigest()
