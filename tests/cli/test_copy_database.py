"""`copy-database` between SQLite and PostgreSQL: every row, every counter, and the same answers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic import command
from sqlalchemy import Connection, insert, select, text

from modelyard.access.identity import OPERATOR
from modelyard.errors import CommandError
from modelyard.registry import moving
from modelyard.registry.engine import Database, make_engine
from modelyard.registry.moving import CopiedTable, tables_in_order
from modelyard.registry.repository import Registry
from modelyard.registry.schema import alembic_config, changing
from modelyard.registry.tables import Base, Password, Project, SignOnSession, TrustedPublisher, UploadPart, User
from modelyard.services.backup.database_copy import copy_database
from modelyard.services.identity import provider_groups, providers, states, user_identities
from modelyard.services.identity.issuers import Terms
from modelyard.services.identity.providers import NewProvider, Provision
from modelyard.services.people.sessions import make_code
from modelyard.services.people.setup import prepare
from modelyard.services.upkeep import results
from modelyard.settings import Settings
from tests import postgres
from tests.commands import run
from tests.databases import migrated_sqlite
from tests.live import LiveServer, running
from tests.routes.hub import sending
from tests.tus import begun, patch

OWNER = "root"  # whose namespace it is

TOKEN = "the-administrators-own-token"
ODD = "Ünïcode 🚀 \N{RIGHT-TO-LEFT OVERRIDE} 'single' \"double\" \\ % _ {} $1 :x ?"
LARGE = 2**53 + 1  # what a float cannot hold


@dataclass(frozen=True)
class Filling:
    """Fills a registry by its API until no table is empty."""

    client: httpx2.Client

    def fill(self) -> None:
        self._accounts()
        self._models()
        self._runs()
        self._uploads()
        self._browsers()

    def post(self, path: str, method: str = "POST", **body: object) -> Any:
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    def mlflow(self, path: str, method: str = "POST", **body: object) -> Any:
        return self.post(f"/projects/1/ml/mlflow/api/2.0/mlflow/{path}", method, **body)

    def _accounts(self) -> None:
        for name in ("ada", "gone"):
            self.post("/users", username=name, name=ODD, email=f"{name}@example.com", admin=name == "ada")
        for name in ("p", "gone"):
            self.post("/projects", name=name, description=ODD, visibility="public")
        for path in ("/users/3", "/projects/2"):  # the next ids are not the highest ones plus one
            assert self.client.delete(path).is_success
        self.post("/projects/1/members", username="ada", access_level=30, expires_at="2099-01-01")
        self.post("/users/2/personal_access_tokens", name=ODD, scopes=["api", "read_api"], expires_at="2099-01-01")
        self.post("/projects/1/access_tokens", name="bot", scopes=["api"], access_level=40, expires_at="2099-01-01")

    def _models(self) -> None:
        self.mlflow("registered-models/create", name="m", description=ODD, tags=[{"key": "k", "value": ODD}])
        for version in ("1.0.0", "2.0.0-rc.1"):
            tags = [{"key": "gitlab.version", "value": version}, {"key": "k", "value": ODD}]
            self.mlflow("model-versions/create", name="m", tags=tags, description=ODD)
        self.mlflow("registered-models/alias", name="m", alias="champion", version="1")
        for name in ("f", "g"):
            answer = self.client.put(f"/projects/1/packages/ml_models/1/files/d/{name}", content=name.encode())
            assert answer.status_code == 201
        url = begun(self.client, "/projects/1/packages/ml_models/1/files", 9)
        assert patch(self.client, url, 0, b"12345").status_code == 204
        told = self.client.get(self.client.base_url.join(f"/api/models/{OWNER}/p/revision/1.0.0"))
        assert told.status_code == 200, told.text

    def _runs(self) -> None:
        experiment = self.mlflow("experiments/create", name=ODD, tags=[{"key": "k", "value": ODD}])["experiment_id"]
        run = self.mlflow("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        model = self.mlflow("logged-models", experiment_id=experiment, source_run_id=run, name="l")["model"]
        logged = model["info"]["model_id"]
        self.mlflow(f"logged-models/{logged}/tags", "PATCH", tags=[{"key": "k", "value": ODD}])
        self.mlflow(f"logged-models/{logged}/params", params=[{"key": "k", "value": ODD}])
        values: tuple[object, ...] = (0.1, "NaN", "Infinity", "-Infinity", 5e-324, 1.7976931348623157e308, -0.0)
        for number, value in enumerate(values):
            for key in ("all", f"m{number}"):
                point = {"key": key, "value": value, "timestamp": LARGE, "step": LARGE + number, "model_id": logged}
                self.mlflow("runs/log-batch", run_id=run, metrics=[point])
        self.mlflow("runs/log-parameter", run_id=run, key="p", value=ODD * 10)
        self.mlflow("runs/set-tag", run_id=run, key="t", value=ODD)
        dataset = {"name": "d", "digest": "1", "source_type": "local", "source": ODD}
        self.mlflow("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset}], models=[{"model_id": logged}])
        self.mlflow("runs/outputs", run_id=run, models=[{"model_id": logged, "step": 3}])
        assert self.client.put("/projects/1/packages/ml_models/candidate:1/files/f", content=b"f").status_code == 201

    def _uploads(self) -> None:
        """What Hugging Face's clients have sent, and not yet committed: an object, and a xorb with its shard."""
        base = str(self.client.base_url.join("/"))
        with (
            httpx2.Client(base_url=base, headers=self.client.headers) as client,
            httpx2.Client(base_url=base) as sender,
        ):
            sending.send_object(client, sender, f"{OWNER}/p", b"an object")
            cas = sending.Cas(client, sender, f"{OWNER}/p")
            assert cas.xorb(bytes(32), sending.chunk(b"a chunk")).status_code == 200
            told = sending.shard((sending.sha256(b"a chunk"), [(bytes(32), 0, 1, 7)]), xorbs={bytes(32): [bytes(32)]})
            assert cas.shard(told).status_code == 200

    def _browsers(self) -> None:
        form = {"data": {"token": TOKEN}, "headers": {"Sec-Fetch-Site": "same-origin"}}
        with httpx2.Client(base_url=str(self.client.base_url.join("/"))) as browser:
            assert browser.post("/oauth/authorize_device", data={"client_id": ODD[:7]}).status_code == 200
            assert browser.post("/users/sign_in", **form).status_code == 303  # type: ignore[arg-type]


