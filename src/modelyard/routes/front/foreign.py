"""Credentials that are none of ours, let in where an administrator has opted in: id tokens, and GitLab's job tokens.

What looks at them is imported with the first one: whoever sends our own tokens does without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.types import Scope

from modelyard.access.token_format import PREFIX
from modelyard.access.tokens import read_credential
from modelyard.errors import Unauthorized, Unavailable
from modelyard.services.traffic.throttling import Throttle

if TYPE_CHECKING:
    from modelyard.services.identity.direct import Direct

OWN = PREFIX.encode()
_JOB_TOKEN = b"job-token"
LEAST, MOST = 16, 4096  # characters of a CI_JOB_TOKEN


class Foreign:
    """Has credentials of others looked at, before whoever needs them looks them up as any other."""

    def __init__(self, app: Starlette, throttle: Throttle) -> None:
        self._app = app
        self._throttle = throttle
        self._direct: Direct | None = None

    async def admit(self, scope: Scope) -> Unavailable | None:
        """Look at the credential of a request; the refusal where nobody can say at the moment whether it holds."""
        try:
            token = read_credential(scope["headers"]) or ""
        except Unauthorized:
            return None
        is_jwt = token.startswith("eyJ") and token.count(".") == 2  # noqa: PLR2004 - a JWT has three parts
        if not is_jwt and not self._may_be_job_token(scope, token):
            return None
        from modelyard.services.identity.refusals import NoKeys  # noqa: PLC0415 - see above

        direct = self._looking()
        try:
            await (direct.admit_id_token(token) if is_jwt else direct.admit_job_token(token))
        except NoKeys:
            return Unavailable("The issuer of the token cannot be asked at the moment")
        return None

    def _looking(self) -> Direct:
        if self._direct is None:
            from modelyard.routes.oauth.common import exchange_of  # noqa: PLC0415 - see above
            from modelyard.services.identity.direct import Direct  # noqa: PLC0415 - most servers know no issuer

            loopback = self._app.state.settings.loopback_issuers
            self._direct = Direct(exchange_of(self._app), loopback=loopback)
        return self._direct

    def _may_be_job_token(self, scope: Scope, token: str) -> bool:
        """Whether GitLab is to be asked for a credential; not for whoever has sent wrong ones again and again."""
        if not any(name == _JOB_TOKEN for name, _value in scope["headers"]):
            return False
        address = scope["client"][0] if scope["client"] else ""
        return LEAST <= len(token) <= MOST and token.isascii() and not self._throttle.slows(address)
