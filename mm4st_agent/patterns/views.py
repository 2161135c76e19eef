"""Which pictures show most of a series: chosen by what was measured, each with the number that speaks for it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from numpy.typing import ArrayLike

from mm4st_agent.patterns.features import Features, features

MethodName = Literal["line", "uvh", "mvh", "stft", "cwt", "filterbank", "gasf", "gadf", "mtf", "rp", "strip"]

MOST = 4
WORTH = 0.3
MANY = 16
"""Series from which their order matters and a strip shows more than a heatmap of rows."""


class View(NamedTuple):
    """One suggested picture.

    Attributes:
        method: Its name.
        score: How much speaks for it, 0..1.
        reason: One sentence with the measured number.
    """

    method: MethodName
    score: float
    reason: str


def suggest_views(values: ArrayLike, step_s: float) -> tuple[View, ...]:
    """Up to four views of a series, or of several, the best first.

    Of more than eight series, eight evenly spread ones are measured, and the medians count.

    Args:
        values: `(T,)` or `(T, N)`, any unit, oldest first, NaN is missing.
        step_s: Seconds between two steps.

    Returns:
        At least one view: a series without any pattern is a line, several are rows of a heatmap.

    Raises:
        DataError: another number of dimensions, or no element.
        UsageError: `step_s` is not positive.
    """
    measured = features(values, step_s)
    views = sorted(_rated(measured, step_s), key=lambda view: -view.score)
    kept = [view for view in views if view.score >= WORTH][:MOST]
    return tuple(kept or views[:1])


def _rated(f: Features, step_s: float) -> list[View]:
    """Every method with its score; many series are looked at together first."""
    alone = 1.0 if f.series == 1 else 0.5
    period = min(f.period_confidence, 2 * f.period_strength)
    wiggle = max(0.0, 1 - f.entropy) if f.period_strength else 0.0
    trend = min(1.0, f.trend_share / 2)
    events = f.spikes + f.other_anomalies
    changes = f.level_changes + f.variance_changes
    shown = max(trend, min(1.0, 0.3 * (events + f.level_changes)))
    cycles = f"a cycle of {_lasting(f.period_steps * step_s)} explains {f.period_strength:.0%} of the variance"
    several = f"{f.series} series with a mean correlation of {f.common:.2f}"
    line = (
        f"a line shows the trend, which moves by {f.trend_share:.1f} standard deviations"
        if trend >= 0.3
        else f"a line shows {_counts((events, 'anomaly', 'anomalies'), (f.level_changes, 'level change'))} "
        f"where {'it is' if events + f.level_changes == 1 else 'they are'}"
        if shown
        else f"a line is enough: the spectral entropy is {f.entropy:.2f} of 1, and nothing stands out"
    )
    slow = max(0.0, f.memory - 0.5) * 0.9
    return [
        View("line", alone * (0.5 + 0.4 * shown), f"{_first(line)}."),
        View("uvh", alone * 0.95 * period, f"Folded into rows: {cycles}."),
        View("mvh", 0.7 if 1 < f.series < MANY else 0.5 * (f.series > 1), f"Rows of one heatmap: {several}."),
        View("strip", (0.6 + 0.3 * max(0.0, f.common)) * (f.series >= MANY), f"Ordered rows: {several}."),
        View("stft", alone * min(0.85, 1.4 * f.drift * (0.3 + period)),
             f"The spectrum moves by {f.drift:.0%} from one eighth of the time to the next, and {cycles}."
             if period else f"The spectrum moves by {f.drift:.0%} from one eighth of the time to the next."),
        View("cwt", alone * min(0.8, 0.2 * f.spikes + 0.3 * min(changes, 2)),
             f"Short events stand at their scale: {_counts((f.spikes, 'spike'), (changes, 'change'))}."),
        View("filterbank", alone * (0.75 if f.variance_changes else 0.35 * (f.entropy > 0.6) * f.entropy),
             f"Energy by band: {_count(f.variance_changes, 'change')} of variance, spectral entropy {f.entropy:.2f}."),
        View("rp", alone * (0.85 if f.regimes else 0.4 * period),
             f"It returns to {_count(f.regimes, 'state')}." if f.regimes else f"It returns to where it was: {cycles}."),
        View("mtf", alone * (0.7 if f.regimes else min(0.5, slow)),
             f"Transitions between {_count(f.regimes, 'state')}." if f.regimes
             else f"Transitions between levels that last: the noise has an autocorrelation of {f.memory:.2f}."),
        View("gasf", alone * 0.55 * trend, f"The trend moves by {f.trend_share:.1f} standard deviations."),
        View("gadf", alone * 0.45 * max(trend, wiggle * period),
             f"The direction of change: a trend of {f.trend_share:.1f} standard deviations, "
             f"spectral entropy {f.entropy:.2f}."),
    ]  # fmt: skip


def _lasting(seconds: float) -> str:
    """A length of time in the largest unit of which it holds two, or a day in hours: '24 hours', '90 minutes'."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def _count(number: float, one: str, many: str | None = None) -> str:
    """'1 anomaly', '2 anomalies', 'no anomalies'; a median of several series may be 1.5."""
    return f"{f'{number:g}' if number else 'no'} {one if number == 1 else many or f'{one}s'}"


def _counts(*counted: tuple[float, *tuple[str, ...]]) -> str:
    """'3 anomalies and 1 level change', without what there is none of."""
    return " and ".join(_count(number, *words) for number, *words in counted if number) or "no events"


def _first(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
