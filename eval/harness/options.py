"""What a run is asked to do, and the name that tells it from every other run."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.suites.suite import Half
from mm4st_agent.agent.manifest import recorded_settings
from mm4st_agent.data.registry import Registry
from mm4st_agent.settings import Settings


@dataclass(frozen=True)
class Options:
    """What is run.

    Attributes:
        target: A suite, `all`, or the path of an own suite.
        chat_model: As `with_chat_model` takes it.
        limit: Items of each suite, all kinds among them; None is all.
        epochs: How often each item is asked.
        seed: The agent's.
        max_samples: Asked at the same time; None takes what suits the chat model.
        fresh: Ask again what was asked already.
    """

    target: str
    chat_model: str = "embedded"
    half: Half = "dev"
    limit: int | None = None
    epochs: int = 1
    seed: int = 0
    max_samples: int | None = None
    fresh: bool = False


def run_name(
    options: Options,
    suites: Sequence[str],
    settings: Settings,
    model: str,
    source: str | None,
    limits: dict[str, int] | None,
) -> str:
    """The run's name: readable, and the same for the same options, source, settings, data and own suite."""
    own, data = Path(options.target), Registry(settings.data_dir, settings.home / "data", {})
    told = {
        "suites": suites,
        "options": [options.chat_model, options.half, options.limit, options.epochs, options.seed],
        "settings": recorded_settings(settings),
        "model": model,
        "source": [source, _changes() if source and source.endswith("-dirty") else None],
        "limits": limits,
        "data": {name: data.card(name).sha256 for name in data.names() if data.available(name)},
        "own": hashlib.sha256(own.read_bytes()).hexdigest() if own.suffix == ".jsonl" else None,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:8]
    target = "guard" if limits is not None else own.stem
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{target}-{model}-{options.half}")[:60]
    return f"{plain}-{digest}"


def _changes() -> str:
    """A hash of what differs from the commit in tracked files: other source, another run."""
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(["git", "diff", "HEAD"], cwd=root, capture_output=True, check=False)
    return hashlib.sha256(found.stdout).hexdigest()
