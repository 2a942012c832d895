"""Which publisher a job comes by, and if none, what of it does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from modelyard.registry.identity.publishers import Candidate
from modelyard.registry.tables import TrustedPublisher
from modelyard.services.identity.jobs import RULES, WORKFLOWS, Job, Rules
from modelyard.services.identity.refusals import Reason, Refused, mismatch

ANY_REST = "*"  # at the end of a ref


def choose(job: Job, candidates: Sequence[Candidate]) -> Candidate:
    """The publisher that says most of the job. Raises Refused: where none fits, with what the nearest one misses."""
    misses = [(list(_misses(job, each.publisher)), each) for each in candidates]
    fitting = [each for missed, each in misses if not missed]
    if not fitting:
        raise _nearest(job, misses)
    most = max(_said(each.publisher) for each in fitting)
    best = [each for each in fitting if _said(each.publisher) == most]
    if len({each.project.id for each in best}) > 1:
        raise Refused(Reason.TARGET, "The token opens several projects: name one of them as resource")
    return best[0]


def bound_claims(publisher: TrustedPublisher) -> dict[str, str]:
    """The claims that a publisher is bound to."""
    claims: dict[str, str] = orjson.loads(publisher.claims)
    return claims


def _nearest(job: Job, misses: list[tuple[list[Refused], Candidate]]) -> Refused:
    if misses:
        missed, candidate = min(misses, key=lambda each: len(each[0]))
        missed[0].near = candidate.project.id
        return missed[0]
    names = RULES[job.kind].required or ("sub",)
    told = ", ".join(f"{name} {job.claims.get(name, '')[:100]!r}" for name in names)
    return Refused(Reason.PUBLISHER, f"No project trusts {told} of this issuer")


def _misses(job: Job, publisher: TrustedPublisher) -> Iterator[Refused]:
    rules = RULES[job.kind]
    for name, value in bound_claims(publisher).items():
        told = job.claims.get(name)
        if told is None or not _same(name, value, told, rules):
            yield mismatch(Reason.CLAIM, name, value, told)
    if publisher.ref and not _fits(publisher.ref, job.ref):
        yield mismatch(Reason.CLAIM, "ref", publisher.ref, job.ref or None)
    if publisher.ref_protected and job.ref_protected != "true":
        yield mismatch(Reason.CLAIM, "ref_protected", "true", job.ref_protected)
    if publisher.environment and not _same_name(publisher.environment, job.environment, rules):
        yield mismatch(Reason.CLAIM, "environment", publisher.environment, job.environment)
    if rules.event and (job.event is None or job.event in rules.refused_events - set(publisher.events.split())):
        yield mismatch(Reason.CLAIM, rules.event, "an event that only those who may write cause", job.event)


def _said(publisher: TrustedPublisher) -> int:
    ref = 0 if not publisher.ref else 1 if publisher.ref.endswith(ANY_REST) else 2
    return len(bound_claims(publisher)) + ref + bool(publisher.environment)


def _fits(pattern: str, ref: str) -> bool:
    return ref.startswith(pattern[:-1]) if pattern.endswith(ANY_REST) else ref == pattern


def _same(name: str, bound: str, told: str, rules: Rules) -> bool:
    if name in WORKFLOWS:
        return _same_workflow(bound, told if "@" in bound else told.partition("@")[0], rules)
    return bound == told


def _same_workflow(bound: str, told: str, rules: Rules) -> bool:
    """`owner/repository/file`, of which GitHub's first two parts may be written in any case."""
    if not rules.ignore_case:
        return bound == told
    (*bound_names, bound_file), (*told_names, told_file) = bound.split("/", 2), told.split("/", 2)
    return bound_file == told_file and [n.lower() for n in bound_names] == [n.lower() for n in told_names]


def _same_name(bound: str, told: str | None, rules: Rules) -> bool:
    if told is None:
        return False
    return bound.casefold() == told.casefold() if rules.ignore_case else bound == told
