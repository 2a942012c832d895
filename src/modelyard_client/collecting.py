"""What became of many files: what one fails of is told at the end, unless it would keep all others as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from modelyard_client.errors import ClientError, Interrupted, NoRoom, NotIdentified, Unreachable
from modelyard_client.progress import Progress
from modelyard_client.results import Failure, Moved
from modelyard_client.stopping import Stop
from modelyard_client.workers import each

FOR_ALL = (NotIdentified, NoRoom, Unreachable, Interrupted)


class Work(NamedTuple):
    """A file, or a part of one. `do` gives what became of the file, None where other parts are to come, or those."""

    path: str
    do: Callable[[], Moved | list[Work] | None]


def collected(work: Sequence[Work], jobs: int, stop: Stop, progress: Progress) -> tuple[list[Moved], list[Failure]]:
    """Do all of the work; the answers are by name.

    Raises what keeps all files from arriving, and, where none arrived, what the first one has failed of.
    """
    moved: list[Moved] = []
    failed: list[tuple[Failure, ClientError]] = []
    results: Iterator[Moved | tuple[Failure, ClientError]] = each(_attempted, work, jobs, stop)
    for found in results:
        if isinstance(found, Moved):
            moved.append(found)
            progress.settled(found)
        else:
            failed.append(found)
            progress.settled(found[0])
    if failed and not moved:
        raise failed[0][1]
    return sorted(moved, key=lambda file: file.path), sorted((told for told, _ in failed), key=lambda told: told.path)


def _attempted(work: Work) -> Moved | tuple[Failure, ClientError] | list[Work] | None:
    try:
        return work.do()
    except FOR_ALL:
        raise
    except ClientError as error:
        return Failure(work.path, error.code, error.sentence), error
