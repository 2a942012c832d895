"""What can go wrong: each kind is a class, with a code that scripts read and the exit status of the command.

ClientError 1
├── UsageMistake 2          what was asked for cannot be meant
├── NotIdentified 3         no token, or one that the server does not know (401)
├── Forbidden 3             a token whose role or scope is too low (403)
├── NotFound 4              a project, model, version or file that is not there, or not shown (404, 410)
├── Mismatch 5              bytes that are not those of a SHA-256
│   └── FileChanged 5       a file that was changed while it was sent
├── NoRoom 6                a full disk here or there (507), or a project's limit
├── Partly 7                some files arrived, others did not
├── Unreachable 8           no answer, or none but 5xx and 429, after all tries
├── Refused 1               whatever else the server refuses
└── Interrupted 130         by Ctrl-C
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard_client.results import Transfer


class ClientError(Exception):
    """What keeps something from being done, in one sentence; `code` and `exit_status` stay as they are."""

    code = "failed"
    exit_status = 1

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class UsageMistake(ClientError):
    """What was asked for cannot be meant."""

    code = "usage"
    exit_status = 2


class NotIdentified(ClientError):
    """There is no token, or the server does not know it."""

    code = "not_identified"
    exit_status = 3


class Forbidden(ClientError):
    """Whoever the token belongs to may not do that."""

    code = "forbidden"
    exit_status = 3


class NotFound(ClientError):
    """It is not there, or not for whoever asks."""

    code = "not_found"
    exit_status = 4


class Mismatch(ClientError):
    """Bytes are not those of the SHA-256 that they should have."""

    code = "mismatch"
    exit_status = 5


class FileChanged(Mismatch):
    """A file was changed while it was sent; nothing of it was kept."""

    code = "changed"


class NoRoom(ClientError):
    """A disk is full, here or there, or a project's limit is reached. What is there stays, to go on with."""

    code = "no_room"
    exit_status = 6


class Partly(ClientError):
    """Some files arrived; `transfer` tells of them, and of the others."""

    code = "partly"
    exit_status = 7

    def __init__(self, sentence: str, transfer: Transfer) -> None:
        super().__init__(sentence)
        self.transfer = transfer


class Unreachable(ClientError):
    """The server did not answer as it should, after all tries."""

    code = "unreachable"
    exit_status = 8


class Refused(ClientError):
    """The server refuses what it was sent, and would again. `status` is HTTP's."""

    code = "refused"

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class Interrupted(ClientError):
    """Somebody has pressed Ctrl-C, or asked for a stop. What is there stays, to go on with."""

    code = "interrupted"
    exit_status = 130
