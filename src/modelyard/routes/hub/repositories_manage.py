"""Repositories that are made, changed and deleted."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

import orjson
from fastapi import Request
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from modelyard.access.policy import Visibility
from modelyard.errors import BadRequest, NotOffered, RepositoryNotFound
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.params import LISTS_BODY_BYTES, Parameters, parameters, stating
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import SHAPE
from modelyard.routes.http.transferred import TEXT_HEADER
from modelyard.routes.http.urls import base_url
from modelyard.routes.hub.common import MODELS, REPOSITORY, AskedId, hub_router
from modelyard.services.hub import managing
from modelyard.terms.repositories import MAX_PART, PART, RepositoryId
from modelyard.wire.hub import MESSAGE

router = hub_router()

MODEL = "model"
CONFLICT = 409


class Named(Parameters):
    """A repository by the two parts of its name."""

    name: Annotated[str, stating(pattern=PART, maxLength=MAX_PART)] = Field(description="The last part of its name.")
    organization: str | None = Field(None, description="The part before; else the caller's own user name.")
    type: Annotated[str, stating(enum=[MODEL])] | None = Field(None, description="There are no others.")


class Seen(Parameters):
    """Who sees a repository."""

    visibility: Literal["private", "internal", "public"] | None = Field(None, description="Who reads it.")
    private: bool | None = Field(None, description="The same, as older clients say it.")

    def chosen(self) -> Visibility | None:
        """Who is to see it; None: nothing is said of it."""
        if self.visibility is not None:
            return Visibility(self.visibility)
        if self.private is None:
            return None
        return Visibility.PRIVATE if self.private else Visibility.PUBLIC


class NewRepository(Named, Seen):
    """A repository to be made."""


class Settings(Seen):
    """What is to be changed of a repository."""

    gated: Literal["auto", "manual", False] | None = Field(None, description="Only false: nobody asks for access.")


class Move(Parameters):
    """A repository that is to have another name."""

    fromRepo: str  # noqa: N815 - the API's own name
    toRepo: str  # noqa: N815 - as above
    type: str | None = None


class Card(Parameters):
    """The head of a model card."""

    model_config = ConfigDict(str_max_length=LISTS_BODY_BYTES)

    content: str = Field("", description="The file `README.md`.")
    repoType: str | None = Field(None, description="`model`.")  # noqa: N815 - the API's own


class Made(TypedDict):
    """Where a repository is."""

    url: str
    name: str
    error: NotRequired[str]


class Changed(TypedDict):
    """How a repository is."""

    private: bool
    visibility: str
    gated: Literal[False]


class Faults(TypedDict):
    """What is wrong with a card."""

    errors: list[str]
    warnings: list[str]


THERE = {"description": "It is there already.", "headers": {MESSAGE: TEXT_HEADER}, SHAPE: Made}


@router.post(
    "/api/repos/create",
    summary="Create a repository",
    responses={CONFLICT: THERE, **refusing(404)},
)
async def create_repository(
    request: Request, call: ApiCall, new: NewRepository = parameters(NewRepository)
) -> Answer[Made]:
    """A model, and its project where there is none. One that is there is answered 409, with its URL."""
    _refuse_other_kinds(new.type)
    made, is_new = await call.write(
        lambda registry, caller: managing.create(registry, caller, _id(new, caller.username), new.chosen())
    )
    content: Made = {"url": f"{base_url(request)}/{made}", "name": str(made)}
    if is_new:
        return answer(content)
    sentence = "You already created this model repo"
    content["error"] = sentence
    return Answer(orjson.dumps(content), CONFLICT, {MESSAGE: sentence})


@router.delete("/api/repos/delete", summary="Delete a repository", responses=refusing(404))
async def delete_repository(call: ApiCall, named: Named = parameters(Named)) -> Answer[Nothing]:
    """A model with all its versions; its project, too, for an owner, if nothing else is in it."""
    _refuse_other_kinds(named.type)
    await call.write(lambda registry, caller: managing.delete(registry, caller, _id(named, caller.username)))
    return answer(NOTHING)


@router.post("/api/repos/move", include_in_schema=False)
async def move_repository(call: ApiCall, _move: Move = parameters(Move)) -> Answer[Nothing]:
    """Names are those of projects and models, which GitLab's and MLflow's APIs change."""
    await call.read(lambda _registry, _caller: None)
    raise NotOffered("Repositories are not moved by this API: rename the project, or the registered model")


@router.put(f"{MODELS}{REPOSITORY}/settings", summary="Change a repository", responses=refusing(501))
async def change_settings(call: ApiCall, asked: AskedId, wanted: Settings = parameters(Settings)) -> Answer[Changed]:
    """Who sees it, for owners of its project; all models of a project are seen by the same people."""
    if wanted.gated:
        raise NotOffered("Repositories are not gated here: give people a role in the project")
    visibility = await call.write(lambda registry, caller: managing.change(registry, caller, asked, wanted.chosen()))
    return answer({"private": visibility != Visibility.PUBLIC, "visibility": visibility, "gated": False})


@router.post("/api/validate-yaml", summary="Check a model card")
async def validate_card(call: ApiCall, _card: Card = parameters(Card, most=LISTS_BODY_BYTES)) -> Answer[Faults]:
    """Cards are files as all others here: whatever they say is taken."""
    await call.read(lambda _registry, _caller: None)
    return answer({"errors": [], "warnings": []})


def _id(named: Named, username: str) -> RepositoryId | None:
    return RepositoryId.of(named.organization or username, named.name)


def _refuse_other_kinds(kind: str | None) -> None:
    if kind in {None, MODEL}:
        return
    if kind in {"dataset", "space", "kernel", "bucket"}:
        raise RepositoryNotFound(f"There are no {kind}s here, only models")
    raise BadRequest.plain("'type' is to be 'model'")
