"""Whether a registry that has been filled for years is as quick as an empty one."""

from __future__ import annotations

from statistics import median

from bench.contenders.modelyard import API, Modelyard, migrate
from bench.load import curl
from bench.load.wrk import Wrk
from bench.metrics import Metrics
from bench.rest import Client
from bench.seed import BIG_PROJECT_SHARE, BIG_VERSION_SHARE, Seeded, seed
from bench.stage import Contender, Stage

PER_PAGE = 100


def gets(stage: Stage) -> list[Contender]:
    """Files drawn from all over the registry, and the one file of an empty one."""
    wrk, path = stage.wrk(), stage.small()
    full, seeded = _filled(stage)
    empty = stage.modelyard("empty")
    only = empty.file(path.name)
    curl.put(only, path)
    drawn = [full.file_of(str(project), str(version), name).path for project, version, name in seeded.files]
    return [_getting("filled", stage, full, drawn, wrk), _getting("empty", stage, empty, [only.path], wrk)]


def lists(stage: Stage) -> list[Contender]:
    """The first, the middle and the last page of each list; the first is the subject."""
    server, seeded = _filled(stage)
    scale, client, project = stage.scale, server.client(), f"{API}/projects/{seeded.project}"
    counts = {
        f"{project}/packages": scale.versions // BIG_PROJECT_SHARE,
        f"{project}/packages/{seeded.package}/package_files": scale.files // BIG_VERSION_SHARE,
        f"{API}/projects": scale.projects,
    }
    last = {path: -(-count // PER_PAGE) for path, count in counts.items()}
    pages = {"first page": dict.fromkeys(last, 1), "middle page": {path: -(-n // 2) for path, n in last.items()}}
    return [
        Contender(name, lambda chosen=chosen: _times(client, chosen, scale.page_requests))  # type: ignore[misc]
        for name, chosen in (pages | {"last page": last}).items()
    ]


def _filled(stage: Stage) -> tuple[Modelyard, Seeded]:
    folder = stage.folder("filled")
    migrate(stage.program, folder)
    seeded = seed(folder, stage.scale)
    return stage.modelyard("filled"), seeded


def _getting(name: str, stage: Stage, server: Modelyard, paths: list[str], wrk: Wrk) -> Contender:
    listed = stage.folder("paths") / name
    listed.write_text("\n".join(paths) + "\n")
    target = server.file("any")
    return Contender(name, lambda: server.server.watched(lambda: wrk.get_each(target, listed)))


def _times(client: Client, pages: dict[str, int], requests: int) -> Metrics:
    metrics: Metrics = {}
    for path, page in pages.items():
        name = path.rpartition("/")[2]
        asked = f"{path}?per_page={PER_PAGE}&page={page}"
        metrics[f"{name} ms"] = median(client.timed(asked) for _ in range(requests))
    return metrics
