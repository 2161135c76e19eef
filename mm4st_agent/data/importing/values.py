"""What a cell of a table of readings may hold: a number, a word for 'no reading', a wind direction, a yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.errors import DataError

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "-", "--", "?")
"""What counts as a missing reading, in any case; anything else must be a number."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_POINTS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")
_COMPASS: Mapping[str, float] = {point: 22.5 * i for i, point in enumerate(_POINTS)}
_CALM = dict.fromkeys(("CV", "C", "CALM", "VAR", "VRB"), np.nan)
_FLAGS: Mapping[str, float] = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


def stripped(cells: pd.Series) -> pd.Series:
    """The cells as text without surrounding blanks; '' where there is none."""
    return cells.astype("str").str.strip().fillna("")


def is_missing(text: pd.Series) -> pd.Series:
    """Which cells of a stripped text column count as no reading."""
    return text.str.lower().isin(MISSING)


def looks_numeric(text: pd.Series, decimal: str = ".") -> pd.Series:
    """Which cells of a stripped text column are written as a number."""
    return (text.str.replace(",", ".") if decimal == "," else text).str.fullmatch(_NUMBER).astype(bool)


def numbers(path: Path, column: pd.Series, decimal: str = ".") -> NDArray[np.float64]:
    """Readings of one column; NaN where the cell counts as missing.

    Args:
        path: Named in errors.
        column: Text or numbers, named; its index is the row number in the file.
        decimal: '.' or ','.

    Raises:
        DataError: a cell holds something else; the message names row, column and value.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        found = column.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.isinf(found)
    else:
        text = stripped(column)
        missing = is_missing(text).to_numpy(dtype=bool)
        number = looks_numeric(text, decimal).to_numpy(dtype=bool)
        if decimal == ",":
            text = text.str.replace(",", ".")
        found = pd.to_numeric(text.where(number), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~missing & ~np.isfinite(found)
    if bad.any():
        hint = "Use a point for decimals and no thousands separator; leave missing readings empty."
        if str(column.iloc[int(bad.argmax())]).lstrip().startswith("="):
            hint = "Formulas are not evaluated: put their results into the cells."
        raise _wrong(path, column, bad, "is not a number.", hint)
    return found


def is_compass(text: pd.Series) -> bool:
    """Whether a stripped text column holds compass points such as 'NNW'."""
    points = text[~is_missing(text)].str.upper()
    return len(points) > 0 and bool((points.isin(_COMPASS) | points.isin(_CALM)).all())


def degrees(path: Path, column: pd.Series) -> NDArray[np.float64]:
    """Compass points as degrees clockwise from north; calm, variable and missing cells are NaN.

    Raises:
        DataError: a cell is no compass point.
    """
    return _words(path, column, {**_COMPASS, **_CALM}, stripped(column).str.upper(), "is no compass point.")


def is_flag(text: pd.Series) -> bool:
    """Whether a stripped text column holds true/false or yes/no."""
    said = text[~is_missing(text)].str.lower()
    return len(said) > 0 and bool(said.isin(_FLAGS).all())


def flags(path: Path, column: pd.Series) -> NDArray[np.float64]:
    """True and yes as 1, false and no as 0, missing cells NaN.

    Raises:
        DataError: a cell is neither.
    """
    return _words(path, column, _FLAGS, stripped(column).str.lower(), "is neither true nor false.")


def _words(
    path: Path, column: pd.Series, meaning: Mapping[str, float], text: pd.Series, otherwise: str
) -> NDArray[np.float64]:
    bad = (~text.isin(meaning) & ~is_missing(text)).to_numpy(dtype=bool)
    if bad.any():
        raise _wrong(path, column, bad, otherwise, f"Use {', '.join(list(meaning)[:4])}, ..., or numbers.")
    return np.asarray(text.map(dict(meaning)), dtype=np.float64)


def _wrong(path: Path, column: pd.Series, bad: NDArray[np.bool_], what: str, hint: str) -> DataError:
    row = int(bad.argmax())
    shown = str(column.iloc[row])
    shown = shown if len(shown) <= 60 else shown[:60] + "..."
    return DataError(f"{path}, row {column.index[row]}, column {str(column.name)!r}: {shown!r} {what}", hint)
