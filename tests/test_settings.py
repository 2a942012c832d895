"""Settings: where they come from, and what stops the start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from modelyard.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    for name in [each for each in os.environ if each.startswith("MODELYARD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_serve_on_this_machine_from_a_local_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8080, 1)
    assert settings.effective_database_url == f"sqlite:///{tmp_path}/data/modelyard.db"
    assert settings.blob_root == tmp_path / "data" / "blobs"


def test_arguments_win_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MODELYARD_PORT=1\nMODELYARD_WORKERS=2\nMODELYARD_HOST=h\nOTHER=x\n")
    monkeypatch.setenv("MODELYARD_PORT", "3")
    monkeypatch.setenv("MODELYARD_WORKERS", "4")
    settings = load_settings(port=5, host=None)
    assert (settings.port, settings.workers, settings.host) == (5, 4, "h")


def test_secrets_come_from_files_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a-secret-of-many-characters\n")
    monkeypatch.setenv("MODELYARD_ROOT_TOKEN_FILE", str(secret))
    assert load_settings().root_token == "a-secret-of-many-characters"
    monkeypatch.setenv("MODELYARD_ROOT_TOKEN_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="MODELYARD_ROOT_TOKEN_FILE: cannot read"):
        load_settings()


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_ROOT_TOKEN", "")
    monkeypatch.setenv("MODELYARD_EXTERNAL_URL", "")
    settings = load_settings()
    assert (settings.root_token, settings.external_url) == (None, None)


WHITE_SPACE = "\t \N{NO-BREAK SPACE}\r\n"


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_white_space_around_a_value_is_not_part_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    """As `echo` and blocks of YAML leave it."""
    (tmp_path / "secret").write_text(" a-secret-of-many-characters \r\n")
    values = {
        "MODELYARD_EXTERNAL_URL": "https://models.example.com/",
        "MODELYARD_HOST": "::1",
        "MODELYARD_PORT": "81",
        "MODELYARD_DATA_DIR": "/srv/data",
        "MODELYARD_S3_REDIRECT": "true",
        "MODELYARD_LOG_FORMAT": "JSON",
        "MODELYARD_ROOT_TOKEN": "a-token-of-many-characters",
        "MODELYARD_GC_GRACE": "",
        "AWS_REGION": "eu-north-1",
    }
    if place == ".env":
        lines = [f'{name}="{WHITE_SPACE}{value}{WHITE_SPACE}"\n' for name, value in values.items()]
        (tmp_path / ".env").write_text("".join(lines), newline="")
    else:
        for name, value in values.items():
            monkeypatch.setenv(name, f"{WHITE_SPACE}{value}{WHITE_SPACE}")
    monkeypatch.setenv("MODELYARD_SECRET_KEY_FILE", f"{tmp_path}/secret\n")
    settings = load_settings()
    assert (settings.external_url, settings.host, settings.port) == ("https://models.example.com", "::1", 81)
    assert (settings.data_dir, settings.s3_redirect, settings.log_format) == (Path("/srv/data"), True, "json")
    assert (settings.root_token, settings.secret_key) == ("a-token-of-many-characters", "a-secret-of-many-characters")
    assert (settings.gc_grace, settings.s3_region) == (86_400, "eu-north-1")
    assert load_settings(host=" 127.0.0.2\n").host == "127.0.0.2"


def test_white_space_alone_is_no_value_and_so_does_not_hide_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MODELYARD_EXTERNAL_URL=https://models.example.com\n")
    monkeypatch.setenv("MODELYARD_EXTERNAL_URL", " \n")
    assert load_settings().external_url == "https://models.example.com"


def test_a_mark_at_the_beginning_of_a_file_hides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Windows' editors leave it."""
    (tmp_path / ".env").write_text("MODELYARD_PORT=81\n", encoding="utf-8-sig")
    (tmp_path / "secret").write_text("a-secret-of-many-characters", encoding="utf-8-sig")
    monkeypatch.setenv("MODELYARD_ROOT_TOKEN_FILE", str(tmp_path / "secret"))
    assert (load_settings().port, load_settings().root_token) == (81, "a-secret-of-many-characters")


PLACES = ("environment", ".env", "file", "argument")
CONTROLS = ("\n", "\r\n", "\t", "\x1b", "\x7f", "\x85", "\N{LINE SEPARATOR}")


@pytest.mark.parametrize(
    ("place", "inside"),
    [*((place, inside) for place in PLACES for inside in CONTROLS), ("argument", "\0"), ("file", "\0"), (".env", "\0")],
)
def test_a_control_character_inside_a_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, inside: str
) -> None:
    value, variable = f"sqlite:////srv/a{inside}b", "MODELYARD_DATABASE_URL"
    arguments: dict[str, str] = {}
    if place == "environment":
        monkeypatch.setenv(variable, value)
    elif place == ".env":
        (tmp_path / ".env").write_text(f'{variable}="{value}"\n', newline="")
    elif place == "file":
        (tmp_path / "url").write_text(value, newline="")
        variable += "_FILE"
        monkeypatch.setenv(variable, str(tmp_path / "url"))
    else:
        arguments = {"database_url": value}
    with pytest.raises(SettingsError, match="must not have control characters") as refusal:
        load_settings(**arguments)
    message = str(refusal.value)
    assert message.startswith(f"{variable}: must ")
    assert message.isprintable()
    assert "srv" not in message


