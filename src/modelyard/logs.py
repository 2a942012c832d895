"""Structured log lines on standard error, one a line, for our own events and those of the libraries beneath."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any

import orjson
import structlog

from modelyard import origin

Event = MutableMapping[str, Any]


class _Lines(structlog.WriteLogger):
    """Writes each line with one call, since several processes share a log.

    A line that cannot be written is lost: the disk that is full beneath the log must not fail the request as well.
    """

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warning = error = critical = exception = msg


def configure(level: str, form: str | None) -> None:
    """Log events of at least `level`, as `text` or `json`; None: text on a terminal, else json."""
    text = form == "text" or (form is None and sys.stderr.isatty())
    shared: list[Any] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_arguments: _Lines(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _capture_library_logs(level, shared, last)


def _to_json(event: Event, default: Callable[[Any], Any] | None = None, **_options: object) -> str:
    try:
        return orjson.dumps(event, default=default).decode()
    except orjson.JSONEncodeError:  # for a path that is no UTF-8, say: what logs must not fail by it
        return json.dumps(event, default=default)


def _capture_library_logs(level: str, shared: list[Any], last: list[Any]) -> None:
    """Give the lines of uvicorn, Alembic and others the same form."""
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    formatter = structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=[*shared, _add_logger])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(getattr(logging, level.upper()), logging.INFO))
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # says of every bad form which byte it stumbled on
    logging.getLogger("botocore.credentials").setLevel(logging.ERROR)  # gives a traceback with what is then raised
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # says what else a lost connection made fail
    logging.getLogger("alembic").setLevel(logging.WARNING)  # says which database it found, at every look


def _add_request_id(_logger: object, _method: str, event: Event) -> Event:
    """Say which request an event belongs to; structlog's own variables would take 6 µs of each request for it."""
    request_id = origin.current().request_id
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def _add_logger(_logger: object, _method: str, event: Event) -> Event:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
    return event
