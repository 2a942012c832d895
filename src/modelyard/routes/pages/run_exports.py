"""Runs for programs: the table as CSV, and the keys that complete a filter."""

from __future__ import annotations

import csv
import io
import math
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from modelyard.access.identity import Identity
from modelyard.clock import iso
from modelyard.departures import ClientGone
from modelyard.errors import ParameterError, ShortRead
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Experiment
from modelyard.routes.http import failures
from modelyard.routes.pages.assets import takes_gzip
from modelyard.routes.pages.experiments import LIST, ONE
from modelyard.routes.pages.frame import enter
from modelyard.routes.pages.run_query import read_wanted
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import GZIP, GZIP_LEVEL, Visit
from modelyard.services.tracking import experiments, run_columns, run_tables
from modelyard.services.tracking.run_columns import Cell, Column, Kind
from modelyard.services.tracking.run_tables import Row, Wanted
from modelyard.terms.filters import Entity

subject = Subject()
log = structlog.get_logger()

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of one
FIXED = ("Run", "Run ID", "Number", "Status", "Started", "Ended")
MAX_SEARCH = 250  # characters
GRID_ROWS, PORTION = 10_000, 500
GRID_DIGITS, GRID_TEXT = 4, 64
GRID_FIXED = (  # id, heading, whether numbers
    ("run_name", "Run", False),
    ("status", "Status", False),
    ("start_time", "Started", True),
    ("duration", "Duration (ms)", True),
)
ENTITIES = {"metric": Entity.METRIC, "param": Entity.PARAM, "tag": Entity.TAG}


@subject.get(LIST + "/{experiment:number}.csv")
async def export(request: Request) -> Response:
    """All runs that a table has on all its pages, children among them, with all of their texts; as they are read."""
    visit = Visit(request)
    wanted = replace(read_wanted(request, visit.cookies), flat=True)
    wanted = await visit.find(lambda registry, caller: _with_columns(visit, registry, caller, wanted))
    pieces = _Pieces(visit, wanted, lambda rows: b"".join(map(_row, rows)), whole=True)
    first, after = await pieces.first()
    head = line([*FIXED, *(safe(str(column)) for column in wanted.columns or ())])
    name = f'attachment; filename="experiment-{visit.number("experiment")}.csv"'
    headers = page_headers(visit.secure) | {"Content-Disposition": name}
    return StreamingResponse(pieces.all(head + first, after), 200, headers, "text/csv; charset=utf-8")


@subject.get(ONE + "/grid")
async def list_grid(request: Request) -> Response:
    """The first GRID_ROWS runs of a table for a script, a line of JSON each: `{"columns": [{id, label, numeric}],
    "count"}`, then portions, `{"iid": [...], "fields": [[...], ...]}`, whose fields are in the order of the columns.

    Numbers of runs and moments are differences to those before in the portion, which take a tenth of the bytes. Figures
    have GRID_DIGITS digits, or are words; texts have GRID_TEXT characters.
    """
    visit = Visit(request)
    wanted = replace(read_wanted(request, visit.cookies), after=None, open=[])
    wanted = await visit.find(lambda registry, caller: _with_columns(visit, registry, caller, wanted))
    count = await visit.find(
        lambda registry, caller: run_tables.count_runs(registry, *_asked(visit, registry, caller, wanted))
    )
    columns = [*GRID_FIXED, *((str(each), each.label, each.numeric) for each in wanted.columns or ())]
    told = [dict(zip(("id", "label", "numeric"), column, strict=True)) for column in columns]
    pieces = _Pieces(visit, wanted, _portion, whole=False, most=GRID_ROWS)
    first, after = await pieces.first()
    head = orjson.dumps({"columns": told, "count": count}) + b"\n"
    headers, body = page_headers(visit.secure), pieces.all(head + first, after)
    if takes_gzip(request):
        headers, body = headers | {"Content-Encoding": "gzip"}, _compressed(body)
    return StreamingResponse(body, 200, headers, "application/x-ndjson")


@subject.get(ONE + "/keys")
async def list_keys(request: Request) -> Response:
    """`{"keys": [...], "following": key or null}`: keys of a `kind` that contain `search`, those behind `after`."""
    visit = Visit(request)
    entity = ENTITIES.get(visit.query.get("kind", "metric"))
    search, after = visit.query.get("search", "")[:MAX_SEARCH], visit.query.get("after", "")[:MAX_SEARCH]
    if entity is None:
        raise ParameterError("kind does not have a valid value")

    def find(registry: Registry, caller: Identity) -> bytes:
        found = enter(registry, caller, visit.project_path)
        experiment = experiments.find_experiment(registry, found.id, str(visit.number("experiment")))
        keys, following = run_columns.find_keys(registry, experiment, entity, search, after)
        return orjson.dumps({"keys": keys, "following": following})

    return Response(await visit.find(find), 200, page_headers(visit.secure), "application/json")


