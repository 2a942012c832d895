"""Issuers of id tokens, for administrators. GitLab has no API of them: it is ours."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import Request, Response
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.clock import iso
from modelyard.registry import tables
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Listing, Timestamp
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import PageQuery, listing
from modelyard.routes.http.params import Parameters, comma_separated, parameters
from modelyard.routes.http.path_params import RecordId
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.services.identity import issuers
from modelyard.services.identity.fetching import MAX_BYTES
from modelyard.services.identity.kinds import Kind
from modelyard.settings import Settings
from modelyard.terms.paths import parse_id

router = gitlab_router("/issuers", "issuers")

MAX_ALGORITHMS = 10
ISSUER_BODY_BYTES = 2 * MAX_BYTES


def _as_text(value: object) -> object:
    """What stands before a JWKS, which may be sent as the object that it is."""
    return orjson.dumps(value).decode() if isinstance(value, dict) else value


class UpdateIssuer(Parameters):
    """Parameters of a changed issuer: what is left out stays as it is."""

    name: str | None = Field(None, description="By which maintainers know it.")
    audience: str | None = Field(None, description="Default: the server's external URL.")
    algorithms: Annotated[
        list[str] | None, Field(None, max_length=MAX_ALGORITHMS, fail_fast=True), BeforeValidator(comma_separated)
    ]
    jwks: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        None, max_length=MAX_BYTES, description="Its keys, where they are not to be fetched; empty: they are."
    )
    jwks_uri: str | None = Field(None, description="Where its keys are, if not where discovery says, or elsewhere.")
    ca: str | None = Field(None, max_length=MAX_BYTES, description="Certificates of its authorities, as PEM.")
    private: bool | None = Field(None, description="Whether it may be in a private network.")
    jobs: bool | None = Field(None, description="Whether projects may trust its jobs.")
    single: bool | None = Field(None, description="Whether each of its tokens can be exchanged once only.")
    direct: bool | None = Field(None, description="Whether its tokens are credentials by themselves.")
    job_tokens: bool | None = Field(None, description="Whether a CI_JOB_TOKEN of this GitLab is a credential.")

    @property
    def told(self) -> issuers.IssuerFields:
        """What the service takes of it."""
        values = self.model_dump(exclude={"kind", "url", "algorithms"})
        return issuers.IssuerFields(**values, algorithms=None if self.algorithms is None else tuple(self.algorithms))


class CreateIssuer(UpdateIssuer):
    """Parameters of a new issuer."""

    kind: Kind
    url: str = Field(description="The claim `iss` of its tokens, byte for byte.")


class Issuer(TypedDict):
    """An issuer as administrators see it."""

    id: int
    name: str
    kind: Kind
    url: str
    audience: str
    algorithms: list[str]
    jwks: str
    jwks_uri: str
    ca: str
    private: bool
    jobs: bool
    single: bool
    direct: bool
    job_tokens: bool
    created_at: Timestamp
    updated_at: Timestamp


def issuer_fields(issuer: tables.Issuer) -> Issuer:
    """An issuer as administrators see it; keys are public ones."""
    return {
        "id": issuer.id,
        "name": issuer.name,
        "kind": Kind(issuer.kind),
        "url": issuer.url,
        "audience": issuer.audience,
        "algorithms": issuer.algorithms.split(),
        "jwks": issuer.jwks,
        "jwks_uri": issuer.jwks_uri,
        "ca": issuer.ca,
        "private": issuer.private,
        "jobs": issuer.jobs,
        "single": issuer.single,
        "direct": issuer.direct,
        "job_tokens": issuer.job_tokens,
        "created_at": iso(issuer.created_at),
        "updated_at": iso(issuer.updated_at),
    }


@router.get("", summary="List issuers of id tokens")
async def list_issuers(request: Request, call: ApiCall, query: PageQuery = parameters(PageQuery)) -> Listing[Issuer]:
    """For administrators."""
    page = await call.search(lambda registry, caller: issuers.page(registry, caller, query.request))
    return listing(request, page, issuer_fields)


@router.post("", status_code=201, summary="List an issuer of id tokens", responses=refusing(409))
@Traits(makes=("issuer_id", "/id"))
async def create(
    request: Request, call: ApiCall, new: CreateIssuer = parameters(CreateIssuer, most=ISSUER_BODY_BYTES)
) -> Issuer:
    """For administrators: from now on projects may trust its jobs."""
    terms = _terms(request)
    made = await call.write(
        lambda registry, caller: issuers.create(registry, caller, new.kind, new.url, new.told, terms)
    )
    return issuer_fields(made)


@router.get("/{issuer_id}", summary="Show an issuer")
@Traits(follows="issuer_id")
async def show(call: ApiCall, issuer_id: RecordId) -> Issuer:
    """For administrators."""
    return issuer_fields(await call.read(lambda registry, caller: issuers.find(registry, caller, parse_id(issuer_id))))


@router.put("/{issuer_id}", summary="Change an issuer", responses=refusing(409))
@Traits(follows="issuer_id")
async def update(
    request: Request,
    call: ApiCall,
    issuer_id: RecordId,
    change: UpdateIssuer = parameters(UpdateIssuer, most=ISSUER_BODY_BYTES),
) -> Issuer:
    """For administrators. What it opened in a way that is closed now ends with the next request."""
    terms = _terms(request)
    changed = await call.write(
        lambda registry, caller: issuers.update(registry, caller, parse_id(issuer_id), change.told, terms)
    )
    return issuer_fields(changed)


@router.delete("/{issuer_id}", status_code=204, summary="Delete an issuer")
@Traits(follows="issuer_id")
async def delete(call: ApiCall, issuer_id: RecordId) -> Response:
    """For administrators: with its publishers, and all that their jobs have."""
    await call.write(lambda registry, caller: issuers.delete(registry, caller, parse_id(issuer_id)))
    return Response(status_code=204)


def _terms(request: Request) -> issuers.Terms:
    settings: Settings = request.app.state.settings
    return issuers.Terms(settings.external_url, settings.loopback_issuers)
