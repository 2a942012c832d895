"""Settings: where they come from, and what stops the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelyard.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MODELYARD_{name.upper()}", raising=False)
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
