"""Jobs as their issuers describe them: which claims never change, which tell where a job runs, and which refuse it.

By kind of issuer: GitLab's id tokens of CI jobs, GitHub's of Actions, Kubernetes's of service accounts, and any other's
by its claims. A `sub` that its owners may form as they like, as GitLab's and GitHub's, is never read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from modelyard.services.identity.id_tokens import Claims
from modelyard.services.identity.kinds import Kind
from modelyard.services.identity.origins import Origin
from modelyard.services.identity.refusals import Reason, Refused, mismatch
from modelyard.services.identity.verification import Signed

SUBJECT = "sub"
HEADS, TAGS = "refs/heads/", "refs/tags/"
SERVICE_ACCOUNT = "system:serviceaccount:"
KUBERNETES = "kubernetes.io"
MAX_FACT = 255  # characters of what is told of a job
_PATH = re.compile(r"[\w.+-]+(?:/[\w.+-]+)+", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_GITHUB, _ACTIONS_HOST, _ACTIONS = "https://github.com", "token.actions.githubusercontent.com", "token.actions."


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be bound of the jobs of a kind of issuer."""

    required: tuple[str, ...]  # claims that never change, and together name what is trusted
    bindable: frozenset[str] | None  # others; None: any
    refs: bool = False  # whether there are branches, tags, and protection
    event: str = ""  # the claim that tells why a job runs
    refused_events: frozenset[str] = frozenset()  # by which others than those who may write cause a job
    ignore_case: bool = False  # of names


RULES: dict[str, Rules] = {
    Kind.GITLAB: Rules(
        ("project_id",),
        frozenset(
            {
                "ci_config_ref_uri",
                "ci_config_sha",
                "deployment_tier",
                "environment_action",
                "environment_protected",
                "namespace_id",
                "pipeline_source",
                "project_visibility",
                "ref_type",
                "runner_environment",
                "runner_id",
            }
        ),
        refs=True,
        event="pipeline_source",
        refused_events=frozenset({"merge_request_event", "external_pull_request_event"}),
    ),
    Kind.GITHUB: Rules(
        ("repository_id", "repository_owner_id"),
        frozenset(
            {
                "actor_id",
                "enterprise_id",
                "event_name",
                "job_workflow_ref",
                "job_workflow_sha",
                "ref_type",
                "repository_visibility",
                "runner_environment",
                "workflow_ref",
                "workflow_sha",
            }
        ),
        refs=True,
        event="event_name",
        refused_events=frozenset(
            {
                "check_run",
                "check_suite",
                "discussion",
                "discussion_comment",
                "fork",
                "gollum",
                "issue_comment",
                "issues",
                "pull_request",
                "pull_request_comment",
                "pull_request_review",
                "pull_request_review_comment",
                "pull_request_target",
                "status",
                "watch",
                "workflow_run",
            }
        ),
        ignore_case=True,
    ),
    Kind.KUBERNETES: Rules(("namespace", "service_account"), frozenset({"service_account_uid"})),
    Kind.GENERIC: Rules((), None),
}
WORKFLOWS = frozenset({"workflow_ref", "job_workflow_ref", "ci_config_ref_uri"})  # `file@ref`


@dataclass(frozen=True, slots=True)
class Job:
    """A job that an issuer vouches for."""

    kind: str
    subjects: tuple[str, ...]  # by which its publishers are found
    claims: dict[str, str]
    origin: Origin
    ref: str = ""  # whole: `refs/heads/main`
    ref_protected: str | None = None
    environment: str | None = None
    event: str | None = None
    jti: str | None = field(default=None, repr=False)


def describe(signed: Signed) -> Job:
    """The job that a signed token is of. Raises Refused where it is of a person, or of none that can be trusted."""
    if "nonce" in signed.claims:
        raise Refused(Reason.KIND, "nonce: this token signs a person in, and is none of a job")
    return _DESCRIBED[signed.issuer.kind](signed)


def subject_of(kind: str, claims: dict[str, str]) -> str:
    """By what of the bound claims a publisher is found."""
    if kind == Kind.GENERIC:
        return claims.get(SUBJECT, "")
    return " ".join(claims[name] for name in RULES[kind].required)


def _gitlab(signed: Signed) -> Job:
    claims = signed.claims
    project_id = _required(claims, "project_id")
    _required(claims, "job_id")  # which tokens of people do not have
    running_in = claims.get("job_project_id")
    if running_in is not None and running_in != project_id:
        raise mismatch(Reason.CLAIM, "job_project_id", project_id, running_in)
    path, job = _fact(claims, "project_path"), _fact(claims, "job_id")
    ref = _fact(claims, "ref")
    whole = _fact(claims, "ref_path") or (TAGS if claims.get("ref_type") == "tag" else HEADS) + ref
    origin = Origin(
        signed.issuer.url,
        signed.subject[:MAX_FACT],
        path,
        whole,
        _fact(claims, "sha"),
        job,
        _fact(claims, "user_login"),
        f"{signed.issuer.url}/{path}/-/jobs/{job}" if _PATH.fullmatch(path) and _DIGITS.fullmatch(job) else "",
    )
    return _of_ci(signed, (project_id,), origin, whole)


