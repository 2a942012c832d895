"""Where people sign in, and what their groups there give them, as administrators say."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Role
from modelyard.errors import InvalidFields, ParameterError
from modelyard.registry.repository import Registry
from modelyard.routes.http.urls import base_url
from modelyard.routes.pages.admin import ADMIN
from modelyard.routes.pages.fields import role_name
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.identity import provider_groups, providers
from modelyard.services.identity.issuers import IssuerFields, Terms
from modelyard.services.identity.providers import Provision
from modelyard.terms.paths import callback_path, parse_id

subject = Subject()

PROVIDERS = f"{ADMIN}/sign_on_providers"
PROVIDER = PROVIDERS + "/{provider:number}"
SHOWN_GROUPS = 100
LEVELS = {
    provider_groups.ENTRY: "Come in",
    **{int(role): role_name(role) for role in Role},
    provider_groups.ADMIN: "Administrator",
}


@subject.get(PROVIDERS)
async def show(request: Request) -> Response:
    """The providers, by name."""
    visit = Visit(request)
    await visit.identify()
    return await _list(visit)


@subject.post(PROVIDERS)
async def create(request: Request) -> Response:
    """Another provider; its secret is in no answer."""
    visit, settings = Visit(request), request.app.state.settings
    form = await visit.form(again=_list)
    terms = Terms(settings.external_url, settings.loopback_issuers)
    new = _new(form)
    await visit.change(lambda registry, caller: providers.create(registry, caller, new, terms).name)
    return visit.redirect(visit.links.to(PROVIDERS), f"People can sign in at {new.name} now")


@subject.post(PROVIDER + "/delete")
async def delete(request: Request) -> Response:
    """The end of a provider, its sessions and what its groups gave, once its name has been typed."""
    visit = Visit(request)
    form = await visit.form(again=_list, typed=False)

    def work(registry: Registry, caller: Identity) -> str:
        provider, _issuer = providers.find(registry, caller, visit.number("provider"))
        if form.text("name") != provider.name:
            raise InvalidFields(name="is not the provider's")
        name = provider.name
        providers.delete(registry, caller, provider.id)
        return name

    name = await visit.change(work)
    return visit.redirect(visit.links.to(PROVIDERS), f"Nobody signs in at {name} any more")


@subject.post(PROVIDER + "/groups")
async def give(request: Request) -> Response:
    """What one of its groups gives."""
    visit = Visit(request)
    form = await visit.form(again=_list, typed=False)

    def work(registry: Registry, caller: Identity) -> str:
        key, level = visit.number("provider"), parse_id(form.text("access_level"))
        return provider_groups.give(registry, caller, key, form.text("group"), form.text("path"), level).name

    name = await visit.change(work)
    return visit.redirect(visit.links.to(PROVIDERS), f"What {name} gives counts from the next sign-in on")


@subject.post(PROVIDER + "/groups/{group:number}/delete")
async def take_back(request: Request) -> Response:
    """The end of what a group gives."""
    visit = Visit(request)
    await visit.form(again=_list, typed=False)
    await visit.change(
        lambda registry, caller: provider_groups.remove_group(
            registry, caller, visit.number("provider"), visit.number("group")
        )
    )
    return visit.redirect(visit.links.to(PROVIDERS), "What the group gave ends with the next sign-in")


def _new(form: Form) -> providers.NewProvider:
    try:
        provision = Provision(form.text("provision") or Provision.OFF)
    except ValueError as error:
        raise ParameterError("provision does not have a valid value") from error
    return providers.NewProvider(
        form.text("name"),
        form.text("issuer"),
        form.text("client_id"),
        form.text("label"),
        provision=provision,
        groups_claim=form.text("groups_claim") or "groups",
        fields=IssuerFields(private="private" in form),
        secret=form.text("client_secret"),
    )


async def _list(visit: Visit, form: Form | None = None, error: str = "", status: int = 200) -> Response:
    base = base_url(visit.request)

    def view(registry: Registry, caller: Identity) -> View:
        rows = [
            (provider, issuer, base + callback_path(provider.name), registry.sign_on.groups(provider.id))
            for provider, issuer in providers.listed(registry, caller)
        ]
        values = {
            "rows": rows,
            "provisions": tuple(Provision),
            "levels": LEVELS,
            "callback": base + callback_path("NAME"),
            "most": SHOWN_GROUPS,
        }
        return View(["Single sign-on", "Administration"], values | {"form": form or Form([]), "error": error})

    return await visit.show("admin/providers.html", view, status=status, no_store=bool(form))
