"""Every MODELYARD_ variable, its default and its unit. Nothing else in the project reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from modelyard.access.token_format import PREFIX as TOKEN_PREFIX
from modelyard.access.token_format import is_well_formed
from modelyard.environment import trimmed
from modelyard.terms.addresses import plain, plain_network

PREFIX = "MODELYARD_"
REGION_VARIABLE = "AWS_REGION"
SECRETS = ("root_token", "database_url", "secret_key", "metrics_token")
POSTGRESQL = "postgresql+psycopg://"
MINIMUM_TOKEN_LENGTH = 20
_LOCATION = re.compile(r"/(?:[A-Za-z0-9._~-]+/)*")
PLACEHOLDERS = ("changeme", "change-me", "example", "placeholder", "your-token", "your_token", "<")


class SettingsError(Exception):
    """A value that cannot be used, as one line for the person who set it."""


def _empty_is_unset(value: object) -> object:
    """Compose files write `VAR: ${VAR:-}`, which sets an empty string where nothing is meant."""
    return None if value == "" else value


OptionalText = Annotated[str | None, BeforeValidator(_empty_is_unset)]


class Settings(BaseSettings):
    """One frozen set of settings, handed to `create_app`; read from the environment, a `.env` file and secret files."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8-sig",  # editors on Windows begin a file with a mark
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    host: str = Field(
        "127.0.0.1", description="address to listen on; `0.0.0.0` for all of IPv4, `::` for all of IPv6 and IPv4"
    )
    port: int = Field(8080, ge=0, le=65535, description="TCP port")
    workers: int = Field(
        1, ge=1, le=256, description="server processes; on Linux new connections are spread evenly over them"
    )
    data_dir: Path = Field(
        Path("data"),
        description="folder of the database, the blobs and the first token",
        json_schema_extra={"default": "`./data`"},
    )
    database_url: OptionalText = Field(
        None,
        description="`sqlite:///…` or `postgresql+psycopg://…`; a secret",
        json_schema_extra={"default": "SQLite in the data folder"},
    )
    blob_url: OptionalText = Field(
        None,
        description="`file:///…`, or `s3://bucket/prefix`",
        json_schema_extra={"default": "`blobs` in the data folder"},
    )
    direct_io: bool = Field(
        True,
        description="write large files into a folder past the page cache, where its file system can; `false` where its"
        " first download should come from memory, or where many uploads at once meet a disk that turns or a slow"
        " network file system",
    )
    s3_region: OptionalText = Field(
        None,
        validation_alias=REGION_VARIABLE,
        description="region of the bucket",
        json_schema_extra={"default": "`AWS_REGION`, `AWS_DEFAULT_REGION`, else `us-east-1`"},
    )
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="`path` or `virtual`: the bucket's name in the path, or in the host name"
    )
    s3_redirect: bool = Field(False, description="`true` answers downloads with 302 to a presigned URL of the bucket")
    s3_redirect_seconds: int = Field(300, ge=1, le=604_800, description="seconds for which such a URL works")
    s3_upload_seconds: int = Field(
        14_400, ge=60, le=86_400, description="seconds within which a client may upload to the bucket by itself"
    )
    secret_key: OptionalText = Field(
        None,
        description="signs permissions for such uploads; a secret of 20 characters or more",
        json_schema_extra={"default": "the AWS secret key"},
    )
    x_accel_redirect: OptionalText = Field(
        None,
        description="path such as `/blobs/` at which nginx has the folder of the blobs, to send downloads by itself",
        json_schema_extra={"default": "none"},
    )
    external_url: OptionalText = Field(
        None, description="scheme, host and prefix that clients see", json_schema_extra={"default": "from the request"}
    )
    root_token: OptionalText = Field(
        None,
        description="the administrator's token on the first start; a secret of 20 characters or more",
        json_schema_extra={"default": "generated"},
    )
    metrics_token: OptionalText = Field(
        None,
        description="opens `/metrics`, which else is open to this machine alone; a secret of 20 characters or more",
        json_schema_extra={"default": "none"},
    )
    max_file_size: int = Field(10 * 1024**3, ge=0, description="bytes that one file may have; 0 = no limit")
    project_quota: int = Field(
        0, ge=0, description="bytes that the files of a project may have, unless it has a limit of its own; 0 = none"
    )
    project_rows_quota: int = Field(
        10 * 1024**3,
        ge=0,
        description="bytes that all else of a project may have: runs, metrics, tags, texts and tokens; 0 = no limit",
    )
    mlflow_artifact_uri: Literal["mlflow", "gitlab"] = Field(
        "mlflow",
        description="`gitlab` for GitLab's form of a run's `artifact_uri`, by which MLflow's clients upload, but"
        " neither list nor download",
    )
    pages: bool = Field(True, description="`false` leaves the web pages out, and answers by the APIs alone")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["text", "json"] | None = Field(
        None,
        description="form of the log lines on standard error",
        json_schema_extra={"default": "`text` on a terminal, else `json`"},
    )
    gc_grace: int = Field(86_400, ge=0, description="seconds for which `gc` leaves unreferenced bytes alone")
    audit_days: int = Field(
        365, ge=0, le=36_500, description="days for which the audit trail is kept, at least; 0 = for ever"
    )
    shutdown_delay: int = Field(
        0, ge=0, description="seconds that a server told to stop still takes requests, while it says not to be ready"
    )
    shutdown_timeout: int = Field(30, ge=0, description="seconds that running transfers get to finish at shutdown")
    head_timeout: int = Field(30, ge=0, description="seconds in which a request's head must come; 0 = no limit")
    stall_timeout: int = Field(60, ge=0, description="seconds in which an upload or a reader must get on; 0 = no limit")
    min_transfer_rate: int = Field(
        1024, ge=0, description="bytes per second below which a transfer does not get on; 0 = any byte will do"
    )
    read_timeout: int = Field(
        30, ge=0, description="seconds in which what a request reads in the database must be found; 0 = no limit"
    )
    max_connections: int = Field(4000, ge=0, description="connections that one process holds open; 0 = no limit")
    max_uploads_per_token: int = Field(0, ge=0, description="uploads of one token at a time; 0 = no limit")
    max_unfinished_uploads: int = Field(
        100,
        ge=0,
        description="uploads that one token may have begun and not finished; 0 = no limit",
    )
    upload_expiry: int = Field(
        604_800, ge=60, le=31_536_000, description="seconds for which an upload that nobody goes on with is kept"
    )
    rate_limit_anonymous: int = Field(
        6000, ge=0, description="requests a minute without a token from one address; 0 = no limit"
    )
    rate_limit_token: int = Field(0, ge=0, description="requests a minute of one token; 0 = no limit")
    fair_share: int = Field(
        25,
        ge=0,
        le=100,
        description="percent of one core that a client's searches and refused requests take while others ask; 0 = any",
    )
    rate_limit_failed_logins: int = Field(
        30, ge=0, description="invalid tokens a minute from one address beyond which they are slowed; 0 = no limit"
    )
    loopback_issuers: bool = Field(
        False, description="`true` lets issuers of id tokens be on this machine, by http as well; for trials"
    )
    trusted_proxies: str = Field(
        "127.0.0.1,::1", description="addresses or CIDRs whose `X-Forwarded-For` and `-Proto` are believed"
    )

    @field_validator("host")
    @classmethod
    def _as_in_no_url(cls, value: str) -> str:
        return plain(value.removeprefix("[").removesuffix("]"))

    @field_validator("root_token", "secret_key", "metrics_token")
    @classmethod
    def _refuse_weak_secret(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if len(value) < MINIMUM_TOKEN_LENGTH or any(word in value.lower() for word in PLACEHOLDERS):
            raise ValueError(f"must be a secret of at least {MINIMUM_TOKEN_LENGTH} characters, not a placeholder")
        return value

    @field_validator("root_token", "metrics_token")
    @classmethod
    def _refuse_token_that_no_header_takes(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ValueError("must be printable ASCII without spaces, as it travels in a header")
        if not is_well_formed(value):
            raise ValueError(f"begins with {TOKEN_PREFIX} but is no token of modelyard's: its checksum is wrong")
        return value

    @field_validator("blob_url")
    @classmethod
    def _known_blob_scheme(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("file:///", "s3://")):
            raise ValueError("must be file:/// with an absolute path, or s3://bucket/prefix")
        return value

    @field_validator("x_accel_redirect")
    @classmethod
    def _folder_in_a_url(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is not None and not _LOCATION.fullmatch(value):
            raise ValueError("must be a path such as /blobs/, as nginx's location has it")
        if value is not None and (others.data.get("blob_url") or "").startswith("s3://"):
            raise ValueError("needs blobs in a folder; for a bucket there is MODELYARD_S3_REDIRECT")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:///", POSTGRESQL)):
            raise ValueError(f"must be a sqlite:/// or {POSTGRESQL} URL")
        if value is not None and value.startswith(POSTGRESQL) and find_spec("psycopg") is None:
            raise ValueError("needs a driver: install modelyard[postgres]")
        return value

    @field_validator("external_url")
    @classmethod
    def _absolute_external_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if not _is_plain_url(value):
            raise ValueError("must be scheme, host, port and path in ASCII: xn--… for other hosts, %… in paths")
        return value.rstrip("/")

    @field_validator("data_dir")
    @classmethod
    def _text_all_the_way(cls, value: Path) -> Path:
        try:
            trimmed(str(value.absolute()))
        except ValueError as error:
            raise ValueError(f"{error}, the folder above it included") from error
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _refuse_what_is_no_network(cls, value: str) -> str:
        try:
            return ",".join(plain_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            raise ValueError("must be addresses or CIDRs such as 10.0.0.0/8, separated by commas") from error

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def effective_database_url(self) -> str:
        """The database's URL with the default filled in."""
        path = quote(str(self.data_dir.absolute() / "modelyard.db"))
        return self.database_url or f"sqlite:///{path}"

    @property
    def effective_blob_url(self) -> str:
        """The blob store's URL with the default filled in."""
        return self.blob_url or f"file://{self.data_dir.absolute() / 'blobs'}"

    @property
    def blob_root(self) -> Path:
        """The folder of the local blob store."""
        return Path(self.blob_url.removeprefix("file://")) if self.blob_url else self.data_dir.absolute() / "blobs"

    @property
    def root_token_path(self) -> Path:
        """Where a generated administrator's token is written on the first start."""
        return self.data_dir.absolute() / "root-token"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, `…_FILE`, `.env`."""
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = _meant(source.env_vars)
        return init_settings, env_settings, _SecretFiles(settings_cls), dotenv_settings


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads `MODELYARD_<SECRET>_FILE`, as container platforms mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = _trimmed(variable, os.environ.get(variable, "")) if field_name in SECRETS else ""
        if not path:
            return None, field_name, False
        try:
            return _trimmed(variable, Path(path).read_text(encoding="utf-8-sig")), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.reason if isinstance(error, UnicodeDecodeError) else error.strerror or error
            raise SettingsError(f"{variable}: cannot read {path}: {reason}") from error

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def load_settings(**overrides: object) -> Settings:
    """Read the settings; `overrides` that are not None win over every source.

    Raises SettingsError with one line that names each bad variable and never its value.
    """
    given = {
        name: _trimmed(f"{PREFIX}{name.upper()}", value) if isinstance(value, str) else value
        for name, value in overrides.items()
        if value is not None
    }
    try:
        return Settings(**given)  # type: ignore[arg-type] # texts, which pydantic reads
    except ValidationError as error:
        faults = (f"{PREFIX}{str(fault['loc'][0]).upper()}: {_reason(fault['msg'])}" for fault in error.errors())
        raise SettingsError("; ".join(faults)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"cannot read .env: {error.reason}") from error


def _meant(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """The variables that are ours, trimmed; those that are empty then are not set."""
    ours = {
        name: _trimmed(name.upper(), value)
        for name, value in variables.items()
        if value and name.upper().startswith((PREFIX, REGION_VARIABLE))
    }
    return {name: value for name, value in ours.items() if value}


def _trimmed(variable: str, value: str) -> str:
    try:
        return trimmed(value)
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}") from error


def _is_plain_url(url: str) -> bool:
    """Whether an `http` URL has a host, and nothing that a header would not take or that cannot be a prefix."""
    try:
        parts = urlsplit(url)
        named = parts.hostname is not None and parts.port != 0
    except ValueError:  # of a port, or of a host in brackets
        return False
    return named and url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}?#@')


def _reason(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[0].lower() + text[1:]
