"""Where people sign in, and what their groups there give them, for administrators. It is ours, as the API of issuers.

A client's secret goes in and never out. The path of a file with one can be named by the command alone: whoever
administers from afar shall not have a file of the server's sent to a provider of theirs.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Request, Response
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.access.identity import Identity
from modelyard.access.policy import Role
from modelyard.clock import iso
from modelyard.registry.identity.sign_on import Listed
from modelyard.registry.repository import Registry
from modelyard.registry.tables import ProviderGroup
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Listing, Timestamp
from modelyard.routes.http.bodies import SMALL_BODY_BYTES
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import PageQuery, listing
from modelyard.routes.http.params import Parameters, comma_separated, parameters, stating
from modelyard.routes.http.path_params import RecordId
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.urls import base_url
from modelyard.services.identity import provider_groups, providers
from modelyard.services.identity.issuers import IssuerFields, Terms
from modelyard.services.identity.providers import Provision
from modelyard.settings import Settings
from modelyard.terms.paging import Page
from modelyard.terms.paths import callback_path, parse_id

T = TypeVar("T")

router = gitlab_router("/sign_on_providers", "sign-on providers")

Words = Annotated[list[str], Field(max_length=providers.MAX_SCOPES, fail_fast=True), BeforeValidator(comma_separated)]


class UpdateProvider(Parameters):
    """Parameters of a changed provider: what is left out stays as it is."""

    label: str | None = Field(None, description="What people read on the button.")
    client_secret: str | None = Field(None, description="Never told again; empty: the client has none.")
    scopes: Words | None = Field(None, description="What is asked for, beside `openid`.")
    provision: Provision | None = Field(None, description="For whom accounts are made.")
    groups_claim: str | None = Field(None, description="Where groups are told, such as `realm_access.roles`.")

    @property
    def told(self) -> providers.Change:
        """What the service takes of it."""
        scopes = None if self.scopes is None else tuple(self.scopes)
        return providers.Change(self.label, self.client_secret, scopes, self.provision, self.groups_claim)


class CreateProvider(Parameters):
    """Parameters of a new provider."""

    name: str = Field(description="A part of its URLs here.")
    issuer: str = Field(description="The claim `iss` of its id tokens, byte for byte.")
    client_id: str = Field(description="What this server is called there.")
    client_secret: str = Field("", description="Never told again; empty: the client has none.")
    label: str = Field("", description="What people read on the button.")
    scopes: Words = Field(["openid", "profile", "email"], description="What is asked for.")
    provision: Provision = Provision.OFF
    groups_claim: str = "groups"
    algorithms: Words | None = Field(None, description="Of its id tokens: RS256 unless said.")
    jwks_uri: str | None = Field(None, description="Where its keys are, if not on its own host.")
    ca: str | None = Field(None, description="Certificates that its own is signed by, as PEM.")
    private: bool | None = Field(None, description="Whether it may be in a private network.")

    @property
    def told(self) -> providers.NewProvider:
        """What the service takes of it."""
        algorithms = None if self.algorithms is None else tuple(self.algorithms)
        return providers.NewProvider(
            self.name,
            self.issuer,
            self.client_id,
            self.label,
            scopes=tuple(self.scopes),
            provision=self.provision,
            groups_claim=self.groups_claim,
            fields=IssuerFields(algorithms=algorithms, jwks_uri=self.jwks_uri, ca=self.ca, private=self.private),
            secret=self.client_secret,
        )


class GiveGroup(Parameters):
    """What a group at the provider gives."""

    name: str = Field(max_length=providers.MAX_TEXT + 1, description="As the provider calls it.")
    path: str = Field("", description="A project, or a namespace for all projects in it; empty: everywhere.")
    access_level: Annotated[int, stating(enum=[provider_groups.ENTRY, *Role, provider_groups.ADMIN])] = Field(
        provider_groups.ENTRY, description="A role at the path; without one 0 to come in, or 60 to administer."
    )


class Provider(TypedDict):
    """A provider as administrators see it."""

    id: int
    name: str
    label: str
    issuer: str
    client_id: str
    has_secret: bool
    scopes: list[str]
    provision: Provision
    groups_claim: str
    callback_url: str
    created_at: Timestamp


class Group(TypedDict):
    """What a group gives."""

    id: int
    name: str
    path: str
    access_level: int


def provider_fields(request: Request, listed: Listed) -> Provider:
    """A provider as administrators see it, without its secret."""
    provider, issuer = listed
    return {
        "id": provider.id,
        "name": provider.name,
        "label": provider.label,
        "issuer": issuer.url,
        "client_id": provider.client_id,
        "has_secret": bool(provider.secret or provider.secret_file),
        "scopes": provider.scopes.split(),
        "provision": Provision(provider.provision),
        "groups_claim": provider.groups_claim,
        "callback_url": base_url(request) + callback_path(provider.name),
        "created_at": iso(provider.created_at),
    }


def group_fields(group: ProviderGroup) -> Group:
    """What a group gives."""
    return {"id": group.id, "name": group.name, "path": group.path, "access_level": group.access_level}


@router.get("", summary="List sign-on providers")
async def list_providers(
    request: Request, call: ApiCall, query: PageQuery = parameters(PageQuery)
) -> Listing[Provider]:
    """For administrators."""
    found = await call.read(providers.listed)
    return listing(request, _page(found, query), lambda each: provider_fields(request, each))


@router.post("", status_code=201, summary="List a sign-on provider", responses=refusing(409))
@Traits(makes=("provider_id", "/id"))
async def create(
    request: Request, call: ApiCall, new: CreateProvider = parameters(CreateProvider, most=SMALL_BODY_BYTES)
) -> Provider:
    """For administrators. The provider is to send people back to `callback_url`."""
    settings: Settings = request.app.state.settings
    terms = Terms(settings.external_url, settings.loopback_issuers)

    def work(registry: Registry, caller: Identity) -> Listed:
        return providers.find(registry, caller, providers.create(registry, caller, new.told, terms).id)

    return provider_fields(request, await call.write(work))


@router.get("/{provider_id}", summary="Show a sign-on provider")
@Traits(follows="provider_id")
async def show(request: Request, call: ApiCall, provider_id: RecordId) -> Provider:
    """For administrators."""
    key = parse_id(provider_id)
    return provider_fields(request, await call.read(lambda registry, caller: providers.find(registry, caller, key)))


@router.put("/{provider_id}", summary="Change a sign-on provider")
@Traits(follows="provider_id")
async def update(
    request: Request,
    call: ApiCall,
    provider_id: RecordId,
    change: UpdateProvider = parameters(UpdateProvider, most=SMALL_BODY_BYTES),
) -> Provider:
    """For administrators. What changes counts from the next sign-in on."""
    key = parse_id(provider_id)
    found = await call.write(lambda registry, caller: providers.update(registry, caller, key, change.told))
    return provider_fields(request, found)


@router.delete("/{provider_id}", status_code=204, summary="Delete a sign-on provider")
@Traits(follows="provider_id")
async def delete(call: ApiCall, provider_id: RecordId) -> Response:
    """For administrators: its sessions end, and so do the roles that its groups gave."""
    await call.write(lambda registry, caller: providers.delete(registry, caller, parse_id(provider_id)))
    return Response(status_code=204)


@router.get("/{provider_id}/groups", summary="List what groups give")
@Traits(follows="provider_id")
async def list_groups(
    request: Request, call: ApiCall, provider_id: RecordId, query: PageQuery = parameters(PageQuery)
) -> Listing[Group]:
    """For administrators."""
    key = parse_id(provider_id)
    found = await call.read(lambda registry, caller: provider_groups.groups(registry, caller, key))
    return listing(request, _page(found, query), group_fields)


@router.post("/{provider_id}/groups", status_code=201, summary="Say what a group gives", responses=refusing(409))
@Traits(makes=("group_id", "/id"), follows="provider_id")
async def give(
    call: ApiCall, provider_id: RecordId, new: GiveGroup = parameters(GiveGroup, most=SMALL_BODY_BYTES)
) -> Group:
    """For administrators; it counts as its people sign in next."""
    key = parse_id(provider_id)
    return group_fields(
        await call.write(
            lambda registry, caller: provider_groups.give(registry, caller, key, new.name, new.path, new.access_level)
        )
    )


@router.delete("/{provider_id}/groups/{group_id}", status_code=204, summary="Let a group give nothing more")
@Traits(follows="group_id")
async def take_back(call: ApiCall, provider_id: RecordId, group_id: RecordId) -> Response:
    """For administrators: what it gave ends as its people sign in next."""
    key, group = parse_id(provider_id), parse_id(group_id)
    await call.write(lambda registry, caller: provider_groups.remove_group(registry, caller, key, group))
    return Response(status_code=204)


def _page(found: list[T], query: PageQuery) -> Page[T]:
    """A page of what are few."""
    asked = query.request
    return Page(found[asked.offset : asked.offset + asked.limit], len(found), asked)