READS = (
    "/user",
    "/users",
    "/personal_access_tokens",
    "/projects",
    "/projects/1/members",
    "/projects/1/access_tokens",
    "/projects/1/packages",
    "/projects/1/packages/1/package_files",
    "/projects/1/packages/ml_models/1/files/d/f",
    *(
        f"/projects/1/ml/mlflow/api/2.0/mlflow/{path}"
        for path in (
            "registered-models/get?name=m",
            "registered-models/alias?name=m&alias=champion",
            "model-versions/search",
            "experiments/search?max_results=100",
            "experiments/get?experiment_id=2",
        )
    ),
)


@contextmanager
def served(folder: Path, url: str) -> Iterator[tuple[LiveServer, httpx2.Client]]:
    """A server on a database, and the blobs of `folder`."""
    with running(folder, database_url=url, root_token=TOKEN) as live, live.client(TOKEN) as client:
        yield live, client


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A filled registry on SQLite, in the folder of its file."""
    folder = tmp_path_factory.mktemp("source")
    url = f"sqlite:///{folder}/modelyard.db"
    with served(folder, url) as (_live, client):
        Filling(client).fill()
    database = Database(url)
    results.keep(database, results.CHECK, 0, 0, results.Progress())
    database.write_now(lambda registry: make_code(registry, OWNER))
    with database.writing() as registry:  # as of an upload to a bucket
        registry.session.add(UploadPart(upload_id=1, number=1, size=5, etag='"e"'))
        registry.session.add(Password(user_id=1, digest=ODD, changed_at=LARGE))
        _fill_sign_on(registry)
        _fill_jobs(registry)
    database.close()
    return url


def _fill_sign_on(registry: Registry) -> None:
    new = NewProvider("company", "https://id.example.com", ODD[:7], provision=Provision.ALL)
    providers.create(registry, OPERATOR, new, Terms("https://yard.example.com"))
    provider_groups.give(registry, OPERATOR, "company", ODD[:7], "", provider_groups.ADMIN)
    user_identities.link(registry, OPERATOR, "company", OWNER, ODD)
    states.begin(registry, states.Journey.new(""), 1, "/", 1)
    registry.session.add(SignOnSession(token_id=1, provider_id=1, id_token=ODD))


def _fill_jobs(registry: Registry) -> None:
    """A publisher, a token of one of its jobs, and what that made."""
    texts = {"name": ODD, "subject": "s", "claims": "{}", "ref": "", "environment": ODD, "events": "", "source": ODD}
    numbers = {"project_id": 1, "issuer_id": 1, "user_id": 1, "access_level": 30, "lifetime": LARGE}
    registry.publishers.add(TrustedPublisher(**texts, **numbers, ref_protected=True))
    registry.publishers.add_origin(1, 1, ODD)
    registry.versions.add_origin(1, json.dumps({"project": ODD}))
    assert registry.publishers.use(1, ODD, LARGE)


def twin(url: str, folder: Path) -> str:
    """The same database once more, as SQLite copies it."""
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as one,
        closing(sqlite3.connect(folder / "twin.db")) as other,
    ):
        one.backup(other)
    return f"sqlite:///{folder}/twin.db"


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).parent


def rows(url: str) -> dict[str, list[str]]:
    """Every row of every table; as text, in which NaN equals itself, 1 is not True, and -0.0 not 0.0."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in tables_in_order()}
    finally:
        engine.dispose()


