"""The client's Python API: it prints nothing, and raises the errors of `errors`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from modelyard_client.catalog import Catalog
from modelyard_client.credentials import Credentials, Login, require_token, server_url
from modelyard_client.errors import Partly, UsageMistake
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport
from modelyard_client.local.places import cache_folder, state_folder
from modelyard_client.local.walking import Walk, files_of
from modelyard_client.progress import Progress
from modelyard_client.pull.pulling import Pull, PullOptions, chosen
from modelyard_client.pull.ranges import Ranges
from modelyard_client.push.pushing import Keeping, Push, PushOptions
from modelyard_client.results import RemoteFile, Transfer, User, Verification, Version
from modelyard_client.stopping import Stop
from modelyard_client.targets import Target, parse
from modelyard_client.verifying import verified, verified_pieces

SILENT = Progress()


class Registry:
    """A registry, as whoever a token belongs to sees it.

    `host` and `token` are by default what `MODELYARD_URL` and `MODELYARD_TOKEN`, `myd login` or netrc say; `token=""`
    asks anonymously. Targets are written as on the command line: `group/project/model@version`. All methods raise
    `ClientError`.
    """

    def __init__(self, host: str | None = None, token: str | None = None, *, progress: Progress = SILENT) -> None:
        login = Credentials().find(host) if token is None or host is None else Login(server_url(host), None)
        if token is not None:
            login = Login(login.url, require_token(token) if token else None)
        self._stop = Stop()
        self._progress = progress
        self._transport = Transport(login, self._stop, progress=progress)

    @property
    def _catalog(self) -> Catalog:
        return Catalog(self._ready())

    @property
    def host(self) -> str:
        """The server's URL."""
        return self._transport.login.url

    def user(self) -> User:
        """Whose token it is."""
        return self._catalog.user()

    def versions(self, target: str) -> list[Version]:
        """The versions of `group/project/model`, the newest first."""
        return self._catalog.versions(_without_version(target))

    def files(self, target: str) -> list[RemoteFile]:
        """The files of a version or candidate, by name."""
        catalog = self._catalog
        return catalog.files(catalog.place(parse(target)))

    def push(
        self,
        paths: Sequence[str | os.PathLike[str]],
        target: str,
        *,
        walk: Walk = Walk(),  # noqa: B008 - it never changes
        options: PushOptions = PushOptions(),  # noqa: B008 - as above
    ) -> Transfer:
        """Send files, and what is in folders. What is there already costs no byte, and what is left off goes on.

        Raises Partly where some files arrived and others did not.
        """
        meant = parse(target)
        files = files_of([Path(path) for path in paths], walk)
        push = Push(self._ready(), self._progress, options, Keeping(state_folder(), cache_folder()))
        return _whole(push.run(files, meant), "sent")

    def pull(
        self,
        target: str,
        folder: str | os.PathLike[str] = ".",
        *,
        options: PullOptions = PullOptions(),  # noqa: B008
    ) -> Transfer:
        """Bring files into a folder, each of which appears once its SHA-256 is right.

        Raises Partly where some files arrived and others did not.
        """
        pull = Pull(self._ready(), self._progress, options, cache_folder())
        return _whole(pull.run(parse(target), Path(folder)), "received")

    def read(self, target: str, name: str) -> Iterator[bytes]:
        """The bytes of one file as they come. Raises Mismatch at the end where they are not those of its SHA-256."""
        catalog = self._catalog
        place = catalog.place(parse(target))
        file = catalog.file(place, name)
        transport = self._ready()
        return verified_pieces(Ranges(transport, Pace(transport.stop), place), file)

    def verify(
        self,
        target: str,
        folder: str | os.PathLike[str] = ".",
        *,
        options: PullOptions = PullOptions(),  # noqa: B008 - it never changes
    ) -> Verification:
        """Compare the files of a folder, read anew, with those of a version."""
        files = chosen(self.files(target), options.names, options.selection)
        return verified(target, files, Path(folder), self._ready().stop, self._progress)

    def remove(self, target: str, names: Sequence[str]) -> list[str]:
        """Remove files, and those before them of the same names; the answer is their names."""
        if not names:
            raise UsageMistake("No file is named; `remove_version` removes a version")
        catalog = self._catalog
        place = catalog.place(parse(target))
        found = [file.path for file in chosen(catalog.files(place), names, PullOptions().selection)]
        for name in found:
            catalog.remove_file(place, name)
        return found

    def remove_version(self, target: str) -> None:
        """Remove a version, with its files; it has to be named."""
        meant = parse(target)
        if meant.version is None:
            raise UsageMistake(f"{target} names no version: to remove the newest by mistake would be easy")
        catalog = self._catalog
        catalog.remove_version(catalog.place(meant))

    def stop(self) -> None:
        """End what goes on in other threads, which raises Interrupted there within a second."""
        self._stop.set()

    def close(self) -> None:
        """Let go of all connections."""
        self._transport.close()

    def _ready(self) -> Transport:
        """The transport, after a stop with one that what was stopped does not know."""
        if self._stop.wanted:
            self._stop = Stop()
            self._transport = self._transport.stopped_by(self._stop)
        return self._transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole(transfer: Transfer, done: str) -> Transfer:
    if transfer.failed:
        count = len(transfer.files) + len(transfer.failed)
        first = transfer.failed[0]
        told = f"{len(transfer.failed)} of {count} files were not {done}; {first.path}: {first.message}"
        raise Partly(told, transfer)
    return transfer


def _without_version(text: str) -> Target:
    target = parse(text)
    if target.version is not None:
        raise UsageMistake(f"{text!r} names a version already")
    return target
