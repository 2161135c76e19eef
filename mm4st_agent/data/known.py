"""The known data sets: their cards and recipes ship, their files come from the user's data directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mm4st_agent.data.card import DataCard, file_sha256, read_card
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError

if TYPE_CHECKING:
    from mm4st_agent.data.importing.draft import Draft
    from mm4st_agent.data.importing.options import ImportOptions

_NAMES = ("pems-orange", "los-loop", "sz-taxi", "beijing-air", "noaa-rain", "azure-llm-trace", "nab-cloud")
_CARDS = Path(__file__).parent / "cards"
_LAYERS = ("nodes", "edges", "events", "trajectories")


def known_card(name: str) -> DataCard:
    """The shipped card of the known data set `name`.

    Raises:
        UsageError: no such data set is known.
    """
    if name not in KNOWN:
        raise UsageError(f"No data set {name!r} is known.", f"Known: {', '.join(KNOWN)}.")
    return read_card(_CARDS / f"{name}.yaml")


def missing_files(data_dir: Path, card: DataCard) -> list[str]:
    """Which of the card's files are not under `data_dir`."""
    return [name for name in card.files if not (data_dir / name).is_file()]


def check_files(data_dir: Path, card: DataCard) -> None:
    """Make sure that the card's files are there and are the ones that it describes.

    Raises:
        DataError: a file is missing, or its sha256 differs; the message names it.
    """
    missing = missing_files(data_dir, card)
    if missing:
        raise DataError(
            f"{card.name!r} lacks {', '.join(missing)} under {data_dir}.",
            f"{card.where} Put the files there, or set MM4ST_DATA_DIR to the folder that has them.",
        )
    for name, expected in card.files.items():
        found = file_sha256(data_dir / name)
        if found != expected:
            raise DataError(
                f"{data_dir / name} is not the file that the card of {card.name!r} describes: "
                f"its sha256 is {found[:12]}..., not {expected[:12]}....",
                card.where,
            )


def recipe(data_dir: Path, card: DataCard) -> tuple[Path, ImportOptions]:
    """What to import, and how, by the card: the same path and options that a person could state."""
    from mm4st_agent.data.importing.options import ImportOptions

    stated = dict(card.recipe)
    path = data_dir / str(stated.pop("path"))
    files = {option: data_dir / stated[option] for option in _LAYERS if option in stated}
    said = card.model_dump(
        include={"title", "source", "licence", "domain", "place_word", "holidays", "time_zone", "time_label"}
    )
    return path, ImportOptions.model_validate({**said, **stated, **files})


def known_draft(name: str, data_dir: Path) -> Draft:
    """A known data set as it would be stored: imported by its recipe, described by its card.

    Args:
        name: Such as 'los-loop'.
        data_dir: Holds the card's files.

    Raises:
        UsageError: no such data set is known.
        DataError: a file is missing or differs from the card's sha256.
    """
    from mm4st_agent.data.importing.inspect import inspect

    card = known_card(name)
    check_files(data_dir, card)
    path, options = recipe(data_dir, card)
    draft = inspect(path, name, options)
    return dataclasses.replace(draft, card=card)


def read_known(data_dir: Path, card: DataCard) -> Panel:
    """A known data set in memory, straight from its original files.

    Raises:
        DataError: a file is missing or differs from the card's sha256.
    """
    from mm4st_agent.data.importing.inspect import draft_panel

    return draft_panel(known_draft(card.name, data_dir))


KNOWN: Mapping[str, Callable[[Path, DataCard], Panel]] = MappingProxyType(dict.fromkeys(_NAMES, read_known))
"""The reader of each known data set: `reader(data_dir, card)`."""