def answers(live: LiveServer, client: httpx2.Client) -> list[tuple[int, str]]:
    found = [client.get(path) for path in READS]
    return [(answer.status_code, answer.text.replace(live.url, "")) for answer in found]


def new_ids(client: httpx2.Client) -> list[Any]:
    """Ids of new things, one of each kind that counts."""
    filling = Filling(client)
    made = [
        filling.post("/users", username="new", name="n", email="new@example.com")["id"],
        filling.post("/projects", name="new")["id"],
        filling.post("/users/2/personal_access_tokens", name="n", scopes=["api"], expires_at="2099-01-01")["id"],
        filling.mlflow("experiments/create", name="another")["experiment_id"],
        filling.mlflow("runs/create", experiment_id="0")["run"]["info"]["artifact_uri"],
        filling.mlflow("registered-models/create", name="new")["registered_model"]["name"],
        filling.mlflow("model-versions/create", name="m")["model_version"]["version"],
    ]
    assert client.put("/projects/1/packages/ml_models/2/files/new", content=b"new").status_code == 201
    packages = [package["id"] for package in client.get("/projects/1/packages").json()]
    files = [file["id"] for id_ in packages for file in client.get(f"/projects/1/packages/{id_}/package_files").json()]
    return [*made, sorted(packages), sorted(files)]


def test_a_registry_goes_to_postgresql_and_back_whole(source: str, tmp_path: Path) -> None:
    before = rows(source)
    assert [name for name, found in before.items() if not found] == []
    there, back = postgres.cluster().fresh(migrated=False), f"sqlite:///{tmp_path}/back.db"
    copied = copy_database(source, there)
    assert {table.table: table.rows for table in copied} == {name: len(found) for name, found in before.items()}
    assert rows(there) == before
    copy_database(there, back)
    assert rows(back) == before
    given = []
    for url in (twin(source, tmp_path), there, back):
        with served(folder_of(source), url) as (live, client):
            given.append((answers(live, client), new_ids(client)))
    assert {status for status, _text in given[0][0]} == {200}
    assert given[1:] == given[:1] * 2


def fresh(folder: Path, kind: str) -> str:
    """The URL of a database of a kind, with the newest schema and no rows."""
    return migrated_sqlite(folder / "modelyard.db") if kind == "sqlite" else postgres.cluster().fresh()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_a_first_start_has_made_is_replaced_and_anything_else_is_refused(
    source: str, tmp_path: Path, kind: str
) -> None:
    url = fresh(tmp_path, kind)
    prepare(Settings(_env_file=None, data_dir=tmp_path, database_url=url))  # type: ignore[call-arg]
    copy_database(source, url)
    before = rows(source)
    assert rows(url) == before
    with pytest.raises(CommandError, match="the target is not empty: there are rows in "):
        copy_database(source, url)
    assert rows(url) == before


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER again AFTER INSERT ON users BEGIN UPDATE users SET name = 'again' WHERE id = NEW.id; END",
    ],
    "postgresql": [
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE users SET name = 'again' WHERE id = NEW.id; RETURN NULL; END $$",
        "CREATE TRIGGER again AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION again()",
    ],
}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_triggers_do_not_count_what_is_copied_and_do_count_what_comes_after(
    source: str, tmp_path: Path, kind: str
) -> None:
    url = fresh(tmp_path, kind)
    database = Database(url)
    with database.writing() as registry:
        for statement in TRIGGERS[kind]:
            registry.session.connection().exec_driver_sql(statement)
    before = rows(source)
    copy_database(source, url)
    assert rows(url) == before
    with database.writing() as registry:
        registry.users.add("later", name="later", admin=False)
    assert [row for row in rows(url)["users"] if "'again'" in row] == list(
        set(rows(url)["users"]) - set(before["users"])
    )
    database.close()


