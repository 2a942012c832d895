"""Measuring a row: the contenders in turn, round by round, and what comes of their samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import click

from bench.metrics import Metrics
from bench.rows import Row
from bench.stage import Contender, Stage


@dataclass(frozen=True)
class Figure:
    """A metric over all rounds."""

    median: float
    least: float
    most: float

    @property
    def spread(self) -> float:
        """The way from the least to the most, as a part of the median."""
        return (self.most - self.least) / self.median if self.median else 0.0


@dataclass
class Result:
    """The samples of a row by contender, one of each a round; the first contender is the subject."""

    row: str
    title: str
    samples: dict[str, list[Metrics]]
    skipped: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Whose figures are divided by the others'."""
        return next(iter(self.samples))

    @property
    def metrics(self) -> list[str]:
        """All that was measured of anyone, the main one first."""
        return list(dict.fromkeys(name for rounds in self.samples.values() for name in rounds[0]))

    def figure(self, contender: str, metric: str) -> Figure | None:
        """A contender's metric; None if it has none."""
        values = [each[metric] for each in self.samples[contender] if metric in each]
        return Figure(median(values), min(values), max(values)) if values else None

    def ratio(self, contender: str, metric: str) -> float | None:
        """The subject's figure divided by this contender's: the median of the quotients within each round."""
        pairs = zip(self.samples[self.subject], self.samples[contender], strict=True)
        ratios = [mine[metric] / other[metric] for mine, other in pairs if metric in mine and other.get(metric)]
        return median(ratios) if ratios and contender != self.subject else None

    def as_json(self) -> dict[str, Any]:
        """Samples, and what was made of them."""
        figures = {
            contender: {
                metric: asdict(figure) | {"spread": figure.spread, "ratio": self.ratio(contender, metric)}
                for metric in self.metrics
                if (figure := self.figure(contender, metric))
            }
            for contender in self.samples
        }
        return asdict(self) | {"figures": figures}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Result:
        """What `as_json` wrote."""
        return cls(value["row"], value["title"], value["samples"], value["skipped"], value["about"])


def measure(row: Row, stage: Stage) -> Result:
    """Set the stage, then let every contender run once a round, each round begun by another."""
    with stage:
        contenders = row.contenders(stage)
        if row.warm_up:
            _round(contenders, 0)
        rounds = [_round(contenders, number) for number in range(min(row.rounds, stage.scale.rounds))]
    samples = {each.name: [sampled[each.name] for sampled in rounds] for each in contenders}
    return Result(row.name, row.titled(stage.scale), samples, stage.skipped, dict(stage.versions))


def _round(contenders: Sequence[Contender], number: int) -> dict[str, Metrics]:
    first = number % len(contenders)
    sampled = {}
    for contender in (*contenders[first:], *contenders[:first]):
        sampled[contender.name] = contender.run()
        click.echo(".", nl=False, err=True)
    for metrics in sampled.values():
        metrics.pop("requests", None)
    return sampled
