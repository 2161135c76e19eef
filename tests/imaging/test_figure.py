"""Letters that the font lacks come from another installed font, and are empty boxes where none has them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.imaging import figure
from mm4st_agent.imaging.lines import draw_line

DOWN = "\N{COUNTERSINK}"
"""In DejaVu Sans Mono, which matplotlib ships, but not in DejaVu Sans."""


def forget() -> None:
    figure.families.cache_clear()
    figure._known_letters.cache_clear()


@pytest.fixture
def fallbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(figure, "FALLBACKS", ("No Such Font", "DejaVu Sans Mono", "DejaVu Serif"))
    forget()
    yield
    forget()


def picture() -> bytes:
    times = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
    values, imputed = np.arange(3.0), np.zeros(3, dtype=bool)
    return draw_line(
        times=times, values=values, imputed=imputed, usual=None, title=f"Sensor {DOWN}", unit="m", time_zone="UTC",
        synthetic=False,
    ).png  # fmt: skip


@pytest.mark.usefixtures("fallbacks")
def test_the_first_installed_fallback_draws_what_the_font_lacks() -> None:
    assert figure.families() == [figure.FAMILY, "DejaVu Sans Mono"]
    assert figure.drawable(f"a{DOWN}\ue000") == f"a{DOWN}\N{WHITE SQUARE}"
    drawn = picture()
    forget()
    figure.FALLBACKS = ()

    assert figure.families() == [figure.FAMILY]
    assert figure.drawable(DOWN) == "\N{WHITE SQUARE}"
    assert picture() != drawn
