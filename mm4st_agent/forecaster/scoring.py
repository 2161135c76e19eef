"""How a checkpoint did on a part of the data, beside the baselines."""

from __future__ import annotations

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import Split
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.card import TestErrors
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.earlier import Earlier
from mm4st_agent.forecaster.evaluation import Course, evaluate
from mm4st_agent.forecaster.recent import DAYS
from mm4st_agent.forecaster.slots import slots_a_day

RECORD_WINDOWS = 300
"""A track record rests on at most so many earlier forecasts, evenly spaced."""
LEAST_WINDOWS = 12
"""On fewer than so many it says nothing."""
RECENT_WINDOWS = 24
LEAST_CELLS = 400
"""What the last two days showed rests on at most so many forecasts, and on so many measured readings at least."""


def parts(checkpoint: Checkpoint, panel: Panel) -> Split:
    """Where the checkpoint's parts lie in the panel's time; those after the panel's end are empty."""
    card, times = checkpoint.card, panel.times
    train, validation = (
        slice(first := int(times.searchsorted(part.start)), min(first + part.steps, len(times)))
        for part in (card.train, card.validation)
    )
    return Split(train, validation, slice(int(times.searchsorted(card.test.start)), len(times)))


def score(
    checkpoint: Checkpoint, panel: Panel, split: Split, most: int | None = None, earlier: Earlier | None = None
) -> tuple[Course, TestErrors]:
    """Score the trained model and the baselines on `split.test`.

    Args:
        checkpoint: Fits the panel, which its forecaster has checked.
        panel: Whole, or cut at a moment; nothing beyond its end is read.
        split: `train` and `validation` as in `parts`; `test` is what is scored.
        most: Windows, spaced as in `evaluation.few` by the clock; None takes as many as are affordable.
        earlier: What the network said before, of this version of the data.

    Raises:
        DataError: the part is too short for a window, or holds no measured reading.
    """
    card, shape = checkpoint.card, checkpoint.card.network
    course = Course.of(panel, panel.channel(card.channel), split, shape.horizon)
    slots = course.history.slots
    intervals = checkpoint.intervals(checkpoint.inputs(panel, course.observed, slots), course.observed, slots)
    if earlier is not None:
        intervals = earlier.remembered(intervals, panel.times)
    trained = (card.model, intervals, card.calibration)
    windows = course.windows(split.test, shape.history, shape.horizon, most, by_clock=most is not None)
    return course, evaluate(course, windows, shape.horizon, checkpoint.residuals, trained)


def track_record(checkpoint: Checkpoint, panel: Panel, earlier: Earlier | None = None) -> tuple[TestErrors, str] | None:
    """What was known at the panel's end about how the checkpoint does, and on which forecasts that rests.

    Only forecasts whose truth was in by then count: of the test part where it holds enough, else of
    the validation part, which tuned the intervals and chose the weights. None: neither holds enough.
    """
    split, shape = parts(checkpoint, panel), checkpoint.card.network
    for part, words in ((split.test, ""), (split.validation, ", which also tuned the model")):
        if part.stop - part.start >= shape.history + shape.horizon + LEAST_WINDOWS - 1:
            checked = Split(split.train, split.validation, part)
            _, errors = score(checkpoint, panel, checked, RECORD_WINDOWS, earlier)
            first, last = panel.times[part.start], panel.times[part.stop - 1]
            return errors, (f"{errors.windows} forecasts from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}{words}")
    return None


def recent_errors(checkpoint: Checkpoint, panel: Panel, earlier: Earlier | None = None) -> TestErrors | None:
    """How the checkpoint did over the last two days before the panel's end; None where too little was measured.

    As in `track_record`, only forecasts whose truth was in by then count.
    """
    split, shape, end = parts(checkpoint, panel), checkpoint.card.network, len(panel.times)
    first = end - DAYS * slots_a_day(panel.step_s) - shape.history
    if first < 0 or end - first < shape.history + shape.horizon + LEAST_WINDOWS - 1:
        return None
    try:
        checked = Split(split.train, split.validation, slice(first, end))
        _, errors = score(checkpoint, panel, checked, RECENT_WINDOWS, earlier)
    except DataError:  # nothing was measured
        return None
    return errors if errors.cells >= LEAST_CELLS else None
