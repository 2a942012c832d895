"""Id tokens of jobs exchanged for short tokens of one project (RFC 8693).

All is looked at before anything is written, so that a refusal uses up nothing; what is written is one transaction: the
job's token, and that its id token was used. Both outcomes go to the log, the metrics, and, once the signature has held,
to the audit trail: before that anybody could fill it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog

from modelyard.access.identity import Identity
from modelyard.access.policy import ProjectFacts, Visibility
from modelyard.access.tokens import Scope, TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.engine import Database
from modelyard.registry.identity.publishers import Candidate
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer, Token
from modelyard.services.identity import id_tokens, origins
from modelyard.services.identity.id_tokens import Claims
from modelyard.services.identity.jobs import MAX_FACT, Job, describe
from modelyard.services.identity.keys import Keys
from modelyard.services.identity.matching import choose
from modelyard.services.identity.origins import Origin
from modelyard.services.identity.refusals import NoKeys, Reason, Refused, mismatch
from modelyard.services.identity.verification import LEEWAY, Signed, hold, require_audience, verify_signature
from modelyard.services.people.credentials import KEPT, store
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.terms.paths import parse_id
from modelyard.terms.repositories import RepositoryId

log = structlog.get_logger()

MARGIN = 60  # seconds for which a used id token is known beyond the time in which it could be used
MAX_JTI = 255
ISSUED = "issued"
NOTHING_OPEN = "resource: the token opens no project of that name"

Count = Callable[[str, str], None]  # told of each exchange: the kind of issuer, and the outcome


@dataclass(frozen=True, slots=True)
class Asked:
    """An id token to be exchanged, and for what."""

    token: str
    resource: str | None = None  # a project by its path or id, or as Hugging Face's clients name it
    scopes: tuple[str, ...] = (Scope.API,)


@dataclass(frozen=True, slots=True)
class Minted:
    """A job's token that was made."""

    secret: str
    scopes: str
    expires_at: Milliseconds
    lifetime: Milliseconds


@dataclass(frozen=True, slots=True)
class Verified:
    """A job whose token holds in every respect but whether any project trusts it."""

    signed: Signed
    job: Job


class Exchange:
    """Exchanges id tokens; one for a process."""

    def __init__(self, database: Database, keys: Keys, rows: RowsQuota, count: Count, *, loopback: bool) -> None:
        self.database = database
        self._keys = keys
        self._rows = rows
        self._count = count
        self._loopback = loopback

    async def exchange(self, asked: Asked) -> Minted:
        """A token of the project that trusts the job. Raises Refused, and NoKeys where its issuer cannot be asked."""
        verified = await self.verified(asked.token, lambda issuer: issuer.jobs)
        return await self.settle(verified, lambda registry: self._mint(registry, verified, asked))

    async def verified(self, token: str, serves: Callable[[Issuer], bool]) -> Verified:
        """The job of an id token of an issuer that `serves`. Raises as `exchange`."""
        issuer: Issuer | None = None
        held: Claims | None = None
        try:
            read = id_tokens.read(token)
            issuer = await self.database.read(lambda registry: registry.issuers.by_url(read.issuer))
            if issuer is None or not serves(issuer):
                raise Refused(Reason.UNKNOWN_ISSUER)
            await verify_signature(read, issuer, self._keys, loopback=self._loopback)
            held = read.claims
            signed = hold(read, issuer, now())
            require_audience(signed, issuer.audience)
            return Verified(signed, describe(signed))
        except Refused as refused:
            await self._note_refused(refused, issuer, held)
            raise
        except NoKeys:
            self._count(issuer.kind if issuer is not None else "", Reason.NO_KEYS)
            raise

    async def settle(self, verified: Verified, work: Callable[[Registry], Minted]) -> Minted:
        """What `work` makes of a job in one transaction; a refusal of its is noted, and raised."""
        try:
            minted = await self.database.write(work)
        except Refused as refused:
            await self._note_refused(refused, verified.signed.issuer, verified.signed.claims, verified.job)
            raise
        self._count(verified.signed.issuer.kind, ISSUED)
        return minted

    def _mint(self, registry: Registry, verified: Verified, asked: Asked) -> Minted:
        issuer = verified.signed.issuer
        found = find_publisher(registry, verified, asked.resource)
        at, publisher = now(), found.publisher
        if issuer.single:
            _use(registry, verified)
        self._rows.hold(registry, found.project.id)
        registry.publishers.prune(at - KEPT)
        act_for(registry, found)
        token, secret = store(
            registry,
            Token(
                user_id=publisher.user_id,
                project_id=publisher.project_id,
                kind=TokenKind.JOB,
                name=publisher.name,
                scopes=" ".join(asked.scopes),
                created_at=at,
                expires_at=at + publisher.lifetime,
            ),
        )
        note_issued(registry, verified, found, token)
        return Minted(secret, token.scopes, at + publisher.lifetime, publisher.lifetime)

    async def _note_refused(
        self, refused: Refused, issuer: Issuer | None, held: Claims | None, job: Job | None = None
    ) -> None:
        """`held`: what the token says, where its signature has held."""
        self._count(issuer.kind if issuer is not None else "", refused.reason)
        told = _told(issuer, held, job) if issuer is not None and held is not None else {}
        log.warning(
            "id token refused",
            reason=refused.reason,
            note=refused.note,
            issuer=issuer.url if issuer is not None else None,
            **told,
        )
        if issuer is not None and told:
            facts = {"reason": refused.reason, "note": refused.note, **told}
            await self.database.write(lambda registry: _audit_refusal(registry, issuer.id, refused, facts))


