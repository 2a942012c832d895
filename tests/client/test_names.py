from __future__ import annotations

import httpx2
import pytest

from modelyard_client.errors import Mismatch, UsageMistake
from modelyard_client.names import in_url, require_inside, require_sendable

GOOD = ["model.bin", "a/b/c.bin", "größe.bin", "a%20b", "with space", "…", ".hidden", "a\u200db", "x" * 255]
BAD = [
    *("", ".", "..", "a/../b", "/etc/passwd", "a//b", "a/", "%2e%2e", "%252e%252e", "a%2fb", "a\\b", "..\\x", "a\x00b"),
    *("a\nb", "a\u202eb", "a\u2028b", "x" * 256, "/".join(["y" * 200] * 6), "lone\udc80"),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_the_server_takes_is_sent(name: str, root: httpx2.Client, version_url: str) -> None:
    require_sendable(name)
    require_inside(name, windows=False)
    assert root.put(f"{version_url}/{in_url(name)}", content=b"x").status_code == 201


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_the_server_refuses_is_told_before_it_is_sent(name: str) -> None:
    with pytest.raises(UsageMistake):
        require_sendable(name)
    with pytest.raises(Mismatch):
        require_inside(name, windows=False)


@pytest.mark.parametrize("name", ["con", "a/NUL.txt", "lpt1.bin", "c:x", "a.", "a ", "what?", "a|b"])
def test_what_windows_takes_for_something_else_is_not_written_there(name: str) -> None:
    require_inside(name, windows=False)
    with pytest.raises(Mismatch):
        require_inside(name, windows=True)
