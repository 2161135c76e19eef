"""`Registry`: every data set by name, whether made here, imported, or known."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mm4st_agent.data.card import DataCard, read_card
from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.known import KNOWN, known_card, missing_files
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.store import Progress, open_panel, remove_panel, save_panel, store_draft
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.settings import unusable

CARD_FILE = "card.yaml"


class Registry:
    """Finds data sets in three places, in this order: makers, imported panels, known sets.

    Args:
        data_dir: Holds the original files of the known sets; None where there are none.
        imported: Holds a folder for each panel that a user imported; it need not exist.
        makers: A function for each data set that is made rather than read.
    """

    def __init__(self, data_dir: Path | None, imported: Path, makers: Mapping[str, Callable[[], Panel]]) -> None:
        self._data_dir = data_dir
        self._imported = imported
        self._makers = dict(makers)
        self._opened: dict[str, Panel] = {}
        self._opening = threading.Lock()

    def names(self) -> list[str]:
        """Every data set, also known ones whose files are not here."""
        return list(dict.fromkeys([*self._makers, *self._imported_names(), *KNOWN]))

    def open(self, name: str) -> Panel:
        """The whole panel; the same object each time.

        Raises:
            UsageError: there is no such data set.
            DataError: its files are missing or broken.
        """
        name = self._resolve(name)
        panel = self._opened.get(name)
        if panel is None:
            with self._opening:  # two people may ask for it at the same time
                panel = self._opened.get(name) or self._read(name)
                self._opened[name] = panel
        return panel

    def card(self, name: str) -> DataCard:
        """The card, without reading the data of imported and known sets.

        Raises:
            UsageError: there is no such data set.
            DataError: the card is invalid.
        """
        name = self._resolve(name)
        if name in self._makers:
            return self.open(name).card
        if name in self._imported_names():
            return read_card(self._imported / name / CARD_FILE)
        return known_card(name)

    def available(self, name: str) -> bool:
        """Whether the files of this data set are here.

        Raises:
            UsageError: there is no such data set.
        """
        name = self._resolve(name)
        if name in self._makers or name in self._imported_names():
            return True
        return self._data_dir is not None and not missing_files(self._data_dir, known_card(name))

    def check_new(self, name: str) -> None:
        """Make sure that a new data set may have this name.

        Raises:
            UsageError: the name is taken, or is not made of letters, digits and '-'.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name):
            raise UsageError(f"{name!r} cannot name a data set.", "Use letters, digits and '-', such as 'my-city'.")
        if _plain(name) in map(_plain, self.names()):
            raise UsageError(f"There is a data set {name!r} already.", "Choose another name.")

    def add(self, panel: Panel) -> Path:
        """Store a panel as an imported data set under its own name.

        Returns:
            The folder that it was written to.

        Raises:
            UsageError: as for `check_new`, or the home folder cannot be written.
        """
        self.check_new(panel.name)
        folder = self._imported / panel.name
        with self._writing():
            save_panel(panel, folder)
        return folder

    def add_draft(self, draft: Draft, progress: Progress | None = None) -> Path:
        """Store a draft as an imported data set under its own name.

        A known set may be stored under its name, too; what is stored is then opened instead of the original files.

        Args:
            draft: What to store.
            progress: Called with the time steps that are on disk, and how many there are.

        Returns:
            The folder that it was written to.

        Raises:
            UsageError: as for `check_new`, or the home folder cannot be written.
            DataError: a file of the draft cannot be read any more.
        """
        name = draft.card.name
        if not self._is_known_set(draft.card):
            self.check_new(name)
        folder = self._imported / name
        with self._writing():
            store_draft(draft, folder, progress=progress)
        self._opened.pop(name, None)
        return folder

    def stored(self, name: str) -> bool:
        """Whether the data set is in the home folder: imported, or a known one that was stored there."""
        return self._resolve(name) in self._imported_names()

    def remove(self, name: str) -> None:
        """Delete an imported data set. A known one is then read from its original files again.

        Raises:
            UsageError: there is no such data set, it was not imported, or the home folder cannot be written.
        """
        name = self._resolve(name)
        if name not in self._imported_names():
            imported = ", ".join(self._imported_names()) or "none"
            raise UsageError(f"{name!r} is not an imported data set.", f"Imported: {imported}.")
        with self._writing():
            remove_panel(self._imported / name)
        self._opened.pop(name, None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._imported.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as err:
            raise unusable(self._imported, err) from err

    def _is_known_set(self, card: DataCard) -> bool:
        """Whether this is a known set, by its original files, that is not stored yet."""
        return (
            card.name in KNOWN and card.name not in self._imported_names() and card.files == known_card(card.name).files
        )

    def _read(self, name: str) -> Panel:
        if name in self._makers:
            return self._makers[name]()
        if name in self._imported_names():
            return open_panel(self._imported / name)
        card = known_card(name)
        if self._data_dir is None:
            raise DataError(
                f"The files of {name!r} are not here, as no data directory is set.",
                f"{card.where} Then set MM4ST_DATA_DIR to the folder that holds {', '.join(card.files)}.",
            )
        return KNOWN[name](self._data_dir, card)

    def _imported_names(self) -> list[str]:
        if not self._imported.is_dir():
            return []
        folders = (card.parent.name for card in self._imported.glob(f"*/{CARD_FILE}"))
        return sorted(name for name in folders if not name.startswith("."))

    def _resolve(self, name: str) -> str:
        """The registered spelling of `name`: case and '_' for '-' do not matter."""
        known = {_plain(registered): registered for registered in reversed(self.names())}
        found = known.get(_plain(name))
        if found is None:
            close = difflib.get_close_matches(_plain(name), known, n=1)
            guess = f"Did you mean {known[close[0]]!r}? " if close else ""
            raise UsageError(f"There is no data set {name!r}.", f"{guess}Known: {', '.join(self.names())}.")
        return found


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")