@pytest.mark.parametrize("variable", ["MODELYARD_EXTERNAL_URL", "MODELYARD_DATA_DIR", "AWS_REGION"])
def test_what_is_no_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, os.fsdecode(b"https://a\xff"))
    with pytest.raises(SettingsError, match=f"{variable}: must be UTF-8"):
        load_settings()


def test_neither_may_the_folders_above_be_anything_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a\xff")
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(SettingsError, match="MODELYARD_DATA_DIR: must be UTF-8, the folder above it included"):
        load_settings()


def test_variables_of_others_may_be_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LS_COLORS", "a\nb")
    monkeypatch.setenv("HOST", "a\nb")
    assert load_settings().host == "127.0.0.1"


def test_urls_may_name_other_places() -> None:
    settings = load_settings(
        blob_url="file:///srv/blobs", database_url="sqlite:////srv/db", external_url="https://models.example.com/x/"
    )
    assert (str(settings.blob_root), settings.effective_database_url) == ("/srv/blobs", "sqlite:////srv/db")
    assert settings.external_url == "https://models.example.com/x"


def test_nginx_cannot_send_what_lies_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_BLOB_URL", "s3://bucket")
    monkeypatch.setenv("MODELYARD_X_ACCEL_REDIRECT", "/blobs/")
    with pytest.raises(SettingsError, match="X_ACCEL_REDIRECT: needs blobs in a folder"):
        load_settings()


@pytest.mark.parametrize("name", ["AWS_REGION", "MODELYARD_S3_REGION"])
def test_the_region_has_the_name_that_all_know_and_ours(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert load_settings().s3_region is None
    monkeypatch.setenv(name, "eu-north-1")
    assert load_settings().s3_region == "eu-north-1"


def test_postgresql_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://modelyard@db/modelyard"
    assert load_settings(database_url=url).effective_database_url == url
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"DATABASE_URL: .*install modelyard\[postgres\]"):
        load_settings(database_url=url)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "many", "unable to parse"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("MAX_FILE_SIZE", "-1", "greater than or equal to 0"),
        ("AUDIT_DAYS", "-1", "greater than or equal to 0"),
        ("LOG_LEVEL", "loud", "should be 'debug', 'info', 'warning' or 'error'"),
        ("BLOB_URL", "gs://bucket", "must be file:/// with an absolute path, or s3://bucket/prefix"),
        ("BLOB_URL", "file://relative", "must be file:/// with an absolute path"),
        ("X_ACCEL_REDIRECT", "blobs", "must be a path such as /blobs/"),
        ("X_ACCEL_REDIRECT", "/blobs", "must be a path such as /blobs/"),
        ("SHUTDOWN_DELAY", "-1", "greater than or equal to 0"),
        ("S3_ADDRESSING", "dns", "should be 'auto', 'path' or 'virtual'"),
        ("S3_REDIRECT_SECONDS", "700000", "less than or equal to 604800"),
        ("SECRET_KEY", "too-short", "at least 20 characters"),
        ("DATABASE_URL", "oracle://x", "must be a sqlite:/// or postgresql+psycopg:// URL"),
        ("EXTERNAL_URL", "models.example.com", "must begin with http:// or https://"),
        *(
            ("EXTERNAL_URL", url, "must be scheme, host, port and path in ASCII")
            for url in (
                "https://",
                "https:///x",
                "https://models.example.com:http",
                "https://models.example.com:70000",
                "https://[::1",
                "https://models.example.com/a b",
                "https://mödels.example.com",
                "https://models.example.com?x",
                "https://models.example.com/#x",
                "https://user:password@models.example.com",
                "https://models.example.com\\",
                'https://models.example.com/"',
            )
        ),
        ("HEAD_TIMEOUT", "-1", "greater than or equal to 0"),
        ("STALL_TIMEOUT", "soon", "unable to parse"),
        ("MIN_TRANSFER_RATE", "-1", "greater than or equal to 0"),
        ("MAX_CONNECTIONS", "-1", "greater than or equal to 0"),
        ("MAX_UPLOADS_PER_TOKEN", "-1", "greater than or equal to 0"),
        ("RATE_LIMIT_ANONYMOUS", "-1", "greater than or equal to 0"),
        ("RATE_LIMIT_TOKEN", "many", "unable to parse"),
        ("RATE_LIMIT_FAILED_LOGINS", "-1", "greater than or equal to 0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, proxy.example.com", "must be addresses or CIDRs"),
        ("TRUSTED_PROXIES", "*", "must be addresses or CIDRs"),
        ("METRICS_TOKEN", "short", "at least 20 characters"),
        ("METRICS_TOKEN", "with blanks in it, which no header takes", "printable ASCII"),
        ("ROOT_TOKEN", "short", "at least 20 characters"),
        ("ROOT_TOKEN", "changeme-changeme-changeme", "not a placeholder"),
        ("ROOT_TOKEN", "with blanks in it, which no header takes", "printable ASCII"),
        ("ROOT_TOKEN", "myd_that-only-looks-like-one-of-ours", "its checksum is wrong"),
        ("METRICS_TOKEN", "myd_that-only-looks-like-one-of-ours", "its checksum is wrong"),
    ],
)
def test_a_bad_value_is_named_in_one_line_without_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"MODELYARD_{name}", value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    message = str(refusal.value)
    assert message.startswith(f"MODELYARD_{name}: ")
    assert reason in message
    assert "\n" not in message
    assert name != "ROOT_TOKEN" or value not in message
