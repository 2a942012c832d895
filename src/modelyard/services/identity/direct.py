"""Credentials that others issue, taken as they are where an administrator has opted in: id tokens, and the
`CI_JOB_TOKEN` of one GitLab.

One that holds becomes a job's token with the credential's own digest, so that whatever looks a credential up finds it,
for a minute; then it is looked at again. Whoever presents it, in whichever worker, is the same job meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import orjson

from modelyard.access.tokens import Scope, TokenKind, digest_of
from modelyard.clock import Milliseconds, now
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer, Token
from modelyard.services.files.recent import Recent
from modelyard.services.identity.exchange import Exchange, Minted, Verified, act_for, find_publisher, note_issued
from modelyard.services.identity.fetching import FetchFailed, Reach, fetch
from modelyard.services.identity.jobs import HEADS, MAX_FACT, TAGS, Job
from modelyard.services.identity.kinds import Kind
from modelyard.services.identity.origins import Origin
from modelyard.services.identity.refusals import NoKeys, Reason, Refused
from modelyard.services.identity.verification import LEEWAY, Signed

VERDICT_SECONDS = 60
AGAIN_SECONDS = 55  # before the verdict ends
MAX_VERDICTS = 10_000
MAX_ASKED_AT_ONCE = 4  # jobs that GitLab is asked for
JOB_PATH = "/api/v4/job"
_OK = 200
_REFUSED = (401, 403, 404)


class Direct:
    """Looks at credentials of others; one for a process."""

    def __init__(self, exchange: Exchange, *, loopback: bool) -> None:
        self._exchange = exchange
        self._loopback = loopback
        self._verdicts = Recent[float](MAX_VERDICTS)
        self._asking = asyncio.Semaphore(MAX_ASKED_AT_ONCE)

    async def admit_id_token(self, token: str) -> None:
        """Let an id token be found as a credential, if it is one. Raises NoKeys where its issuer cannot be asked."""
        await self._admit(token, lambda: self._exchange.verified(token, lambda issuer: issuer.jobs and issuer.direct))

    async def admit_job_token(self, token: str) -> None:
        """The same for a `CI_JOB_TOKEN`; NoKeys where GitLab cannot be asked."""
        await self._admit(token, lambda: self._ask(token))

    async def _admit(self, token: str, look: Callable[[], Awaitable[Verified | None]]) -> None:
        digest = digest_of(token)
        begun = time.monotonic()
        if (self._verdicts.get(digest) or 0.0) > begun:
            return
        with suppress(Refused):  # the log has it, and whoever looks the credential up finds none
            if (verified := await look()) is not None:
                await self._exchange.settle(verified, lambda registry: _keep(registry, verified, digest))
        self._verdicts.put(digest, begun + AGAIN_SECONDS)

    async def _ask(self, token: str) -> Verified | None:
        issuer = await self._exchange.database.read(lambda registry: registry.issuers.of_job_tokens())
        if issuer is None or not issuer.jobs:
            return None
        async with self._asking:
            try:
                status, body = await asyncio.to_thread(_fetch_job, issuer, token, self._loopback)
            except FetchFailed as error:
                raise NoKeys(str(error)) from error
        if status in _REFUSED:
            return None
        if status != _OK:
            raise NoKeys(f"GitLab answers {status}")
        return _running(issuer, body)


def _fetch_job(issuer: Issuer, token: str, loopback: bool) -> tuple[int, bytes]:
    return fetch(issuer.url.rstrip("/") + JOB_PATH, Reach(issuer.private, loopback), issuer.ca, {"JOB-TOKEN": token})


def _running(issuer: Issuer, body: bytes) -> Verified | None:
    """The job that GitLab tells of, if it runs. It says nothing of protection, and so only publishers that do not ask
    for it are met.
    """
    try:
        told = orjson.loads(body)
        pipeline, ref = told["pipeline"], str(told["ref"])
        project, job = str(int(pipeline["project_id"])), str(int(told["id"]))
        running, source = told["status"] == "running", str(pipeline["source"])
    except (ValueError, TypeError, KeyError) as error:
        raise NoKeys("GitLab's answer is of no job") from error
    if not running:
        return None
    user, commit = told.get("user"), told.get("commit")
    whole = (TAGS if told.get("tag") is True else HEADS) + ref
    origin = Origin(
        issuer.url,
        f"job {job}",
        f"project {project}",
        whole[:MAX_FACT],
        _text(commit, "id"),
        job,
        _text(user, "username"),
        url if (url := _text(told, "web_url")).startswith(f"{issuer.url.rstrip('/')}/") else "",
    )
    claims = {"project_id": project, "pipeline_source": source}
    signed = Signed(issuer, origin.subject, now() + VERDICT_SECONDS * 1000, {})
    return Verified(signed, Job(Kind.GITLAB, (project,), claims, origin, whole, event=source))


def _keep(registry: Registry, verified: Verified, digest: str) -> Minted:
    """A job's token of that digest, for a minute more; one that was revoked stays so while its publisher is there."""
    found = find_publisher(registry, verified, None)
    at, publisher = now(), found.publisher
    until: Milliseconds = min(at + VERDICT_SECONDS * 1000, verified.signed.expires_at + LEEWAY * 1000)
    token = registry.publishers.token_by_digest(digest)
    if token is not None and registry.publishers.publisher_of(token.id) == publisher.id:
        if token.revoked_at is not None:
            raise Refused(Reason.USED, "The token was revoked")
        token.expires_at = until
        return Minted("", token.scopes, until, VERDICT_SECONDS * 1000)
    if token is not None:
        registry.publishers.forget_token(token)
    act_for(registry, found)
    made = registry.tokens.add(
        Token(
            user_id=publisher.user_id,
            project_id=publisher.project_id,
            kind=TokenKind.JOB,
            name=publisher.name,
            digest=digest,
            scopes=Scope.API,
            created_at=at,
            expires_at=until,
        )
    )
    note_issued(registry, verified, found, made)
    return Minted("", made.scopes, until, VERDICT_SECONDS * 1000)


def _text(told: object, name: str) -> str:
    value = told.get(name) if isinstance(told, dict) else None
    return value[:MAX_FACT] if isinstance(value, str) else ""
