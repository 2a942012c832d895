"""The command `modelyard` as a process that works in a folder, with no settings of the tester's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.databases import ON_POSTGRESQL, database_url
from tests.preloaded import Start, fork_of, own_umask

COMMAND = Path(sys.executable).with_name("modelyard")
ROOT = Path(__file__).resolve().parent.parent
# What the interpreter, or the C library, reads when it starts.
_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "MALLOC_", "GLIBC_")


def environment_of(folder: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a process in the folder: its database is of the kind that the tests run on, and it is empty."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    if ON_POSTGRESQL:
        clean["MODELYARD_DATABASE_URL"] = database_url(folder / "data", migrated=False)
    return clean | dict(variables or {})


def unmeasured(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process whose coverage tells nothing: to trace what it imports takes longer than that."""
    return {name: value for name, value in variables.items() if not name.startswith("COVERAGE")}


def run(folder: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command with settings, given without `MODELYARD_`, to its end."""
    environment = environment_of(folder, {f"MODELYARD_{name}": value for name, value in settings.items()})
    return finished(arguments, cwd=folder, env=environment)


def finished(
    arguments: Sequence[str | Path], given: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, `given` a standard input, with the options of `Command`."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    options |= {"stdin": subprocess.PIPE} if given is not None else {}
    with Command(arguments, **options) as process:
        output, errors = process.communicate(given)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


class Command(subprocess.Popen[Any]):
    """A process of the command, which begins as a fork of one that has imported it.

    Where that would be another start (as another user, with other variables for the interpreter) it begins by itself.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        program: Path = COMMAND,
        preloaded: Preloaded | None = None,
        **options: Any,
    ) -> None:
        """`program`: a script in Python that runs the command, whose forks it begins as, and the options of
        `subprocess.Popen`.
        """
        self._preloaded = preloaded or _preloaded
        super().__init__([str(program), *map(str, arguments)], **options)

    def _execute_child(
        self,
        args: list[str],
        executable: str | None,
        preexec_fn: object,
        close_fds: bool,
        pass_fds: Sequence[int],
        cwd: str | Path | None,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: int | None,
        gids: Sequence[int] | None,
        uid: int | None,
        umask: int,
        start_new_session: bool,
        process_group: int,
    ) -> None:
        """What `subprocess.Popen` calls to begin, when it has made the pipes."""
        variables = dict(os.environ if env is None else env)
        plain = (executable, preexec_fn, gid, gids, uid) == (None,) * 5 and not (shell or pass_fds)
        if plain and process_group == -1 and self._preloaded.serves(variables):
            mask = umask if umask >= 0 else own_umask()
            start = Start(args, str(cwd or Path.cwd()), variables, mask, start_new_session)
            streams = [given if given != -1 else own for own, given in enumerate((p2cread, c2pwrite, errwrite))]
            self.pid = self._preloaded.start(start, streams)
            self._child_created = True
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]
            return
        super()._execute_child(  # type: ignore[misc]
            args,
            executable,
            preexec_fn,
            close_fds,
            pass_fds,
            cwd,
            env,
            startupinfo,
            creationflags,
            shell,
            p2cread,
            p2cwrite,
            c2pread,
            c2pwrite,
            errread,
            errwrite,
            restore_signals,
            gid,
            gids,
            uid,
            umask,
            start_new_session,
            process_group,
        )


class Preloaded:
    """The process `tests.preloaded`, made when it is first asked for; its forks may do what it may."""

    def __init__(
        self, python: Sequence[str | Path] = (sys.executable,), environment: Mapping[str, str] | None = None, **who: Any
    ) -> None:
        """An interpreter with what goes before it, its variables, and the options of `subprocess.Popen` that say as
        whom it runs.
        """
        self._turn = threading.Lock()
        self._python, self._who = python, who
        self._process: subprocess.Popen[bytes] | None = None
        self._channel, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._variables = os.environ if environment is None else environment
        self._read_at_start = _read_at_start(self._variables)
        _all_preloaded.append(self)

    def serves(self, variables: Mapping[str, str]) -> bool:
        """Whether a process with these variables may be one of its forks."""
        return sys.platform == "linux" and _read_at_start(variables) == self._read_at_start

    def start(self, start: Start, streams: Sequence[int]) -> int:
        """The id of a new process, a child of this one."""
        with self._turn:
            if self._process is None:
                self._process = self._begin()
            return fork_of(self._channel, start, streams)

    def end(self) -> None:
        """Let it end, if it has begun."""
        with self._turn:
            self._channel.close()
            self._theirs.close()
            if self._process is not None:
                self._process.wait(60)

    def _begin(self) -> subprocess.Popen[bytes]:
        theirs = self._theirs.fileno()
        # The forks are measured, each by itself; it is not.
        ours = ("COVERAGE", "MODELYARD_")
        clean = {name: value for name, value in self._variables.items() if not name.startswith(ours)}
        command = [*self._python, "-m", "tests.preloaded", str(theirs)]
        options = self._who | {"cwd": ROOT, "env": clean, "pass_fds": [theirs]}
        with Path(os.devnull).open("r+b") as nothing:
            return subprocess.Popen(command, stdin=nothing, stdout=nothing, **options)


def _read_at_start(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_READ_AT_START)}


_all_preloaded: list[Preloaded] = []
_preloaded = Preloaded()


def end_preloaded() -> None:
    """Let all of them end that have begun."""
    for each in _all_preloaded:
        each.end()
