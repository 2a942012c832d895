"""Bodies of those who have no credential yet, as they ask for one: small, and paid for by their address."""

from __future__ import annotations

from starlette.requests import Request

from modelyard.errors import OAuthError
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, Values, bodies_of
from modelyard.services.traffic.throttling import Throttle, network_of


def network_in(request: Request) -> str:
    """The client's address, or the network that it lies in."""
    return network_of(request.scope["client"][0] if request.scope["client"] else "")


async def read_strange(request: Request, *, once: frozenset[str] = frozenset()) -> Values:
    """The parameters in a form or in JSON; of those `once`, a list where one comes twice. Raises as `Bodies.read`."""
    request.scope["sender"] = network_in(request)
    return await bodies_of(request).read(request, lambda values: values, SMALL_BODY_BYTES, once)


def limit_strangers(request: Request, name: str, most: int) -> None:
    """Raise 429 where somebody does more than `most` of this a minute."""
    throttle: Throttle = request.app.state.throttle
    if (refused := throttle.count(name, most, network_in(request))) is not None:
        raise OAuthError("temporarily_unavailable", "Retry later", 429, refused.headers)
