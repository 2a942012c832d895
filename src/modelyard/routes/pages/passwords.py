"""Coming in by an administrator's password: where one is set, throttled by name and address, and telling nothing."""

from __future__ import annotations

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request

from modelyard.errors import TooManyRequests, Unauthorized
from modelyard.registry.engine import Database
from modelyard.routes.http.strangers import network_in
from modelyard.routes.pages.forms import Form
from modelyard.services.identity.passwords import Doorkeeper, note_refused
from modelyard.services.traffic.throttling import Throttle, mark_of

log = structlog.get_logger()

MAX_NAME = 255  # characters
MAX_WRONG = 5  # a minute for a name from one address: nobody is locked out elsewhere
MAX_WRONG_AT_ALL = 20  # a minute from one address
THROTTLE = "throttle_passwords"
WRONG = "This user name and password let nobody in here."


async def sign_in(request: Request, form: Form) -> str:
    """The secret of a session for who has typed a name and its password. Raises Unauthorized for anything wrong,
    Forbidden for who is kept out, and TooManyRequests.
    """
    name, password = form.text("username")[:MAX_NAME], form.get("password", "")
    _limit(request, name)
    user_agent = request.headers.get("user-agent", "")
    try:
        _token, secret = await _doorkeeper(request).sign_in(name, password, user_agent)
    except Unauthorized:
        _count(request, name)
        log.warning("wrong password", username=name)
        raise
    return secret


def telling(request: Request, form: Form) -> BackgroundTask:
    """What writes a refusal into the audit trail after it was answered, so that it takes no longer for who exists."""
    database: Database = request.app.state.database
    return BackgroundTask(database.write, lambda registry: note_refused(registry, form.text("username")[:MAX_NAME]))


def _doorkeeper(request: Request) -> Doorkeeper:
    state = request.app.state
    if not hasattr(state, "doorkeeper"):
        state.doorkeeper = Doorkeeper(state.database)
    found: Doorkeeper = state.doorkeeper
    return found


def _keys(request: Request, name: str) -> list[tuple[int, str]]:
    network = network_in(request)
    return [(MAX_WRONG, f"{network} {mark_of(name.lower().encode())}"), (MAX_WRONG_AT_ALL, network)]


def _limit(request: Request, name: str) -> None:
    throttle: Throttle = request.app.state.throttle
    for most, key in _keys(request, name):
        if (refused := throttle.full(THROTTLE, most, key)) is not None:
            error = TooManyRequests("Too many wrong passwords came from your address", 1)
            error.headers.update(refused.headers)
            raise error


def _count(request: Request, name: str) -> None:
    throttle: Throttle = request.app.state.throttle
    for most, key in _keys(request, name):
        throttle.count(THROTTLE, most, key)
