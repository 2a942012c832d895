"""Tokens that have ended: which are forgotten, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from modelyard.clock import DAY, now
from modelyard.registry.people import tokens
from modelyard.registry.tables import Token
from modelyard.services.people import credentials
from tests.live import LiveServer


def test_tokens_of_jobs_are_forgotten_a_week_after_their_end_and_others_kept(
    server: LiveServer,
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_token: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "PRUNED_AT_ONCE", 1)
    url = f"/projects/{make_project()['id']}/job_tokens"
    works, over, younger, revoked = (root.post(url).json()["id"] for _ in range(4))
    person = make_token(1)["id"]
    at, database = now(), server.app.state.database
    for token, ended in (
        (over, {"expires_at": at - 8 * DAY}),
        (younger, {"expires_at": at - 6 * DAY}),
        (revoked, {"revoked_at": at - 8 * DAY}),
        (person, {"expires_at": at - 400 * DAY}),
    ):
        with database.writing() as registry:
            registry.session.execute(update(Token).where(Token.id == token).values(ended))
    assert credentials.prune(database) >= 2  # other tests may have left some
    assert credentials.prune(database) == 0
    assert {each["id"] for each in root.get(url).json()} == {works, younger}
    assert root.get(f"/personal_access_tokens/{person}").status_code == 200
