"""What the first rows of a table say about its columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mm4st_agent.data.importing.rows import Table
from mm4st_agent.data.importing.values import is_compass, is_flag, is_missing, looks_numeric, stripped

FEW = 20
"""Rows that are needed to tell occurrences from readings."""

_STAMP = r"\d{4}[-/.]?\d{1,2}[-/.]?\d{1,2}(?:[T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?:[ ,].*)?"
"""What a stamp looks like, also one that needs a time format."""
_CLOCK = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:\.\d+)?)?(?:\s*[AaPp][Mm])?"


class Sample:
    """The first rows of a table.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self.rows = table.sample
        self._decimal = table.decimal

    def is_numeric(self, column: str) -> bool:
        """Whether some cells are numbers, or all are missing."""
        cells = self.rows[column]
        if pd.api.types.is_bool_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
            return False
        if pd.api.types.is_numeric_dtype(cells):
            return True
        text = stripped(cells)
        return bool(looks_numeric(text, self._decimal).any() or is_missing(text).all())

    def is_compass(self, column: str) -> bool:
        """Whether the cells are compass points."""
        return not pd.api.types.is_numeric_dtype(self.rows[column]) and is_compass(stripped(self.rows[column]))

    def is_flag(self, column: str) -> bool:
        """Whether the cells are true or false."""
        cells = self.rows[column]
        if pd.api.types.is_bool_dtype(cells):
            return True
        return not pd.api.types.is_numeric_dtype(cells) and is_flag(stripped(cells))

    def is_clock(self, column: str) -> bool:
        """Whether the cells are times of day."""
        return bool(stripped(self.rows[column]).str.fullmatch(_CLOCK).mean() > 0.9)

    def is_dated(self, column: str) -> bool:
        """Whether the cells are dates, with or without a time, and no plain numbers."""
        cells = self.rows[column]
        if pd.api.types.is_datetime64_any_dtype(cells):
            return True
        if pd.api.types.is_numeric_dtype(cells):
            return False
        text = stripped(cells)
        return bool((text.str.fullmatch(_STAMP).astype(bool) & ~looks_numeric(text)).mean() > 0.5)

    def is_counter(self, column: str) -> bool:
        """Whether each row has the number after the last one's."""
        if len(self.rows) < 2 or not self.is_numeric(column):
            return False
        steps = np.diff(pd.to_numeric(self.rows[column], errors="coerce").to_numpy(dtype=np.float64))
        return bool((steps == 1).all())

    def stamps(self, time: tuple[str, ...]) -> pd.Series:
        """The stamps as text."""
        return self.rows[list(time)].astype("str").agg(" ".join, axis=1)

    def is_row_id(self, column: str, time: tuple[str, ...]) -> bool:
        """Whether every row has an id of its own at a time of its own, as occurrences have."""
        if len(self.rows) < FEW or not self.rows[column].is_unique:
            return False
        return bool(self.stamps(time).nunique() > 0.5 * len(self.rows))

    def is_irregular(self, time: tuple[str, ...], node: str | None) -> bool:
        """Whether the rows are in the order of time, with steps (of a node) that have no common size."""
        stamps = self.stamps(time)
        times = pd.to_datetime(stamps, errors="coerce", format="ISO8601", utc=True)
        if len(stamps) < FEW or times.isna().mean() > 0.1:
            return False
        seconds = pd.Series(pd.DatetimeIndex(times).as_unit("us").asi8 / 1e6)
        nodes = np.zeros(len(stamps)) if node is None else stripped(self.rows[node]).to_numpy()
        steps = seconds.groupby(nodes).diff().dropna().to_numpy()
        # Rows out of order tell nothing about steps.
        if len(steps) < FEW or (steps < 0).mean() > 0.05:
            return False
        _, counts = np.unique(np.round(steps, 3), return_counts=True)
        low, middle, high = np.quantile(steps, [0.1, 0.5, 0.9])
        return bool(counts.max() < 0.3 * len(steps) and high - low > max(middle, 1e-3))
