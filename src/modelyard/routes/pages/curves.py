"""Points of metrics as browsers draw them: of each run all places, 8 bytes each, then all values, 4 bytes each."""

from __future__ import annotations

import struct
import sys

import orjson
from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import ParameterError
from modelyard.registry.repository import Registry
from modelyard.registry.tracking.curves import Axis, Window
from modelyard.routes.pages.frame import enter
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.tracking.curves import MAX_CURVES, MOST_POINTS, Curve, curves
from modelyard.services.tracking.limits import MAX_KEY
from modelyard.terms.paths import DIGITS, NOBODY, parse_id

subject = Subject()

LEAST_POINTS, USUAL_POINTS = 2, 2_000
ALL = "all"
MAX_INT64 = 2**63 - 1


@subject.get("/{project:project}/-/ml/curves")
async def show(request: Request) -> Response:
    """The metric `metric` of each `run`, over `x` (step or time), from `from` to `to`, as `points` (a number or all).

    A body of: the length of a JSON text as 4 bytes, little-endian; that text, `[{run, name, total, shown, odd}]`, one
    for each run that there is; for each of them its places as 64-bit floats, then its values as 32-bit floats.
    """
    visit = Visit(request)
    name = visit.query.get("metric", "")
    if not 0 < len(name) <= MAX_KEY:
        raise ParameterError("metric is invalid")
    iids = [iid for iid in map(parse_id, request.query_params.getlist("run")) if iid != NOBODY]
    if not 0 < len(iids) <= MAX_CURVES:
        raise ParameterError(f"run must be there 1 to {MAX_CURVES} times")
    axis, window, points = _axis(visit), _window(visit), _points(visit)

    def work(registry: Registry, caller: Identity) -> bytes:
        found = enter(registry, caller, visit.project_path)
        return packed(curves(registry, found.id, iids, name, axis, window, points))

    headers = page_headers(visit.secure) | {"Content-Type": "application/octet-stream"}
    return Response(await visit.find(work), 200, headers)


def packed(found: list[Curve]) -> bytes:
    """Curves in the form that `show` describes."""
    told = orjson.dumps(
        [
            {"run": each.run_iid, "name": each.name, "total": each.total, "shown": len(each.x), "odd": each.odd}
            for each in found
        ]
    )
    parts = [struct.pack("<I", len(told)), told]
    for each in found:
        if sys.byteorder == "big":  # pragma: no cover
            each.x.byteswap()
            each.y.byteswap()
        parts += [each.x.tobytes(), each.y.tobytes()]
    return b"".join(parts)


def _axis(visit: Visit) -> Axis:
    try:
        return Axis(visit.query.get("x", Axis.STEP))
    except ValueError as error:
        raise ParameterError("x does not have a valid value") from error


def _window(visit: Visit) -> Window | None:
    ends = visit.query.get("from", ""), visit.query.get("to", "")
    if ends == ("", ""):
        return None
    if not all(DIGITS.fullmatch(end) and abs(int(end)) <= MAX_INT64 for end in ends) or int(ends[0]) > int(ends[1]):
        raise ParameterError("from, to do not have valid values")
    return int(ends[0]), int(ends[1])


def _points(visit: Visit) -> int | None:
    text = visit.query.get("points", str(USUAL_POINTS))
    if text == ALL:
        return None
    number = parse_id(text)
    if not LEAST_POINTS <= number <= MOST_POINTS:
        raise ParameterError(f"points must be {LEAST_POINTS} to {MOST_POINTS}, or {ALL}")
    return number
