"""Which files are meant: patterns as gitignore's, of which the last that fits a name decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from modelyard_client.errors import UsageMistake

IGNORE_FILE = ".modelyardignore"


class Rule:
    """A pattern, and whether what fits it is meant.

    `*` and `?` stay within a segment, `**` does not; a pattern with a slash before its end is one of the whole name,
    any other of a segment wherever it is; what fits a folder fits all that is below; a backslash lets the next
    character mean itself.
    """

    def __init__(self, pattern: str, takes: bool) -> None:
        self.pattern = pattern
        self.takes = takes

    def fits(self, name: str) -> bool:
        """Whether a file's name, or a folder that it is in, is one of the pattern's. Raises UsageMistake."""
        return self._compiled.match(name) is not None

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        pattern = self.pattern.rstrip("/")
        anchored = "/" in pattern
        below = "/.*" if self.pattern.endswith("/") else "(?:/.*)?"
        before = "" if anchored else "(?:.*/)?"
        try:
            return re.compile(f"{before}{_translated(pattern.removeprefix('/'))}{below}\\Z", re.DOTALL)
        except re.error as error:
            raise UsageMistake(f"{self.pattern!r} is no pattern: {error.msg}") from error


class Selection:
    """Rules in their order. What fits none is left out where the first one takes, unless `otherwise` says it."""

    def __init__(self, rules: Sequence[Rule] = (), *, otherwise: bool | None = None) -> None:
        self._rules = rules
        self._otherwise = not (rules and rules[0].takes) if otherwise is None else otherwise

    def takes(self, name: str) -> bool:
        """Whether a file of that name is meant."""
        deciding = next((rule for rule in reversed(self._rules) if rule.fits(name)), None)
        return self._otherwise if deciding is None else deciding.takes


def ignoring(lines: Iterable[str]) -> Selection:
    """What the lines of an ignore file leave out, but for what `!` takes in again; `#` begins a remark."""
    meant = [_without_blanks(line) for line in lines]
    rules = [Rule(line.removeprefix("!"), line.startswith("!")) for line in meant if line and not line.startswith("#")]
    return Selection(rules, otherwise=True)


def _without_blanks(line: str) -> str:
    """A line without the blanks at its end, but for one after a backslash."""
    short = line.rstrip()
    return line[: len(short) + 1] if short.endswith("\\") else short


def _translated(pattern: str) -> str:
    """A pattern as a regular expression."""
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            negated, inside = "^/" if pattern[at + 1] in "!^" else "", pattern[at + 1 : end]
            out, at = out + f"[{negated}{_of_set(inside[bool(negated) :])}]", end + 1
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            out, at = out + re.escape(pattern[at + 1]), at + 2
        else:
            out, at = out + {"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])), at + 1
    return out


def _of_set(inside: str) -> str:
    """What stands between brackets, where nothing but a single `-` between two others has a meaning."""
    return "".join(c if c == "-" else re.escape(c) for c in inside).replace("--", "-\\-")
