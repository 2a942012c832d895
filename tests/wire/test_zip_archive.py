"""Archives as their readers take them, also where numbers need 64 bits, and as long as they were said to be."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from modelyard.wire.zip_archive import Archive, Member

GIB = 1024**3


def write(path: Path, contents: list[tuple[str, bytes | int]], modified: int = 1_764_000_000) -> None:
    """An archive of files; those of which only a size is given are holes, whose checksums nobody asks for."""
    members = [Member(n.encode(), c if isinstance(c, int) else len(c), modified) for n, c in contents]
    archive, checksums = Archive(members), []
    with path.open("wb") as file:
        for member, (_name, content) in zip(members, contents, strict=True):
            file.write(member.head)
            if isinstance(content, int):
                file.seek(content, os.SEEK_CUR)
            else:
                file.write(content)
            checksums.append(0 if isinstance(content, int) else zlib.crc32(content))
            file.write(member.tail(checksums[-1]))
        for piece in archive.directory(checksums):
            file.write(piece)
    assert path.stat().st_size == archive.length


def test_any_name_and_content_is_read_as_it_was(tmp_path: Path) -> None:
    contents = [("a b.txt", b"1"), ("ключ/模型 #1%.bin", b"2" * 100_000), ("empty", b""), ("q'\"&<>🙂", b"3")]
    write(tmp_path / "a.zip", list(contents))
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert found.testzip() is None
        assert [(each.filename, found.read(each)) for each in found.infolist()] == contents
        assert {each.compress_type for each in found.infolist()} == {zipfile.ZIP_STORED}
        assert found.infolist()[0].date_time == (2025, 11, 24, 16, 0, 0)
    write(tmp_path / "none.zip", [])
    assert zipfile.ZipFile(tmp_path / "none.zip").infolist() == []


@pytest.mark.parametrize("moment", [0, 43_000_000_000])
def test_a_moment_that_the_format_has_not_is_its_nearest(tmp_path: Path, moment: int) -> None:
    write(tmp_path / "a.zip", [("x", b"1")], moment)
    assert zipfile.ZipFile(tmp_path / "a.zip").infolist()[0].date_time[0] in (1980, 2107)


@pytest.mark.parametrize("size", [4 * GIB - 2, 4 * GIB - 1, 4 * GIB, 9 * GIB])
def test_files_of_more_than_4_gib_and_what_lies_behind_them_are_found(tmp_path: Path, size: int) -> None:
    write(tmp_path / "a.zip", [("before", b"b"), ("large", size), ("behind", b"behind"), ("large too", 5 * GIB)])
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert [each.file_size for each in found.infolist()] == [1, size, 6, 5 * GIB]
        assert (found.read("before"), found.read("behind")) == (b"b", b"behind")
        with found.open("large") as large:
            assert large.read(3) == b"\0\0\0"


def test_more_than_65_535_files_are_all_found(tmp_path: Path) -> None:
    write(tmp_path / "a.zip", [(f"{n}", b"") for n in range(65_536)])
    assert len(zipfile.ZipFile(tmp_path / "a.zip").infolist()) == 65_536


@pytest.mark.skipif(shutil.which("unzip") is None and shutil.which("bsdtar") is None, reason="needs unzip or bsdtar")
def test_other_readers_agree(tmp_path: Path) -> None:
    write(tmp_path / "a.zip", [("a b.txt", b"1"), ("folder/x", b"2" * 70_000)])
    tool = ["unzip", "-tq"] if shutil.which("unzip") else ["bsdtar", "-tf"]
    assert subprocess.run([*tool, str(tmp_path / "a.zip")], check=True, capture_output=True).returncode == 0
