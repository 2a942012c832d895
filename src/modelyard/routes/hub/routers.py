"""All parts of the API, those whose paths match any depth last."""

from __future__ import annotations

from modelyard.routes.hub import elsewhere, history, identity, lists, models, resolve, trees

ROUTERS = (identity, lists, models, trees, history, elsewhere, resolve)
