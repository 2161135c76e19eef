"""`PersonalRegistry`: one person's own data sets before those that everyone shares."""

from __future__ import annotations

from pathlib import Path

from mm4st_agent.data.card import DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import MM4STError


class PersonalRegistry(Registry):
    """What a person imports is stored, listed, opened and removed for that person alone.

    Panels that everyone shares are the very objects of the shared registry, so they are in memory once.

    Args:
        own: Holds a folder for each panel that this person imported; it need not exist.
        shared: Everything else; never changed from here.
    """

    def __init__(self, own: Path, shared: Registry) -> None:
        super().__init__(None, own, {})
        self._shared = shared

    def names(self) -> list[str]:
        return list(dict.fromkeys([*self._imported_names(), *self._shared.names()]))

    def open(self, name: str) -> Panel:
        name = self._resolve(name)
        return super().open(name) if name in self._imported_names() else self._shared.open(name)

    def card(self, name: str) -> DataCard:
        name = self._resolve(name)
        return super().card(name) if name in self._imported_names() else self._shared.card(name)

    def available(self, name: str) -> bool:
        name = self._resolve(name)
        return name in self._imported_names() or self._shared.available(name)

    def is_shared(self, panel: Panel) -> bool:
        """Whether a panel, whole or cut, is one of those that everyone shares, rather than one of that name."""
        if panel.name in self._imported_names():
            return False
        try:
            return self._shared.open(panel.name).card is panel.card
        except MM4STError:
            return False
