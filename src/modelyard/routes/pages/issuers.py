"""Issuers of id tokens, as administrators list them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import InvalidFields, ParameterError
from modelyard.registry.repository import Registry
from modelyard.routes.pages.admin import ADMIN
from modelyard.routes.pages.fields import ROWS, page_in, turning
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.identity import issuers
from modelyard.services.identity.keys import ALGORITHMS
from modelyard.services.identity.kinds import Kind
from modelyard.settings import Settings
from modelyard.terms.paging import PageRequest

subject = Subject()

ISSUERS = f"{ADMIN}/issuers"
FLAGS = (
    ("private", "in a private network"),
    ("jobs", "jobs may be trusted"),
    ("single", "each token once"),
    ("direct", "tokens are credentials"),
    ("job_tokens", "CI_JOB_TOKEN is a credential"),
)


@subject.get(ISSUERS)
async def show(request: Request) -> Response:
    """A page of the issuers, the first made first."""
    visit = Visit(request)
    await visit.identify()
    return await _list(visit)


@subject.post(ISSUERS)
async def create(request: Request) -> Response:
    """Another issuer; what the form does not have, the command and the API change."""
    visit, settings = Visit(request), request.app.state.settings
    form = await visit.form(again=_list)
    kind, told, terms = _kind(form), _told(form), _terms(settings)
    name = await visit.change(
        lambda registry, caller: issuers.create(registry, caller, kind, form.text("url"), told, terms).name
    )
    return visit.redirect(visit.links.to(ISSUERS), f"{name} is an issuer now")


@subject.post(ISSUERS + "/{issuer:number}/delete")
async def delete(request: Request) -> Response:
    """The end of an issuer and of all that it opened, once its name has been typed."""
    visit = Visit(request)
    form = await visit.form(again=_list, typed=False)

    def work(registry: Registry, caller: Identity) -> str:
        issuer_id = visit.number("issuer")
        name = issuers.find(registry, caller, issuer_id).name
        if form.text("name") != name:
            raise InvalidFields(name="is not the issuer's")
        issuers.delete(registry, caller, issuer_id)
        return name

    name = await visit.change(work)
    return visit.redirect(visit.links.to(ISSUERS), f"{name} is no issuer any more")


def _kind(form: Form) -> Kind:
    try:
        return Kind(form.text("kind"))
    except ValueError as error:
        raise ParameterError("kind does not have a valid value") from error


def _told(form: Form) -> issuers.IssuerFields:
    name, audience, jwks = (form.text(field) or None for field in ("name", "audience", "jwks"))
    return issuers.IssuerFields(name, audience, tuple(form.all("algorithms")) or None, jwks)


def _terms(settings: Settings) -> issuers.Terms:
    return issuers.Terms(settings.external_url, settings.loopback_issuers)


async def _list(visit: Visit, form: Form | None = None, error: str = "", status: int = 200) -> Response:
    number, settings = page_in(visit.query), visit.request.app.state.settings

    def view(registry: Registry, caller: Identity) -> View:
        page = issuers.page(registry, caller, PageRequest(number, ROWS))
        values = {
            "rows": [(each, [label for name, label in FLAGS if getattr(each, name)]) for each in page.items],
            "kinds": tuple(Kind),
            "algorithms": tuple(ALGORITHMS),
            "default_algorithms": issuers.DEFAULT_ALGORITHMS,
            "default_audience": settings.external_url or "",
            "form": form or Form([]),
            "error": error,
        } | turning(visit.query, "page", number + 1 if page.total > number * ROWS else None)
        return View(["Issuers", "Administration"], values)

    return await visit.show("admin/issuers.html", view, status=status, no_store=bool(form))
