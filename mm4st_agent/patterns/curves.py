"""Trend curves: a line, an exponential and a logarithm of time, fitted by least squares over the known steps."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from mm4st_agent.patterns.series import Series

CurveKind = Literal["linear", "exponential", "logarithmic"]

_RATES = np.concatenate([-np.geomspace(8, 0.3, 24), np.geomspace(0.3, 8, 24)])
"""Exponents c of exp(c u), u running from 0 to 1 over the series."""
_BENDS = np.geomspace(1, 1000, 24)
"""Factors s of log(1 + s u)."""


class Curve(NamedTuple):
    """One fitted curve.

    Attributes:
        kind: Its family.
        shape: `(T,)` the curve before scaling, at every step.
        fitted: `(T,)` in the unit of the series.
        misfit: Mean square of what is left.
    """

    kind: CurveKind
    shape: Series
    fitted: Series
    misfit: float


def fit_curves(series: Series) -> dict[CurveKind, Curve]:
    """The best curve of each family, NaN steps left out."""
    u = np.linspace(0, 1, len(series))
    families: dict[CurveKind, Series] = {
        "linear": u[None],
        "exponential": np.exp(_RATES[:, None] * (u - (_RATES[:, None] > 0))),  # at most 1: nothing overflows
        "logarithmic": np.log1p(_BENDS[:, None] * u),
    }
    known = ~np.isnan(series)
    target = series[known] - series[known].mean()
    curves: dict[CurveKind, Curve] = {}
    for kind, shapes in families.items():
        means = shapes[:, known].mean(axis=1, keepdims=True)
        centred = shapes[:, known] - means
        along = centred @ target
        gain = along**2 / (centred**2).sum(axis=1)
        best = int(gain.argmax())
        scale = along[best] / (centred[best] ** 2).sum()
        fitted = series[known].mean() + scale * (shapes[best] - means[best])
        curves[kind] = Curve(kind, shapes[best], fitted, float(np.mean((series[known] - fitted[known]) ** 2)))
    return curves
