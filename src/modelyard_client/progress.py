"""What a transfer tells while it goes on. The methods are called from many threads."""

from __future__ import annotations

from modelyard_client.results import Failure, Moved, Retry


class Progress:
    """Told of everything; this one does nothing with it."""

    def planned(self, files: int, size: int) -> None:
        """So many files of so many bytes in all are to be there in the end."""

    def moved(self, count: int) -> None:
        """So many bytes more crossed the wire, which are none that crossed it before."""

    def spared(self, count: int) -> None:
        """So many bytes more need not cross the wire: they are there."""

    def compared(self, count: int) -> None:
        """So many bytes more were read here, to know whether they are what is there."""

    def noted(self, sentence: str) -> None:
        """Something that somebody may want to know."""

    def retries(self, retry: Retry) -> None:
        """Something has failed, and is tried again. Where many connections fail at once, it is told of one."""

    def settled(self, file: Moved | Failure) -> None:
        """A file is done with."""

    def ended(self) -> None:
        """Nothing more will be told."""