def line(cells: Sequence[str]) -> bytes:
    """A line of CSV (RFC 4180)."""
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue().encode()


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula; numbers stay what they are."""
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def written_cell(cell: Cell) -> str:
    """A cell with all of its digits."""
    if cell is None:
        return ""
    if not isinstance(cell, float | int):
        return safe(str(cell))
    if math.isfinite(cell):
        return repr(cell)
    return "NaN" if math.isnan(cell) else "Infinity" if cell > 0 else "-Infinity"


def _asked(visit: Visit, registry: Registry, caller: Identity, wanted: Wanted) -> tuple[Experiment, Wanted]:
    found = enter(registry, caller, visit.project_path)
    return experiments.find_experiment(registry, found.id, str(visit.number("experiment"))), wanted


def _with_columns(visit: Visit, registry: Registry, caller: Identity, wanted: Wanted) -> Wanted:
    """The columns that the table shows where nobody has chosen any, without those that are pictures."""
    columns: Sequence[Column] = [*wanted.pinned, *(wanted.columns or ())]
    if wanted.columns is None:
        shown = replace(wanted, flat=False, differing=False)
        columns = run_tables.show_table(registry, *_asked(visit, registry, caller, shown)).columns
    return replace(wanted, columns=[each for each in dict.fromkeys(columns) if each.kind is not Kind.COURSE])


@dataclass
class _Pieces:
    """Rows of a table piece by piece, `most` of them; `written` makes bytes of a piece, of `whole` texts."""

    visit: Visit
    wanted: Wanted
    written: Callable[[Sequence[Row]], bytes]
    whole: bool
    most: int | None = None
    read: int = 0

    async def first(self) -> tuple[bytes, int | None]:
        """The first piece, and the id of the run behind which there is more."""
        return await self.visit.find(partial(self._piece, None))

    async def all(self, piece: bytes, after: int | None) -> AsyncIterator[bytes]:
        """A piece, and those that follow. Raises ShortRead, which cuts the answer off, when one cannot be read."""
        yield piece
        while after is not None:
            try:
                piece, after = await self.visit.find(partial(self._piece, after), begun=True)
            except ClientGone as error:
                raise ShortRead from error
            except failures.EXPECTED as error:
                log.error("export cut off", error=str(error).partition("\n")[0], advice="ask for it again")
                raise ShortRead from error
            yield piece

    def _piece(self, after: int | None, registry: Registry, caller: Identity) -> tuple[bytes, int | None]:
        experiment, wanted = _asked(self.visit, registry, caller, self.wanted)
        limit = run_tables.ROWS if self.most is None else min(PORTION, self.most - self.read)
        rows, following = run_tables.read_rows(registry, experiment, wanted, after, limit, whole=self.whole)
        self.read += len(rows)
        return self.written(rows), following if self.most is None or self.read < self.most else None


def _row(row: Row) -> bytes:
    run = row.run
    ended = iso(run.end_time) if run.end_time is not None else ""
    fixed = (safe(run.name), run.eid, str(run.iid), run.status, iso(run.start_time), ended)
    return line([*fixed, *map(written_cell, row.cells)])


def _portion(rows: Sequence[Row]) -> bytes:
    runs = [row.run for row in rows]
    fixed = (
        [run.name or run.eid for run in runs],
        [run.status.lower() for run in runs],
        _differences([run.start_time for run in runs]),
        [run.end_time - run.start_time if run.end_time is not None and run.start_time else None for run in runs],
    )
    cells = zip(*([_short(cell) for cell in row.cells] for row in rows), strict=True)
    return orjson.dumps({"iid": _differences([run.iid for run in runs]), "fields": [*fixed, *map(list, cells)]}) + b"\n"


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for before, number in pairwise([0, *numbers])]


def _short(cell: Cell) -> Cell:
    if isinstance(cell, float | int):
        return float(f"{cell:.{GRID_DIGITS}g}") if math.isfinite(cell) else written_cell(cell)
    return cell[:GRID_TEXT] if isinstance(cell, str) else None


async def _compressed(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces, each of which can be read as it comes."""
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP)
    async for piece in body:
        yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()
