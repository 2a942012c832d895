"""What a row works with: sizes, folders, tools, and servers that end with the row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from bench import tools
from bench.contenders.floor import Floor
from bench.contenders.mlflow import Mlflow
from bench.contenders.modelyard import Modelyard
from bench.contenders.nginx import Nginx
from bench.contenders.postgresql import Postgresql
from bench.contenders.s3 import S3
from bench.load.payload import forget, payload, small_payload
from bench.load.wrk import Wrk
from bench.machine import CLIENT_CORES, SERVER_CORES, Cores
from bench.metrics import Metrics
from bench.scale import Scale

T = TypeVar("T")


@dataclass(frozen=True)
class Contender:
    """One of those compared in a row; `run` measures it once."""

    name: str
    run: Callable[[], Metrics]


@dataclass
class Stage:
    """Servers and files for one row; leaving it ends the servers and removes their data."""

    scale: Scale
    work: Path
    program: Path
    skipped: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self._remove_data()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is not None:
            self._keep_logs()
        self._remove_data()

    def folder(self, name: str) -> Path:
        """A folder that goes with the row."""
        path = self.work / "data" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def payload(self, mib: int) -> Path:
        """A file of `mib` MiB, kept for the next rows."""
        return payload(self.work / "payloads", mib)

    def forget_uploads(self) -> None:
        """Let the next upload find the memory that the ones before took; see `forget`."""
        forget(self.work / "data")

    def small(self) -> Path:
        """A file of 1 KiB, kept for the next rows."""
        return small_payload(self.work / "payloads")

    def modelyard(self, name: str = "modelyard", *, workers: int = 1, cores: Cores = SERVER_CORES) -> Modelyard:
        """A running modelyard on a data folder called `name`."""
        started = Modelyard(self.program, self.folder(name), workers=workers, cores=cores)
        self._stack.callback(started.server.stop)
        started.wait()
        started.server.settle()
        return started

    def on_postgresql(self) -> Modelyard:
        """A running modelyard on PostgreSQL, which has the other core. Raises MissingError."""
        postgresql = Postgresql(self.folder("postgresql"), CLIENT_CORES)
        self._stack.callback(postgresql.stop)
        settings = {"MODELYARD_DATABASE_URL": postgresql.url}
        started = Modelyard(self.program, self.folder("on-postgresql"), settings=settings)
        self._stack.callback(started.server.stop)
        started.wait()
        started.server.settle()
        return started

    def bucket(self) -> S3:
        """A running S3 server, which has the clients' core."""
        bucket = S3(self.folder("bucket"), CLIENT_CORES)
        self._stack.callback(bucket.server.stop)
        return bucket

    def on_bucket(self, bucket: S3) -> Modelyard:
        """A running modelyard whose blobs are in a bucket."""
        started = Modelyard(self.program, self.folder("on-bucket"), settings=bucket.settings)
        self._stack.callback(started.server.stop)
        started.wait()
        started.server.settle()
        return started

    def floor(self, cores: Cores = SERVER_CORES, bucket: S3 | None = None) -> Floor:
        """The running floor of uploads, to a folder or to a bucket."""
        floor = Floor(self.folder("floor"), cores, bucket.url if bucket else "")
        self._stack.callback(floor.server.stop)
        return floor

    def nginx(self) -> Nginx | None:
        """A running nginx that serves the payloads; None, and a note, where there is none."""
        program = self._tool(lambda: tools.debian("nginx"))
        if program is None:
            return None
        self.versions["nginx"] = tools.version(program, "-v").rpartition("/")[2]
        nginx = Nginx(program, self.folder("nginx"), self.work / "payloads")
        self._stack.callback(nginx.server.stop)
        return nginx

    def mlflow(self) -> Mlflow | None:
        """A running MLflow server; None, and a note, where there is none."""
        program = self.mlflow_program()
        if program is None:
            return None
        mlflow = Mlflow(program, self.folder("mlflow"))
        self._stack.callback(mlflow.server.stop)
        mlflow.wait()
        mlflow.server.settle()
        return mlflow

    def mlflow_program(self) -> Path | None:
        """MLflow's command; None, and a note, where it cannot be had."""
        program = self._tool(lambda: tools.mlflow(self.work))
        if program is not None:
            self.versions["mlflow"] = tools.package_version(program, "mlflow")
        return program

    def hub(self) -> Path | None:
        """Hugging Face's command; None, and a note, where it cannot be had."""
        program = self._tool(lambda: tools.hub(self.work))
        if program is not None:
            self.versions["huggingface_hub"] = tools.package_version(program, "huggingface_hub")
        return program

    def wrk(self, cores: Cores | None = None) -> Wrk:
        """The load generator of small requests, on the clients' core unless others are named. Raises MissingError."""
        return Wrk(tools.debian("wrk"), self.scale.connections, self.scale.load_seconds, cores)

    def enter(self, block: AbstractContextManager[T]) -> T:
        """What a block gives, which is left with the row."""
        return self._stack.enter_context(block)

    def _tool(self, find: Callable[[], Path]) -> Path | None:
        program, complaint = tools.attempt(find)
        if program is None:
            self.skipped.append(complaint)
        return program

    def _keep_logs(self) -> None:
        """Leave what the servers said before the row failed in `failed/` of the work folder."""
        for log in (self.work / "data").glob("*/server.log"):
            kept = self.work / "failed" / f"{log.parent.name}.log"
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(log, kept)

    def _remove_data(self) -> None:
        shutil.rmtree(self.work / "data", ignore_errors=True)
