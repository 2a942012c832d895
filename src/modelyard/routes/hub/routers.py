"""All parts of the API, those whose paths match any depth last."""

from __future__ import annotations

from modelyard.routes.hub import (
    committing,
    elsewhere,
    history,
    identity,
    lfs,
    lists,
    models,
    repositories_manage,
    repositories_versions,
    resolve,
    trees,
    xet,
)

WRITING = (repositories_manage, repositories_versions, committing, lfs, xet)
ROUTERS = (identity, lists, models, trees, history, *WRITING, elsewhere, resolve)