def test_a_second_user_is_not_of_a_first_start(source: str, tmp_path: Path) -> None:
    url = fresh(tmp_path, "sqlite")
    database = Database(url)
    with database.writing() as registry:
        for name in ("root", "ada"):
            registry.users.add(name, name=name, admin=True)
    database.close()
    with pytest.raises(CommandError, match="there are rows in users"):
        copy_database(source, url)


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no database"):
        copy_database(f"sqlite:///{tmp_path}/nowhere.db", f"sqlite:///{tmp_path}/target.db")
    assert list(tmp_path.iterdir()) == []


def test_a_source_of_an_older_schema_is_refused(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/old.db")
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
    engine.dispose()
    with pytest.raises(CommandError, match="modelyard migrate"):
        copy_database(f"sqlite:///{tmp_path}/old.db", f"sqlite:///{tmp_path}/target.db")


def test_a_row_that_the_target_does_not_take_leaves_it_as_it_was(source: str, tmp_path: Path) -> None:
    engine = make_engine(migrated_sqlite(tmp_path / "odd.db"))
    with engine.begin() as connection:
        values = {"path": "p", "namespace_path": "n", "path_key": "n/p", "visibility": "private"}
        connection.execute(insert(Project.__table__).values(name="a\0b", **values))  # type: ignore[arg-type]
    engine.dispose()
    target = postgres.cluster().fresh(migrated=False)
    with pytest.raises(CommandError, match=r"^projects: .*NUL"):
        copy_database(f"sqlite:///{tmp_path}/odd.db", target)
    assert {name: found for name, found in rows(target).items() if found} == {}
    copy_database(source, target)


def test_rows_that_are_lost_on_the_way_are_noticed(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(reading: Connection, target: Connection, table: Any) -> int:
        rows = copy(reading, target, table)
        target.execute(text(f"DELETE FROM {table.name}"))
        return rows

    copy = moving._copy
    monkeypatch.setattr(moving, "_copy", losing)
    with pytest.raises(CommandError, match=r"\d+ rows were copied, and 0 are there"):
        copy_database(source, f"sqlite:///{tmp_path}/target.db")


def test_more_rows_than_a_batch_holds_are_copied_as_they_were_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = migrated_sqlite(tmp_path / "source.db"), postgres.cluster().fresh(migrated=False)
    engine = make_engine(source)
    number = moving.BATCH_ROWS * 2 + 1
    values = {"name": "n", "email": "e", "state": "active"}

    def add(first: int, last: int) -> None:
        names = [{"username": f"u{each}", "username_key": f"u{each}", **values} for each in range(first, last)]
        with engine.execution_options(writing=True).begin() as connection:
            connection.execute(insert(User.__table__), names)  # type: ignore[arg-type]

    def later(reading: Connection, target: Connection) -> Iterator[CopiedTable]:
        for table in copy_rows(reading, target):
            if table.table == "users":
                add(number, number + 5)
            yield table

    copy_rows = moving.copy_rows
    monkeypatch.setattr("modelyard.services.backup.database_copy.copy_rows", later)
    add(0, number)
    assert CopiedTable("users", number) in copy_database(source, target)
    assert len(rows(target)["users"]) == number
    engine.dispose()


def test_every_table_comes_after_those_that_it_refers_to() -> None:
    order = tables_in_order()
    assert {table.name for table in order} == set(Base.metadata.tables)
    for position, table in enumerate(order):
        assert {key.column.table for key in table.foreign_keys} <= set(order[: position + 1])


def test_the_command_prints_what_it_has_copied(source: str, tmp_path: Path) -> None:
    def copy(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run(tmp_path, "copy-database", *arguments)

    target = f"sqlite:///{tmp_path}/target.db"
    counts = {name: len(found) for name, found in rows(source).items()}
    copied = copy(source, target, "--json")
    assert copied.returncode == 0, copied.stderr
    assert {each["table"]: each["rows"] for each in json.loads(copied.stdout)} == counts
    again = copy(source, target)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "not empty" in again.stderr
    other = copy(source, f"sqlite:///{tmp_path}/other.db")
    assert f"users\t{counts['users']} rows\n" in other.stdout
    wrong = copy(source, "mysql://db")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
