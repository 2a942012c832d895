"""Rights to send bytes before the commit that names them: given to who may write, and held against when they are used.

A right is a ticket: a secret in a URL, for one object of one user in one project, or for whatever xet sends. It ends
with its time, and with the token that it was made with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from modelyard.access.identity import Identity, identify, require_scope
from modelyard.access.policy import Action, require
from modelyard.access.tokens import digest_of
from modelyard.clock import Milliseconds, now
from modelyard.errors import Forbidden, TooManyRequests, Unauthorized, UploadNotFound
from modelyard.registry.engine import Database
from modelyard.registry.hub.uploads import Sender
from modelyard.registry.repository import Registry
from modelyard.registry.tables import UploadTicket
from modelyard.services.files.ingest import Hold
from modelyard.services.files.quota import require_room
from modelyard.services.files.transfers import Transfers
from modelyard.services.people.authentication import authenticate

TICKET_SECONDS = 24 * 3600
MAX_TICKETS = 50_000  # of a user in a project


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that a client has: its SHA-256 and its bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Right:
    """A ticket that holds: what it is for, and how much may come by it."""

    ticket: UploadTicket
    token: str  # the digest of the one that it was made with
    sender: Sender
    holds: Hold

    @property
    def session(self) -> str:
        """By what pieces of one object are kept apart from those of another upload of it."""
        return self.ticket.digest

    def object(self) -> Wanted:
        """The one object that may be sent. Raises Forbidden where it is for something else."""
        if self.ticket.sha256 is None or self.ticket.size is None:
            raise Forbidden("This URL is not for an object")
        return Wanted(self.ticket.sha256, self.ticket.size)


class Tickets:
    """Gives rights to send, and knows them again."""

    def __init__(self, database: Database, files: Transfers) -> None:
        self._database = database
        self._files = files

    def give(
        self,
        registry: Registry,
        caller: Identity,
        sender: Sender,
        tickets: Sequence[tuple[str, Wanted | None]],
        seconds: int = TICKET_SECONDS,
    ) -> Milliseconds:
        """Give rights to send, by their secrets; the answer is when they end. Raises TooManyRequests."""
        at = now()
        registry.uploads.forget_before(at)
        if registry.uploads.open_tickets(sender) + len(tickets) > MAX_TICKETS:
            raise TooManyRequests("Too many uploads have been begun and not sent", seconds)
        if caller.token_id is None:
            raise Unauthorized
        ends = at + seconds * 1000
        registry.uploads.add_tickets(
            [
                UploadTicket(
                    digest=digest_of(secret),
                    project_id=sender.project_id,
                    user_id=sender.user_id,
                    token_id=caller.token_id,
                    sha256=each.sha256 if each is not None else None,
                    size=each.size if each is not None else None,
                    expires_at=ends,
                )
                for secret, each in tickets
            ]
        )
        return ends

    def holds(self, registry: Registry, project_id: int) -> Hold:
        """What refuses more bytes than a file, or the project, may have."""
        most, room = self._files.max_file_size, self._files.quota.left(registry, project_id)
        return partial(require_room, most=most, room=room)

    async def admit(self, secret: str, credential: str | None = None) -> Right:
        """What the holder of a secret may send; `credential`: a token that came beside it, which must be of the same
        user.

        Raises UploadNotFound, Forbidden for another user's, and what `identify` and `require` raise.
        """

        def work(registry: Registry) -> Right:
            found = registry.uploads.ticket(digest_of(secret))
            if found is None or found[0].expires_at <= now():
                raise UploadNotFound
            ticket, token = found
            caller = identify(registry.tokens.facts_by_id(ticket.token_id), now())
            require_scope(caller, writing=True)
            if credential is not None and authenticate(registry, credential).user_id != caller.user_id:
                raise Forbidden("The right to send is another user's")
            project = registry.projects.find(ticket.project_id, caller.user_id)
            require(caller, project[1] if project else None, Action.WRITE)
            sender = Sender(ticket.project_id, ticket.user_id)
            return Right(ticket, token, sender, self.holds(registry, ticket.project_id))

        return await self._database.read(work)
