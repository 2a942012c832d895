"""What a command names: `group/project/model`, `group/project/model@version` or `group/project/model@candidate:5`."""

from __future__ import annotations

from typing import NamedTuple

from modelyard_client.errors import UsageMistake

CANDIDATE = "candidate:"
PROJECT = ("group", "project")  # a project's path has two segments at least


class Target(NamedTuple):
    """`version`: a semantic version, an id, an alias or `candidate:<number>`; None: the newest."""

    project: str
    model: str
    version: str | None

    @property
    def is_candidate(self) -> bool:
        """Whether the files are a run's, which a number of the project names."""
        return self.version is not None and self.version.startswith(CANDIDATE)

    def __str__(self) -> str:
        path = f"{self.project}/{self.model}" if self.model else self.project
        return path if self.version is None else f"{path}@{self.version}"


def parse(text: str) -> Target:
    """A target as it is written. Raises UsageMistake.

    A candidate is its project's, whatever the model: `group/project@candidate:5` names it as well.
    """
    path, at, version = text.rpartition("@")
    if not at:
        path, version = text, ""
    if at and not version:
        raise UsageMistake(f"{text!r} has no version after its @")
    if "/" in version:  # the @ is the model's
        path, version = text, ""
    segments = path.split("/")
    alone = len(segments) == len(PROJECT) and version.startswith(CANDIDATE)
    if not all(segments) or not (segments[len(PROJECT) :] or alone):
        raise UsageMistake(f"{text!r} is not group/project/model or group/project/model@version")
    if version.startswith(CANDIDATE) and not version.removeprefix(CANDIDATE).isdecimal():
        raise UsageMistake(f"{version!r} is not {CANDIDATE} and a number")
    if alone:
        return Target(path, "", version)
    return Target("/".join(segments[:-1]), segments[-1], version or None)
