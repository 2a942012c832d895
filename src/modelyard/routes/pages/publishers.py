"""Publishers whom a project trusts: a list, the form that fits an issuer's kind, and a job's script to begin with."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import InvalidFields
from modelyard.registry.identity.publishers import Seen
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer
from modelyard.routes.pages import snippets
from modelyard.routes.pages.fields import ROWS, page_in, role_in, role_name, turning
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.tokens import OF_PROJECT
from modelyard.routes.pages.visit import Visit
from modelyard.services.identity import publishers
from modelyard.services.identity.jobs import RULES, SUBJECT
from modelyard.services.identity.kinds import Kind
from modelyard.terms.paging import PageRequest
from modelyard.terms.paths import parse_id

subject = Subject()

PUBLISHERS = "/-/settings/trusted_publishers"
ROOT = "/{project:project}" + PUBLISHERS
LABELS = {  # of the claims that have a field of their own
    "project_id": "GitLab project id",
    "repository_id": "GitHub repository id",
    "repository_owner_id": "GitHub owner id",
    "namespace": "Kubernetes namespace",
    "service_account": "Kubernetes service account",
    SUBJECT: "Subject",
}
HINTS: dict[str, str] = {
    Kind.GITLAB: "The number of the project whose jobs are trusted, not its path, which others can take over.",
    Kind.GITHUB: "Numbers, not names, which others can take over: id and owner.id of api.github.com/repos/OWNER/NAME.",
    Kind.KUBERNETES: "Of the pods that are trusted.",
    Kind.GENERIC: "The claim sub of the tokens that are trusted, byte for byte; or further claims that name the job.",
}


@subject.get(ROOT)
async def show(request: Request) -> Response:
    """The publishers of a project, for its maintainers, with a form for jobs of the `issuer` in the query."""
    return await _list(Visit(request))


@subject.post(ROOT)
async def create(request: Request) -> Response:
    """Another publisher."""
    visit, rows = Visit(request), request.app.state.rows
    form = await visit.form(again=_list)
    new = _new(form)
    name = await visit.change(
        lambda registry, caller: publishers.create(registry, caller, visit.project_path, new, rows)[0].name
    )
    return _back(visit, f"{name} is trusted now")


@subject.post(ROOT + "/{publisher:number}/delete")
async def delete(request: Request) -> Response:
    """The end of the trust, and of what its jobs have."""
    visit = Visit(request)
    await visit.form(again=_list, typed=False)
    await visit.change(
        lambda registry, caller: publishers.delete(registry, caller, visit.project_path, visit.number("publisher"))
    )
    return _back(visit, "The publisher is trusted no more")


def _new(form: Form) -> publishers.NewPublisher:
    return publishers.NewPublisher(
        form.text("issuer"),
        _claims(form),
        form.text("name"),
        form.text("ref"),
        "ref_protected" in form,
        form.text("environment"),
        tuple(form.all("events")),
        role_in(form),
        parse_id(form.text("expires_in")) * 1000,
    )


def _claims(form: Form) -> dict[str, str]:
    """What the fields of claims say, and the further ones, each on a line of its own. Raises InvalidFields."""
    claims = {name: form.text(name) for name in LABELS if form.text(name)}
    for line in filter(None, map(str.strip, form.get("claims", "").split("\n"))):
        name, sign, value = map(str.strip, line.partition("="))
        if not sign or name in claims:
            raise InvalidFields(claims="must be lines such as name=value, each name once")
        claims[name] = value
    return claims


async def _list(visit: Visit, form: Form | None = None, error: str = "", status: int = 200) -> Response:
    number, wanted = page_in(visit.query), (form or visit.query).get("issuer", "")

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.MANAGE)
        page = publishers.page(registry, caller, found.path, PageRequest(number, ROWS))
        issuers = registry.issuers.of_jobs()
        chosen = next((each for each in issuers if each.name == wanted), issuers[0] if issuers else None)
        values = {
            "rows": [_row(seen) for seen in page.items],
            "issuers": issuers,
            "chosen": chosen,
            "snippets": snippets.publish(visit.links, found, chosen) if chosen else [],
            "form": form or Form([]),
            "error": error,
            **_fields(chosen),
        } | turning(visit.query, "page", number + 1 if page.total > number * ROWS else None)
        crumbs = [("Access tokens", visit.links.project(found.path, OF_PROJECT)), ("Trusted publishers", "")]
        return View(["Trusted publishers"], values, found, crumbs, "tokens")

    return await visit.show("settings/publishers.html", view, status=status)


def _fields(issuer: Issuer | None) -> dict[str, object]:
    """What a publisher of an issuer's jobs may be bound to."""
    if issuer is None:
        return {}
    rules = RULES[issuer.kind]
    return {
        "claims": [(name, LABELS[name]) for name in rules.required or (SUBJECT,)],
        "hint": HINTS[issuer.kind],
        "rules": rules,
        "further": sorted(rules.bindable or ()),
        "events": sorted(rules.refused_events),
        "roles": [(int(role), role_name(role)) for role in publishers.ROLES],
        "lifetimes": [
            each // 1000 for each in (publishers.LEAST_LIFETIME, publishers.LIFETIME, publishers.MOST_LIFETIME)
        ],
    }


def _row(seen: Seen) -> dict[str, object]:
    publisher, issuer = seen
    claims: dict[str, str] = orjson.loads(publisher.claims)
    return {
        "publisher": publisher,
        "issuer": issuer,
        "claims": claims.items(),
        "refs": RULES[issuer.kind].refs,
        "role": role_name(publisher.access_level),
    }


def _back(visit: Visit, notice: str) -> Response:
    return visit.redirect(visit.links.project(visit.project_path, PUBLISHERS), notice)