def _github(signed: Signed) -> Job:
    claims = signed.claims
    repository, owner = _required(claims, "repository_id"), _required(claims, "repository_owner_id")
    path, run = _fact(claims, "repository"), _fact(claims, "run_id")
    whole = _fact(claims, "ref")
    place = _github_server(signed.issuer.url)
    attempt = _fact(claims, "run_attempt")
    attempts = f"/attempts/{attempt}" if _DIGITS.fullmatch(attempt) else ""
    origin = Origin(
        signed.issuer.url,
        signed.subject[:MAX_FACT],
        path,
        whole,
        _fact(claims, "sha"),
        run,
        _fact(claims, "actor"),
        f"{place}/{path}/actions/runs/{run}{attempts}" if _PATH.fullmatch(path) and _DIGITS.fullmatch(run) else "",
    )
    return _of_ci(signed, (f"{repository} {owner}",), origin, whole)


def _of_ci(signed: Signed, subjects: tuple[str, ...], origin: Origin, ref: str) -> Job:
    claims, rules = signed.claims, RULES[signed.issuer.kind]
    return Job(
        signed.issuer.kind,
        subjects,
        _texts(claims),
        origin,
        ref,
        _text(claims.get("ref_protected")),
        _text(claims.get("environment")),
        _text(claims.get(rules.event)),
        _text(claims.get("jti")),
    )


def _kubernetes(signed: Signed) -> Job:
    told = signed.claims.get(KUBERNETES)
    account = told.get("serviceaccount") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(account, dict):
        raise mismatch(Reason.KIND, KUBERNETES, "a service account", None)
    names = {
        "namespace": told.get("namespace"),
        "service_account": account.get("name"),
        "service_account_uid": account.get("uid"),
    }
    claims = {name: value for name, value in names.items() if isinstance(value, str)}
    namespace, name = claims.get("namespace"), claims.get("service_account")
    if not namespace or not name or signed.subject != f"{SERVICE_ACCOUNT}{namespace}:{name}":
        raise mismatch(Reason.KIND, SUBJECT, f"{SERVICE_ACCOUNT}{namespace}:{name}", signed.subject)
    pod = told.get("pod")
    origin = Origin(
        signed.issuer.url,
        signed.subject[:MAX_FACT],
        f"{namespace}/{name}"[:MAX_FACT],
        job=_fact(pod, "name") if isinstance(pod, dict) else "",
    )
    return Job(Kind.KUBERNETES, (f"{namespace} {name}",), claims, origin, jti=_text(signed.claims.get("jti")))


def _generic(signed: Signed) -> Job:
    claims = signed.claims
    origin = Origin(
        signed.issuer.url,
        signed.subject[:MAX_FACT],
        ref=_first(claims, "ref", "build_branch"),
        commit=_first(claims, "sha", "commit", "build_commit"),
        job=_first(claims, "job_id", "run_id", "build_number"),
    )
    return Job(Kind.GENERIC, (signed.subject, ""), _texts(claims), origin, jti=_text(claims.get("jti")))


_DESCRIBED: dict[str, Callable[[Signed], Job]] = {
    Kind.GITLAB: _gitlab,
    Kind.GITHUB: _github,
    Kind.KUBERNETES: _kubernetes,
    Kind.GENERIC: _generic,
}


def _github_server(issuer: str) -> str:
    """Where people see the repositories of an issuer: GitHub's, an enterprise's own host, or a data residency's."""
    host = urlsplit(issuer).netloc
    if host == _ACTIONS_HOST:
        return _GITHUB
    return f"https://{quote(host.removeprefix(_ACTIONS), safe=':.[]')}"


def _required(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise mismatch(Reason.KIND, name, "what every job of this issuer has", value)
    return value


def _texts(claims: Claims) -> dict[str, str]:
    return {name: text for name, value in claims.items() if (text := _text(value)) is not None}


def _text(value: object) -> str | None:
    """A claim as it is compared: numbers and truths as JSON has them, and nothing that has parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else None


def _fact(claims: Claims, name: str) -> str:
    return (_text(claims.get(name)) or "")[:MAX_FACT]


def _first(claims: Claims, *names: str) -> str:
    return next((fact for name in names if (fact := _fact(claims, name))), "")