def find_publisher(registry: Registry, verified: Verified, resource: str | None) -> Candidate:
    """The publisher that a job comes by; nobody else changes its project and issuer from now on. Raises Refused."""
    found, issuer = _choose(registry, verified, resource), verified.signed.issuer
    registry.locks.project(found.project.id)
    if registry.locks.issuer(issuer.id):
        again = _choose(registry, verified, resource)
        if again.project.id != found.project.id:
            raise Refused(Reason.PUBLISHER, "The project has changed meanwhile")
        found = again
    current = registry.issuers.by_id(issuer.id)
    if current is None or current.updated_at != issuer.updated_at:
        raise Refused(Reason.UNKNOWN_ISSUER, "The issuer has changed meanwhile")
    return found


def act_for(registry: Registry, found: Candidate) -> None:
    """Let the publisher's bot act in its project from now on."""
    publisher, project = found.publisher, found.project
    bot = Identity(user_id=publisher.user_id, username=publisher.name, bot=True)
    facts = ProjectFacts(project.id, project.full_path, Visibility(project.visibility), publisher.access_level)
    registry.act(bot, facts)


def note_issued(registry: Registry, verified: Verified, found: Candidate, token: Token) -> None:
    """Keep whose a token is, and write it into the audit trail and the log."""
    job, publisher = verified.job, found.publisher
    registry.publishers.add_origin(token.id, publisher.id, origins.packed(job.origin))
    registry.publishers.touch(publisher)
    if job.origin.project and publisher.source and job.origin.project.lower() != publisher.source.lower():
        log.warning(
            "project of a trusted publisher has another name",
            publisher=publisher.id,
            before=publisher.source,
            now=job.origin.project,
        )
    publisher.source = job.origin.project or publisher.source
    facts = {"add": "job_token", "job_token_id": token.id, **_told(verified.signed.issuer, verified.signed.claims, job)}
    registry.audit.note("id_token_exchanged", publisher, facts)
    log.info(
        "id token exchanged",
        issuer=verified.signed.issuer.url,
        subject=verified.signed.subject,
        project=found.project.full_path,
        publisher=publisher.id,
        token_id=token.id,
    )


def _choose(registry: Registry, verified: Verified, resource: str | None) -> Candidate:
    candidates = registry.publishers.candidates(verified.signed.issuer.id, verified.job.subjects)
    if resource is not None:
        # A project that is not there, and one that does not trust the job, are never told apart.
        candidates = [each for each in candidates if _names(resource, each)]
        if not candidates:
            raise Refused(Reason.TARGET, NOTHING_OPEN)
    return choose(verified.job, candidates)


def _names(resource: str, candidate: Candidate) -> bool:
    project = candidate.project
    if resource.isdecimal():
        return parse_id(resource) == project.id
    repository = RepositoryId.parse(resource)
    named = repository.project if repository is not None and repository.primary_of is None else resource
    return named.lower() == project.path_key


def _use(registry: Registry, verified: Verified) -> None:
    """Use up an id token. Raises Refused where it has been used, or cannot be told from others."""
    jti = verified.job.jti
    if jti is None or not 0 < len(jti) <= MAX_JTI:
        raise mismatch(Reason.CLAIM, "jti", f"1 to {MAX_JTI} characters", jti)
    until = verified.signed.expires_at + (LEEWAY + MARGIN) * 1000
    if not registry.publishers.use(verified.signed.issuer.id, jti, until):
        raise Refused(Reason.USED, "jti: the token has been used already")


def _told(issuer: Issuer, claims: Claims, job: Job | None) -> dict[str, object]:
    """What the log and the audit trail have of a job."""
    subject, jti = claims.get("sub"), claims.get("jti")
    origin = (
        job.origin if job is not None else Origin(issuer.url, subject[:MAX_FACT] if isinstance(subject, str) else "")
    )
    told = {name: value for name, value in asdict(origin).items() if value}
    return {"claims_of_job": told, "jti": jti[:MAX_JTI] if isinstance(jti, str) else None}


def _audit_refusal(registry: Registry, issuer_id: int, refused: Refused, facts: dict[str, object]) -> None:
    issuer = registry.issuers.by_id(issuer_id)
    if issuer is not None:
        project = registry.projects.by_id(refused.near) if refused.near is not None else None
        registry.audit.note("id_token_refused", issuer, facts, entity=project)
