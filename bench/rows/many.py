"""Many large transfers at once: what memory they need, and whether each gets its share."""

from __future__ import annotations

from statistics import fmean

from bench.load import curl
from bench.load.transfers import all_at_once, download, upload
from bench.metrics import FAIRNESS, MIB, SPEED, Metrics
from bench.stage import Contender, Stage


def transfers(stage: Stage) -> list[Contender]:
    """Half of them up, half of them down."""
    server = stage.modelyard()
    path, half = stage.payload(stage.scale.many_mib), stage.scale.many_transfers // 2
    curl.put(server.file("shared"), path)
    wanted = [download(server.file("shared")) for _ in range(half)]
    wanted += [upload(server.file(f"sent-{index}"), path) for index in range(half)]
    size = len(wanted) * path.stat().st_size

    def measure() -> Metrics:
        rates = all_at_once(wanted)
        downs, ups = rates[:half], rates[half:]
        longest = stage.scale.many_mib / min(rates)
        fairness = {f"{FAIRNESS}, {name}": min(part) / fmean(part) for name, part in (("down", downs), ("up", ups))}
        return {SPEED: size / MIB / longest, FAIRNESS: min(rates) / fmean(rates)} | fairness

    return [Contender("modelyard", lambda: server.server.watched(measure, size=size))]
