"""GitLab's personal access tokens, and what all tokens share."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.access.tokens import Scope
from modelyard.clock import iso, iso_date
from modelyard.registry import tables
from modelyard.registry.people.tokens import TokenFilter
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Day, Listing, Timestamp
from modelyard.routes.http.bodies import SMALL_BODY_BYTES
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import Moment, Needle, PageQuery, listing
from modelyard.routes.http.params import Parameters, comma_separated, parameters, stating
from modelyard.routes.http.path_params import ID, RecordId, either
from modelyard.routes.http.routing import Traits
from modelyard.services.people import credentials
from modelyard.terms.paths import parse_id

router = gitlab_router("", "tokens")

MAX_SCOPES = 100

SELF = "self"
TokenKey = Annotated[str, either(ID, {"const": SELF})]


class CreateToken(Parameters):
    """Parameters of a token to be made."""

    name: Annotated[str, stating(minLength=1, maxLength=credentials.MAX_NAME, pattern=r"\S")]
    scopes: Annotated[
        list[str],
        Field(max_length=MAX_SCOPES, fail_fast=True),
        BeforeValidator(comma_separated),
        stating(minItems=1, items={"enum": list(Scope)}),
    ]
    expires_at: date | None = Field(None, description="Day on which it stops working, at midnight UTC.")
    description: str = Field("", max_length=credentials.MAX_DESCRIPTION)

    @property
    def wanted(self) -> credentials.NewToken:
        """The token as the service takes it."""
        return credentials.NewToken(self.name, tuple(self.scopes), self.expires_at, self.description)


class RotateToken(Parameters):
    """Parameters of a rotation."""

    expires_at: date | None = Field(None, description="Default: a week from now.")


class TokenQuery(PageQuery):
    """How a listing of tokens is narrowed and ordered."""

    state: Literal["active", "inactive"] | None = None
    revoked: bool | None = None
    search: Needle | None = Field(None, description="Found in the name.")
    created_after: Moment = None
    created_before: Moment = None
    expires_after: Moment = Field(None, description="Only tokens that expire, at this time or later.")
    expires_before: Moment = None
    last_used_after: Moment = Field(None, description="Only tokens that were used, at this time or later.")
    last_used_before: Moment = None
    sort: Literal[
        "created_asc",
        "created_desc",
        "expires_asc",
        "expires_desc",
        "last_used_asc",
        "last_used_desc",
        "name_asc",
        "name_desc",
    ] = "created_desc"

    @property
    def narrowed(self) -> TokenFilter:
        """The filter that is asked for."""
        return TokenFilter(
            active=None if self.state is None else self.state == "active",
            revoked=self.revoked,
            search=self.search,
            created=(self.created_after, self.created_before),
            expires=(self.expires_after, self.expires_before),
            last_used=(self.last_used_after, self.last_used_before),
            order=self.sort,
        )


class PersonalTokenQuery(TokenQuery):
    """How a listing of personal tokens is narrowed and ordered."""

    user_id: int | None = None


class TokenFacts(TypedDict):
    """What is told of every token."""

    id: int
    name: str
    revoked: bool
    created_at: Timestamp
    description: str
    scopes: list[str]
    user_id: int
    last_used_at: Timestamp | None
    active: bool


class Token(TokenFacts):
    """A token without its secret."""

    expires_at: Day | None


class NewToken(Token):
    """A token that was made, with its secret."""

    token: str


def token_facts(token: tables.Token) -> TokenFacts:
    """What is told of a token, whatever its kind."""
    return {
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked_at is not None,
        "created_at": iso(token.created_at),
        "description": token.description,
        "scopes": token.scopes.split(),
        "user_id": token.user_id,
        "last_used_at": iso(token.last_used_at),
        "active": credentials.is_active(token),
    }


def token_fields(token: tables.Token) -> Token:
    """A token without its secret."""
    return {**token_facts(token), "expires_at": iso_date(token.expires_at)}


def with_secret(made: credentials.Made) -> NewToken:
    """A token that was made, with its secret."""
    return {**token_fields(made[0]), "token": made[1]}


def token_ref(text: str) -> int | None:
    """A token's id; None for `self`, the one that is presented."""
    return None if text == SELF else parse_id(text)


@router.post(
    "/users/{user_id}/personal_access_tokens",
    status_code=201,
    summary="Create a personal access token",
)
@Traits(makes=("token_id", "/id"), follows="user_id")
async def create_personal(
    call: ApiCall, user_id: RecordId, new: CreateToken = parameters(CreateToken, most=SMALL_BODY_BYTES)
) -> NewToken:
    """For administrators. The secret is shown this once."""
    return with_secret(
        await call.write(
            lambda registry, caller: credentials.create_personal(registry, caller, parse_id(user_id), new.wanted)
        )
    )


@router.get("/personal_access_tokens", summary="List personal access tokens")
async def list_personal(
    request: Request, call: ApiCall, query: PersonalTokenQuery = parameters(PersonalTokenQuery)
) -> Listing[Token]:
    """One's own; for administrators everybody's."""
    narrowed = query.narrowed
    page = await call.search(
        lambda registry, caller: credentials.page_personal(registry, caller, query.user_id, narrowed, query.request)
    )
    return listing(request, page, token_fields)


@router.get("/personal_access_tokens/{token_id}", summary="Show a token")
@Traits(follows="token_id")
async def show_personal(call: ApiCall, token_id: TokenKey) -> Token:
    """By id, or `self` for the one that is presented."""
    return token_fields(
        await call.read(lambda registry, caller: credentials.find_personal(registry, caller, token_ref(token_id)))
    )


@router.delete("/personal_access_tokens/{token_id}", status_code=204, summary="Revoke a token")
@Traits(follows="token_id")
async def revoke_personal(call: ApiCall, token_id: TokenKey) -> Response:
    """By id, or `self` for the one that is presented, which any token may do to itself."""
    await call.write(
        lambda registry, caller: credentials.revoke_personal(registry, caller, token_ref(token_id)),
        any_scope=token_id == SELF,
    )
    return Response(status_code=204)


@router.post("/personal_access_tokens/{token_id}/rotate", summary="Replace a token")
@Traits(follows="token_id")
async def rotate_personal(
    call: ApiCall, token_id: TokenKey, options: RotateToken = parameters(RotateToken)
) -> NewToken:
    """Revoke a token and make another of the same name and scopes."""
    return with_secret(
        await call.write(
            lambda registry, caller: credentials.rotate_personal(
                registry, caller, token_ref(token_id), options.expires_at
            )
        )
    )
