from __future__ import annotations

import pytest

from modelyard_client.errors import UsageMistake
from modelyard_client.targets import Target, parse


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("group/project/model", Target("group/project", "model", None)),
        ("group/project/model@1.2.0", Target("group/project", "model", "1.2.0")),
        ("a/b/c/model@latest", Target("a/b/c", "model", "latest")),
        ("group/project/model@candidate:5", Target("group/project", "model", "candidate:5")),
        ("group/project@candidate:5", Target("group/project", "", "candidate:5")),
        ("group/project/mail@home@2", Target("group/project", "mail@home", "2")),
        ("me@home/project/model", Target("me@home/project", "model", None)),
    ],
)
def test_a_target_is_read_as_it_is_written(text: str, meant: Target) -> None:
    assert parse(text) == meant
    assert str(meant) == text


@pytest.mark.parametrize(
    "text",
    ["", "model", "project/model", "group//model", "/a/b/c", "a/b/c/", "a/b/c@", "a/b@1.0.0", "a/b/c@candidate:x"],
)
def test_what_is_no_target_is_a_mistake_of_usage(text: str) -> None:
    with pytest.raises(UsageMistake):
        parse(text)
