"""Every knob, and the only place that reads the environment."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mm4st_agent.errors import UsageError

PREFIX = "MM4ST_"

ChatModelName = Literal["embedded", "vllm"]


class Settings(BaseSettings):
    """Precedence, highest first: `load_settings(...)` arguments, `MM4ST_*` environment, these defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

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
    timeout_s: float = Field(60.0, gt=0)
    """How long one chat model call may take."""
    recursion_limit: int = Field(25, ge=4, le=100)
    """LangGraph steps in one answer."""
    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    seed: int = 0

    @field_validator("home", "data_dir", mode="after")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().resolve() if path is not None else None

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
        raise UsageError(
            f"Setting {name!r} ({PREFIX}{name.upper()}) cannot be {first['input']!r}.",
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
