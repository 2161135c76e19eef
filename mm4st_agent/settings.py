"""Every knob, and the only place that reads the environment."""

from __future__ import annotations

import difflib
import errno
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from platformdirs import user_data_path
from pydantic import Field, HttpUrl, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mm4st_agent.errors import UsageError

PREFIX = "MM4ST_"

ChatModelName = Literal["embedded", "vllm"]


class Settings(BaseSettings):
    """Precedence, highest first: `load_settings(...)` arguments, `MM4ST_*` environment, these defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # which may be a secret
    )

    home: Path = Field(default_factory=lambda: user_data_path("mm4st"))
    """Where threads, pictures, the text index, imported data and trained checkpoints live."""
    data_dir: Path | None = None
    """Folder that holds the original files of the known data sets, one folder each."""
    dataset: str = "demo"
    """The data set of a question that names none."""
    chat_model: ChatModelName = "embedded"
    vllm_url: HttpUrl = HttpUrl("http://127.0.0.1:8000/v1")
    """OpenAI-compatible root."""
    vllm_model: str | None = None
    """Name of the served model; None asks the server which one it serves."""
    vllm_api_key: SecretStr = SecretStr("none")
    vllm_tool_images: Literal["user", "native"] = "user"
    """Where pictures go: a user message after the last tool reply, or inside the tool replies."""
    vllm_max_images: int = Field(4, ge=0, le=16)
    """The latest pictures that the chat model sees; older ones are replaced by their alt text."""
    vllm_max_tokens: int = Field(2048, ge=16)
    """The longest message that the chat model may write; a longer one counts as cut off."""
    chroma_url: SecretStr | None = None
    """A Chroma server for the text index and the embeddings of windows, such as `http://chroma:8000`; a user and a
    password before the host go as basic authentication. None keeps both in folders of the home."""
    postgres_url: SecretStr | None = None
    """A database for the agent's threads, `postgresql://user:password@host:5432/database`; None is a file in the
    home."""
    timeout_s: float = Field(60.0, gt=0)
    """How long one chat model call may take; of one that streams, how long it may be silent."""
    max_tool_calls: int = Field(24, ge=1)
    """Tool calls that the chat model may ask for in one question."""
    max_model_calls: int = Field(12, ge=1)
    """Calls of the chat model in one question, repairs included."""
    max_tokens: int = Field(300_000, ge=1)
    """Tokens of one question, prompts and replies together, as the server counts them."""
    max_seconds: float = Field(300.0, gt=0)
    """How long one question may take."""
    tool_timeout_s: float = Field(120.0, gt=0)
    """How long one tool call may take."""
    history_chars: int = Field(60_000, ge=0)
    """Of earlier turns, so much goes to the chat model whole; older turns are told in a few sentences."""
    recursion_limit: int = Field(60, ge=4, le=1000)
    """LangGraph steps in one answer: the last safety net behind the budgets above."""
    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    public_host: str | None = None
    """The name that people reach the app by where a proxy on this machine stands before it."""
    auth_file: Path | None = None
    """Who may use the app, as `mm4st accounts` writes it; None asks nobody to sign in."""
    max_upload_mb: int = Field(200, ge=1)
    """The largest file that the page takes, in MB of 2**20 bytes."""
    seed: int = 0
    tracing: Literal["off", "on", "questions"] = "off"
    """OpenTelemetry spans of turns, model calls and tool calls; 'questions' also tells what was asked."""

    @field_validator("home", "data_dir", mode="after")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().resolve() if path is not None else None

    @field_validator("auth_file", mode="after")
    @classmethod
    def _absolute_link(cls, path: Path | None) -> Path | None:
        """Links stay: secrets that are mounted into a container change by pointing a link elsewhere."""
        return path.expanduser().absolute() if path is not None else None

    @field_validator("chroma_url", "postgres_url", mode="after")
    @classmethod
    def _names_a_server(cls, url: SecretStr | None, field: ValidationInfo) -> SecretStr | None:
        schemes, example = _SERVERS[field.field_name or ""]
        if url is not None and not _is_url(url.get_secret_value(), schemes):
            raise ValueError(f"it must look like {example}")
        return url

    def ready_home(self) -> Path:
        """The home folder, made when missing.

        Raises:
            UsageError: it cannot be made or written to.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            if not os.access(self.home, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as err:
            raise unusable(self.home, err) from err
        return self.home

    def of_user(self, name: str) -> Settings:
        """The same settings with a home for one signed-in person's own things.

        Raises:
            UsageError: the name cannot be a person's.
        """
        return self.model_copy(update={"home": self.home / "users" / checked_user_name(name)})


_SERVERS = {
    "chroma_url": (("http", "https"), "http://host:8000"),
    "postgres_url": (("postgresql", "postgres"), "postgresql://user:password@host:5432/database"),
}


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def without_login(url: SecretStr) -> str:
    """Where a server is, for people: scheme, host, port and path.

    >>> without_login(SecretStr("postgresql://jane:secret@db:5432/mm4st?sslkey=private"))
    'postgresql://db:5432/mm4st'
    """
    parts = urlsplit(url.get_secret_value())
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def checked_user_name(name: str) -> str:
    """The name, if it may be a person's; it is also the name of a folder.

    Raises:
        UsageError: it may not.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?", name):
        raise UsageError(
            f"{name!r} cannot be a person's name.",
            "Use 1 to 32 small letters and digits, inside also '.', '_' and '-', such as 'jane.doe'.",
        )
    return name


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is served there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def unusable(folder: Path, err: OSError) -> UsageError:
    """The one error for a folder of the home that cannot be made, read or written, whoever meets it first."""
    reason = err.strerror or str(err)
    return UsageError(
        f"The folder {folder} cannot be used: {reason}.",
        "Set MM4ST_HOME to a folder of your own, on a disk with room.",
    )


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; None among `overrides` leaves the environment or default in force.

    Raises:
        UsageError: a value is invalid, or a `MM4ST_*` variable is misspelt.
    """
    check_names(os.environ)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as err:
        first = err.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        given = "what was given" if name in _SERVERS else repr(first["input"])
        raise UsageError(
            f"Setting {name!r} ({PREFIX}{name.upper()}) cannot be {given}.",
            f"{first['msg'][:1].upper()}{first['msg'][1:]}.",
        ) from err


def check_names(environment: Mapping[str, str]) -> None:
    """Refuse `MM4ST_*` variables that no setting reads: a misspelt one would be ignored silently."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in environment:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(known))}."
            raise UsageError(f"Unknown environment variable {name}.", hint)
