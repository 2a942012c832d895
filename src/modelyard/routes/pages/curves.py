"""Points of metrics as browsers draw them: of each run all places, 8 bytes each, then all values, 4 bytes each."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Sequence
from functools import partial
from itertools import chain

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

MANY = 4  # runs, which two threads read
LEAST_POINTS, USUAL_POINTS = 2, 2_000
ALL = "all"
MAX_INT64 = 2**63 - 1

Drawn = tuple[dict[str, object], bytes]


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

    def work(portion: Sequence[int], registry: Registry, caller: Identity) -> list[Drawn]:
        found = enter(registry, caller, visit.project_path)
        return [drawn(each) for each in curves(registry, found.id, portion, name, axis, window, points)]

    # Long curves take a thread long, and two of them half as long. Where all points are asked for they are counted.
    portions = _halves(list(dict.fromkeys(iids))) if points is not None else [iids]
    found = await asyncio.gather(*(visit.find(partial(work, portion)) for portion in portions))
    headers = page_headers(visit.secure) | {"Content-Type": "application/octet-stream"}
    return Response(packed(list(chain.from_iterable(found))), 200, headers)


def drawn(curve: Curve) -> Drawn:
    """What is told of a curve, and its points."""
    told = {"run": curve.run_iid, "name": curve.name, "total": curve.total, "shown": len(curve.x), "odd": curve.odd}
    if sys.byteorder == "big":  # pragma: no cover
        curve.x.byteswap()
        curve.y.byteswap()
    return told, curve.x.tobytes() + curve.y.tobytes()


def packed(found: Sequence[Drawn]) -> bytes:
    """Curves in the form that `show` describes."""
    told = orjson.dumps([each for each, _points in found])
    return b"".join((struct.pack("<I", len(told)), told, *(points for _told, points in found)))


def _halves(iids: Sequence[int]) -> list[Sequence[int]]:
    """Runs in two portions, as many as a client's searches at a time; few of them in one."""
    half = (len(iids) + 1) // 2
    return [iids[:half], iids[half:]] if len(iids) >= MANY else [iids]


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
