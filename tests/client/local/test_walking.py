from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard_client.errors import NotFound, UsageMistake
from modelyard_client.local.patterns import Rule, Selection
from modelyard_client.local.walking import Walk, files_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name in ("a.bin", "sub/b.bin", "sub/deep/c.txt", ".hidden", ".git/config", "skip.log"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / ".modelyardignore").write_text("*.log\n")
    return root


def names(*paths: Path, walk: Walk | None = None) -> list[str]:
    return [file.name for file in files_of(paths, walk or Walk())]


def test_what_is_in_a_folder_has_its_path_within_it(folder: Path) -> None:
    assert names(folder) == ["a.bin", "sub/b.bin", "sub/deep/c.txt"]


def test_a_file_has_its_own_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(folder / "sub" / "b.bin", folder / ".hidden") == [".hidden", "b.bin"]
    monkeypatch.chdir(folder / "sub")
    assert names(Path("..") / "a.bin") == ["a.bin"]
    assert names(Path()) == ["b.bin", "deep/c.txt"]


def test_hidden_files_are_sent_where_that_is_asked_for_and_the_ignore_file_and_partials_never(folder: Path) -> None:
    (folder / ".myd").mkdir()
    (folder / ".myd" / "x.part").write_text("half of a file")
    assert names(folder, walk=Walk(hidden=True)) == [
        ".git/config",
        ".hidden",
        "a.bin",
        "sub/b.bin",
        "sub/deep/c.txt",
    ]


def test_names_get_a_folder_before_them(folder: Path) -> None:
    assert names(folder / "a.bin", walk=Walk(prefix="x/y/")) == ["x/y/a.bin"]


def test_a_selection_is_one_of_names_as_they_are_sent(folder: Path) -> None:
    rules = Selection([Rule("sub/", takes=False), Rule("*.txt", takes=True)])
    assert names(folder, walk=Walk(rules)) == ["a.bin", "sub/deep/c.txt"]
    assert names(folder / "a.bin", walk=Walk(Selection([Rule("a*", takes=False)]))) == []


def test_links_are_what_they_lead_to_wherever_that_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "w.bin").write_text("w")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "one.bin").symlink_to(tmp_path / "elsewhere" / "w.bin")
    assert names(folder) == ["a.bin", "linked/w.bin", "one.bin", "sub/b.bin", "sub/deep/c.txt"]
    assert "one.bin" not in names(folder, walk=Walk(links=False))
    assert names(folder / "one.bin", walk=Walk(links=False)) == ["one.bin"]


def test_a_link_to_a_folder_that_it_is_in_is_a_mistake(folder: Path) -> None:
    (folder / "sub" / "loop").symlink_to(folder)
    with pytest.raises(UsageMistake, match="loop leads to a folder that it is in"):
        names(folder)


def test_a_link_that_leads_to_nothing_or_to_itself_is_told(folder: Path) -> None:
    (folder / "gone").symlink_to(folder / "nowhere")
    with pytest.raises(NotFound, match="gone"):
        names(folder)
    (folder / "gone").unlink()
    (folder / "self").symlink_to(folder / "self")
    with pytest.raises(Exception, match=r"self"):
        names(folder)


def test_what_is_no_file_is_told(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageMistake, match="pipe is no file"):
        names(folder)
    with pytest.raises(NotFound, match="nowhere"):
        names(folder / "nowhere")


def test_two_files_of_one_name_are_a_mistake_and_the_same_twice_is_none(folder: Path) -> None:
    assert names(folder / "a.bin", folder / "a.bin") == ["a.bin"]
    (folder / "sub" / "a.bin").write_text("other")
    with pytest.raises(UsageMistake, match=r"would both be 'a\.bin'"):
        names(folder / "a.bin", folder / "sub" / "a.bin")


def test_a_name_that_the_server_refuses_is_told_before_anything_is_sent(folder: Path) -> None:
    (folder / "a\\b").write_text("x")
    with pytest.raises(UsageMistake, match="backslash"):
        names(folder)


def test_an_ignore_file_that_is_no_text_is_told(folder: Path) -> None:
    (folder / ".modelyardignore").write_bytes(b"\xff")
    with pytest.raises(UsageMistake, match="is not UTF-8"):
        names(folder)
