"""A fast download while many others take theirs slowly."""

from __future__ import annotations

from bench.load import curl
from bench.load.slow_readers import reading_slowly
from bench.metrics import Metrics
from bench.stage import Contender, Stage


def beside_slow(stage: Stage) -> list[Contender]:
    """The speed of one client with the slow readers there, and without."""
    path, scale, server = stage.payload(stage.scale.get_mib), stage.scale, stage.modelyard()
    target, size = server.file(path.name), path.stat().st_size
    curl.put(target, path)

    def alone() -> Metrics:
        return server.server.watched(lambda: curl.get(target, size, scale.slow_gets), size=size * scale.slow_gets)

    def beside() -> Metrics:
        with reading_slowly(target, scale.slow_readers, scale.slow_kib_s) as slow:
            fast = alone()
        return fast | slow

    return [Contender(f"beside {scale.slow_readers} slow readers", beside), Contender("alone", alone)]
