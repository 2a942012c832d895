"""PostgreSQL behind PgBouncer: in session mode all is as without it, and its other modes are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from modelyard.registry.backends import PostgreSQLBackend, TurnTaken
from modelyard.registry.backends.sessions import SHARED, joined_options, split_options
from modelyard.registry.engine import Database
from modelyard.registry.upkeep.holding import BlobsHeld, holding_blobs, removing_blobs
from tests import postgres
from tests.commands import run
from tests.databases import ON_POSTGRESQL
from tests.live import running
from tests.pgbouncer import PgBouncer, running_pgbouncer
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL")

Fresh = Callable[..., str]


@pytest.fixture
def fresh(pooler: PgBouncer) -> Fresh:
    """Gives the URL, through the pooler, of a new database."""
    return lambda **options: pooler.before(postgres.cluster().fresh(**options))


def shown(url: str, *names: str) -> list[str]:
    backend = PostgreSQLBackend(url)
    try:
        with backend.engine.connect() as connection:
            return [connection.scalar(text(f"SHOW {name}")) for name in names]
    finally:
        backend.close()


def test_timeouts_hold(fresh: Fresh) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name")
    assert shown(fresh(), *names) == ["30s", "15s", "1min", "modelyard"]


def test_a_statement_is_stopped_when_its_time_is_over_and_the_next_session_has_its_own(fresh: Fresh) -> None:
    url = fresh()
    for options in ("&options=-c%20statement_timeout%3D50", "&options=-c%20lock_timeout%3D50"):
        backend = PostgreSQLBackend(url + options)
        with backend.engine.connect() as connection:
            if "statement" in options:
                with pytest.raises(OperationalError, match="due to statement timeout"):
                    connection.execute(text("SELECT pg_sleep(20)"))
            else:
                connection.execute(text("SELECT pg_sleep(0.2)"))
        backend.close()
    assert shown(url, "statement_timeout", "lock_timeout") == ["30s", "15s"]


def test_timeouts_hold_where_the_pooler_drops_startup_options() -> None:
    with running_pgbouncer(postgres.cluster(), "session", ignore_startup_parameters="options") as ignoring:
        url = ignoring.before(postgres.cluster().fresh())
        assert shown(f"{url}&options=-c%20lock_timeout%3D7s", "statement_timeout", "lock_timeout") == ["30s", "7s"]


def test_settings_in_the_url_win(fresh: Fresh) -> None:
    url = f"{fresh()}&options=-c%20statement_timeout%3D50%20--work-mem=5MB%20-csearch_path%3D%22a%5C%20b%22,public"
    assert shown(url, "statement_timeout", "work_mem", "search_path") == ["50ms", "5MB", '"a b",public']


@pytest.mark.parametrize(
    ("options", "settings", "others"),
    [
        ("", {}, []),
        ("-c a=1", {"a": "1"}, []),
        ("-ca=1  --b-c=2\t-c\nd=", {"a": "1", "b_c": "2", "d": ""}, []),
        (r"-c a=x\ y\\z -c b=c=d", {"a": r"x y\z", "b": "c=d"}, []),
        ("endpoint=here -c a=1 -B 5", {"a": "1"}, ["endpoint=here", "-B", "5"]),
        ("-c", {}, ["-c"]),
        ("-c a", {}, ["-c", "a"]),
    ],
)
def test_options_are_taken_apart_and_put_together(options: str, settings: dict[str, str], others: list[str]) -> None:
    url = make_url("postgresql+psycopg://h/d").update_query_dict({"options": options})
    assert split_options(url) == (settings, others)
    again = url.update_query_dict({"options": joined_options(settings, others)})
    assert split_options(again) == (settings, others)


def test_options_that_are_given_twice_all_count() -> None:
    url = make_url("postgresql+psycopg://h/d?options=-ca%3D1&options=-cb%3D2")
    assert split_options(url) == ({"a": "1", "b": "2"}, [])


@pytest.mark.parametrize(
    "option", ["-c%20no_such_thing%3D1", "-c%20statement_timeout%3Dsoon", "-c%20log_connections%3Don"]
)
def test_a_setting_that_postgresql_does_not_take_is_one_line(fresh: Fresh, tmp_path: Path, option: str) -> None:
    done = run(tmp_path, "migrate", DATABASE_URL=f"{fresh(migrated=False)}&options={option}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("modelyard: database: ERROR: ")


def test_other_words_among_the_options_go_to_the_server_as_they_are(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", DATABASE_URL=f"{postgres.cluster().fresh(migrated=False)}&options=nonsense")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nonsense" in done.stderr


@pytest.mark.parametrize(
    ("mode", "settings"), [("transaction", {}), ("transaction", {"server_round_robin": 1}), ("statement", {})]
)
def test_a_pooler_that_shares_connections_is_refused_before_anything_is_done(
    tmp_path: Path, mode: str, settings: dict[str, object]
) -> None:
    direct = postgres.cluster().fresh(migrated=False)
    with running_pgbouncer(postgres.cluster(), mode, **settings) as sharing:
        for command in (["migrate"], ["serve", "--port", "0"], ["gc"]):
            done = run(tmp_path, *command, DATABASE_URL=sharing.before(direct))
            assert (done.returncode, done.stdout, done.stderr) == (1, "", f"modelyard: database: {SHARED}\n")
    backend = PostgreSQLBackend(direct)
    with backend.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) == 0
    backend.close()


def test_a_pooler_without_a_free_connection_is_waited_for_no_longer_than_for_a_server() -> None:
    with running_pgbouncer(postgres.cluster(), "session", default_pool_size=2) as narrow:
        database = Database(f"{narrow.before(postgres.cluster().fresh())}&connect_timeout=2")
        with database.reading() as one, database.reading() as another:
            assert [each.users.any() for each in (one, another)] == [False, False]
            with pytest.raises(OperationalError, match="has begun a session in 2 s"):
                database.probe()
        database.probe()
        database.close()


def test_readers_have_one_snapshot(fresh: Fresh) -> None:
    backend = PostgreSQLBackend(fresh())
    count = text("SELECT count(*) FROM blobs")
    with backend.reader.connect() as reader, backend.writer.begin() as writer:
        assert reader.scalar(count) == 0
        writer.execute(text("INSERT INTO blobs VALUES ('a', 1, 0)"))
        writer.commit()
        assert reader.scalar(count) == 0
    with backend.reader.connect() as reader:
        assert reader.scalar(count) == 1
    backend.close()


def test_what_goes_on_once_at_a_time_does_so_and_is_free_again_at_once(fresh: Fresh) -> None:
    one, another = (Database(url) for url in [fresh()] * 2)
    for _ in range(20):
        with one.alone("gc"), pytest.raises(TurnTaken), another.alone("gc"):
            pass
        with (
            holding_blobs(one.engine),
            another.engine.begin() as connection,
            pytest.raises(BlobsHeld),
            removing_blobs(connection),
        ):
            pass
        with another.engine.begin() as connection, removing_blobs(connection):
            pass
    for each in (one, another):
        each.close()


def test_a_turn_ends_with_the_process_that_had_it(fresh: Fresh, tmp_path: Path) -> None:
    url = fresh()
    script = (
        "import os, sys\n"
        "from modelyard.registry.engine import Database\n"
        "with Database(sys.argv[1]).alone('gc'):\n"
        "    print('mine', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mine\n"
        assert run(tmp_path, "gc", DATABASE_URL=url).returncode == 75
        process.kill()
    eventually(lambda: run(tmp_path, "gc", DATABASE_URL=url).returncode == 0)


def test_those_who_migrate_at_once_wait_for_each_other(fresh: Fresh, tmp_path: Path) -> None:
    url = fresh(migrated=False)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: run(tmp_path, "migrate", DATABASE_URL=url), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0]
    assert sum("schema migrated" in each.stderr for each in done) == 1


def test_a_registry_is_served_backed_up_restored_and_copied(fresh: Fresh, tmp_path: Path) -> None:
    url, restored, copied = fresh(), fresh(migrated=False), fresh(migrated=False)
    data = {"DATA_DIR": str(tmp_path / "data")}
    with running(tmp_path / "data", database_url=url) as yard, yard.client(yard.root_token) as root:
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
        file = f"/projects/{project}/packages/ml_models/candidate:1/files/f"
        assert root.put(file, content=b"weights").status_code == 201
        # Options for the server are of no use to pg_dump, and PgBouncer would refuse them.
        done = run(tmp_path, "backup", "backup", DATABASE_URL=f"{url}&options=-cstatement_timeout%3D60000", **data)
        assert (done.returncode, done.stderr) == (0, "")
    data = {"DATA_DIR": str(tmp_path / "restored")}
    done = run(tmp_path, "restore", "backup", DATABASE_URL=restored, **data)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(tmp_path, "copy-database", restored, copied).returncode == 0
    for each in (restored, copied):
        for command in (["check", "--read"], ["gc"]):
            done = run(tmp_path, *command, DATABASE_URL=each, **data)
            assert (done.returncode, done.stdout) == (0, "")
        token = root.headers["PRIVATE-TOKEN"]
        with (
            running(tmp_path / "restored", database_url=each, root_token=token) as yard,
            yard.client(token) as again,
        ):
            assert again.get(file).content == b"weights"
