from __future__ import annotations

import pytest

from modelyard_client.errors import UsageMistake
from modelyard_client.local.patterns import Rule, Selection, ignoring


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*.bin", ["a.bin", "d/a.bin"], ["a.bin.txt", "abin"]),
        ("/*.bin", ["a.bin"], ["d/a.bin"]),
        ("d/*.bin", ["d/a.bin"], ["d/e/a.bin", "x/d/a.bin"]),
        ("**/a.bin", ["a.bin", "d/a.bin", "d/e/a.bin"], ["d/xa.bin"]),
        ("d/**", ["d/a", "d/e/a"], ["a"]),
        ("d/**/z", ["d/z", "d/e/f/z"], ["dz"]),
        ("build", ["build", "build/a", "x/build/a"], ["builds"]),
        ("build/", ["build/a", "x/build/a"], ["build"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab].x", ["a.x"], ["c.x"]),
        ("[!ab].x", ["c.x"], ["a.x"]),
        ("a+b(1).bin", ["a+b(1).bin"], ["aab1.bin"]),
        ("[", ["["], ["a"]),
        ("[a-c].x", ["b.x"], ["d.x"]),
        ("[[a].x", ["[.x", "a.x"], ["b.x"]),
        ("[a&&b].x", ["&.x", "b.x"], ["c.x"]),
        ("[!a/]x", ["bx"], ["a", "ax", "/x"]),
        (r"\#a", ["#a"], [r"\#a"]),
        (r"a\*", ["a*"], ["ab"]),
        (r"\[a]", ["[a]"], ["a"]),
        ("a\\", ["a\\"], ["a"]),
    ],
)
def test_a_pattern_fits_as_gitignore_s_do(pattern: str, fitting: list[str], others: list[str]) -> None:
    rule = Rule(pattern, takes=True)
    assert [name for name in fitting + others if rule.fits(name)] == fitting


def test_the_last_rule_that_fits_decides() -> None:
    selection = Selection([Rule("*.bin", takes=False), Rule("keep.bin", takes=True)])
    assert [selection.takes(name) for name in ("a.bin", "keep.bin", "b.txt")] == [False, True, True]
    turned = Selection([Rule("keep.bin", takes=True), Rule("*.bin", takes=False)])
    assert [turned.takes(name) for name in ("a.bin", "keep.bin", "b.txt")] == [False, False, False]


def test_what_is_included_first_leaves_out_all_others() -> None:
    assert [Selection([Rule("*.bin", takes=True)]).takes(name) for name in ("a.bin", "b.txt")] == [True, False]


def test_lines_of_an_ignore_file_leave_out_and_take_in_again() -> None:
    selection = ignoring(["# remark", "", "*.log  ", "!keep.log", "tmp/"])
    names = ["a.log", "keep.log", "tmp/x", "tmp", "# remark", "a"]
    assert [name for name in names if selection.takes(name)] == ["keep.log", "tmp", "# remark", "a"]
    assert ignoring(["!a"]).takes("b")


def test_a_backslash_lets_a_line_begin_with_a_sign_and_end_with_a_blank() -> None:
    selection = ignoring([r"\#a", r"\!b", "c\\ ", "d "])
    names = ["#a", "!b", "c ", "d", "a", "b", "c", "d "]
    assert [name for name in names if selection.takes(name)] == ["a", "b", "c", "d "]


@pytest.mark.parametrize("pattern", ["[z-a]", "[a--b]"])
def test_what_is_no_pattern_is_a_mistake_of_usage(pattern: str) -> None:
    with pytest.raises(UsageMistake, match="no pattern"):
        Rule(pattern, takes=True).fits("a")
