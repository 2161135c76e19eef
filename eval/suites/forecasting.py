"""Forecasting: the number in an answer, and its interval, against what happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eval.bench.windows_of_events import event_windows
from eval.suites.forecasting_phrases import PHRASES, Manner
from eval.suites.halves import chance_of, clock, interleaved, span_of
from eval.suites.suite import Half, Item, Scored
from mm4st_agent.agent.answer import Answer, Claim
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.baselines import FUNCTIONS as BASELINES
from mm4st_agent.forecaster.baselines import LAST_VALUE, SAME_SLOT_LAST_WEEK, History
from mm4st_agent.forecaster.forecast import total_unit
from mm4st_agent.runtime import Runtime

Array = NDArray[np.float64]

FORECAST = "forecast"
SCALE_DAYS = 7
"""The scale of errors is what the naive forecast missed by, on average, over so many days before the clock."""
MOST_TRIES = 400
DAY_HOURS = range(5, 22)
SKIPS_MIN = (0, 30)
AS_SAID = 0.02
"""A number of an answer is the forecast's median where it differs by no more than this share."""


@dataclass(frozen=True)
class Course:
    """What is forecast of one channel.

    Attributes:
        naive: Which baseline is always naive here: the same time last week where a week repeats (counts of vehicles
            and requests), elsewhere the last reading.
        minutes: Lengths of the spans, one of which is drawn for each item.
        items: Of all times, in a half.
        windows: Kinds of event window that are asked about as well, and how many items of each.
    """

    dataset: str
    channel: str
    manner: Manner
    naive: str
    minutes: tuple[int, ...]
    items: int
    windows: Mapping[str, int] = field(default_factory=dict)


COURSES = (
    Course("demo", "flow", "volume", SAME_SLOT_LAST_WEEK, (30, 60), 6, {"incidents": 4, "events": 4}),
    Course("demo", "speed", "speed", LAST_VALUE, (30, 60), 6, {"incidents": 4, "rain": 4}),
    Course("demo", "pm25", "air", LAST_VALUE, (60,), 4, {"rain": 4}),
    Course("demo", "requests", "load", SAME_SLOT_LAST_WEEK, (30, 60), 4),
    Course("pems-orange", "flow", "volume", SAME_SLOT_LAST_WEEK, (30, 60), 6, {"incidents": 4}),
    Course("pems-orange", "speed", "speed", LAST_VALUE, (30, 60), 6, {"incidents": 4}),
    Course("los-loop", "speed", "speed", LAST_VALUE, (15, 30, 60), 8),
    Course("sz-taxi", "speed", "speed", LAST_VALUE, (60, 120), 8),
    Course("beijing-air", "PM2.5", "air", LAST_VALUE, (180, 360), 8),
)


class Forecasting:
    """Totals (vehicles) and means (everything else) of the coming minutes or hours, over many clocks."""

    name = "forecasting"
    measures = (
        "The naive forecast's error as a share of its own and the answer's error together: 0.5 is as good as naive, "
        "1 is exact; 0 without a number, or of another span or unit than asked."
    )
    baseline_name = "always naive (counts: the same time last week; else: the last reading)"

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """Clocks and places drawn from the half's time; data sets that are not here are left out."""
        found: list[Item] = []
        for course in COURSES:
            if runtime.registry.available(course.dataset):
                found += _Drawing(course, half, runtime.registry.open(course.dataset)).items()
        return interleaved(found)

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """Compare the number that the last answer says for the span."""
        expect, answer = item.expect, answers[-1]
        entry = _entry(answer)
        point, unit_right = _said(answer, entry, expect["unit"])
        horizon_right = entry is None or _covers(entry, expect)
        details: dict[str, float | None] = {
            "answered": float(point is not None),
            "unit_right": float(unit_right),
            "horizon_right": float(horizon_right),
        }
        if point is None or not horizon_right:
            wrong = "of another span than asked" if point is not None else "not said in the unit"
            return Scored(value=0.0, details=details, why=f"The number is {wrong}: {expect['unit']}, {item.kind}.")
        truth, naive, scale = expect["truth"], expect["naive"], expect["scale"]
        error, naive_error = abs(point - truth), abs(naive - truth)
        details |= {"error": error, "naive_error": naive_error, "scaled_error": error / scale}
        if entry is not None:
            low, median, high = (_number(entry, f"total.{name}") for name in ("low", "median", "high"))
            if low is not None and median is not None and high is not None:
                loss = _pinball(truth, {0.1: low, 0.5: median, 0.9: high})
                details |= {
                    "pinball": loss / scale,
                    "naive_pinball": _pinball(truth, {0.1: naive, 0.5: naive, 0.9: naive}) / scale,
                    "covered": float(low <= truth <= high),
                    "width": (high - low) / scale,
                }
        value = naive_error / (naive_error + error) if naive_error + error else 0.5
        why = f"Said {point:.4g}, came {truth:.4g} {expect['unit']}; naive says {naive:.4g}."
        return Scored(value=value, details=details, why=why)

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """0.5 by construction; the details say how far off it was."""
        error = abs(item.expect["naive"] - item.expect["truth"])
        return Scored(value=0.5, details={"error": error, "scaled_error": error / item.expect["scale"]})


class _Drawing:
    """The items of one course in one half."""

    def __init__(self, course: Course, half: Half, panel: Panel) -> None:
        self.course, self.half, self.panel = course, half, panel
        self.channel: Channel = panel.channel(course.channel)
        self.nodes = panel.nodes_of(course.channel)
        self.observed = panel.only(self.nodes).observed(course.channel)
        self.delay = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
        first, last = span_of(panel, half)
        made = panel.times + self.delay
        inside = (made >= first) & (made <= last) & (made.minute % 15 == 0) & np.isin(made.hour, list(DAY_HOURS))
        self.origins: NDArray[np.intp] = np.flatnonzero(inside) + 1
        self.last = int(made.searchsorted(last, side="right"))

    def items(self) -> Iterator[Item]:
        """Of all times, then of the event windows."""
        whole = np.ones((len(self.origins), 1, len(self.nodes)), dtype=bool)
        yield from self._draw(self.course.dataset, whole, self.course.items)
        if self.course.windows:
            longest = max(self.course.minutes) * 60 // self.panel.step_s
            usable = self.origins[self.origins + longest <= len(self.panel.times)]
            for windows in event_windows(self.panel, self.nodes, usable, longest):
                if windows.name in self.course.windows:
                    cells = np.broadcast_to(windows.cells, (len(usable), longest, len(self.nodes)))
                    kind = f"{self.course.dataset}, {windows.name}"
                    yield from self._draw(kind, cells, self.course.windows[windows.name])

    def _draw(self, kind: str, cells: NDArray[np.bool_], count: int) -> Iterator[Item]:
        """Up to `count` items whose whole span lies in the `(W, H, N)` cells."""
        chance = chance_of("forecasting", self.half, kind, self.course.channel)
        choices = np.argwhere(cells.all(axis=1))
        made = 0
        for at in chance.permutation(len(choices))[:MOST_TRIES]:
            row, node = choices[at]
            item = self._item(kind, int(self.origins[row]), int(node), made, chance)
            if item is not None:
                yield item
                made += 1
            if made == count:
                return

    def _item(self, kind: str, origin: int, node: int, number: int, chance: np.random.Generator) -> Item | None:
        step_min = self.panel.step_s / 60
        phrases = PHRASES[self.half][self.course.manner]
        phrase = list(phrases)[number % len(phrases)]
        minutes = int(chance.choice(self.course.minutes))
        named = "{begin}" in phrases[phrase]
        skip = int(chance.choice(SKIPS_MIN) // step_min) if named and minutes + max(SKIPS_MIN) <= 60 else 0
        steps = int(minutes // step_min)
        end = origin + skip + steps
        truth = self._total(self.observed[origin + skip : end, node].astype(np.float64)) if end <= self.last else np.nan
        naive = self._naive(node, np.array([origin]), skip, steps)[0]
        per_day = int(24 * 60 / step_min)
        earlier = np.arange(max(origin - SCALE_DAYS * per_day, per_day), origin - skip - steps, max(steps, 1))
        scale = self._scale(node, earlier, skip, steps)
        seen = np.isfinite(self.observed[origin - 6 : origin, node]).mean()
        if not (np.isfinite(truth) and np.isfinite(naive) and scale > 0 and seen > 0.5):
            return None
        times = self.panel.times
        begin, until = times[origin + skip], times[end - 1] + self.delay
        shown = begin if self.delay else begin - self.panel.step
        place = self.nodes[node]
        question = phrases[phrase].format(
            place=place if self.course.manner == "load" else f"{self.panel.card.place_word} {place}",
            what=self.channel.label,
            span=f"{minutes // 60} hours" if minutes > 60 else "hour" if minutes == 60 else f"{minutes} minutes",
            begin=f"{shown:%H:%M}",
            end=f"{until:%H:%M}",
        )
        return Item(
            id=f"{self.half}/{kind}/{self.course.channel}/{number}",
            questions=(question[:1].upper() + question[1:],),
            dataset=self.panel.name,
            as_of=clock(times[origin - 1] + self.delay),
            family=f"{self.half}/{self.course.manner}/{phrase}",
            kind=kind,
            expect={
                "node": place,
                "channel": self.course.channel,
                "unit": total_unit(self.channel),
                "from": begin.isoformat(),
                "until": until.isoformat(),
                "step_s": self.panel.step_s,
                "truth": float(truth),
                "naive": float(naive),
                "scale": scale,
            },
        )

    def _total(self, values: Array) -> float:
        return float(values.sum() if self.channel.aggregation == "sum" else values.mean())

    def _naive(self, node: int, origins: NDArray[np.intp], skip: int, steps: int) -> Array:
        """`(W,)` totals of the naive forecast; NaN where it is undefined."""
        observed = self.observed[:, [node]]
        history = History.of(
            observed, self.panel.times, step_s=self.panel.step_s, holidays=None, known=slice(0, len(observed))
        )
        ahead = BASELINES[self.course.naive](history, origins, skip + steps)[:, skip:, 0].astype(np.float64)
        return np.array([self._total(row) for row in ahead])

    def _scale(self, node: int, origins: NDArray[np.intp], skip: int, steps: int) -> float:
        """Mean absolute error of the naive forecast from these origins; 0 where there is none."""
        if not len(origins):
            return 0.0
        naive = self._naive(node, origins, skip, steps)
        series = self.observed[:, node].astype(np.float64)
        errors = np.abs(naive - [self._total(series[at + skip : at + skip + steps]) for at in origins])
        return float(np.nanmean(errors)) if np.isfinite(errors).any() else 0.0


def _entry(answer: Answer) -> Evidence | None:
    """The forecast on which the answer's claims rest, the first where there are several."""
    cited = [entry_id for claim in answer.claims for entry_id in claim.evidence]
    entries = {entry.id: entry for entry in answer.evidence if entry.tool == FORECAST and entry.error is None}
    return next((entries[entry_id] for entry_id in cited if entry_id in entries), None)


def _said(answer: Answer, entry: Evidence | None, unit: str) -> tuple[float | None, bool]:
    """The number said for the span, and whether any number said of it has the unit.

    It is the forecast's median where the answer says it, else the first number in the unit that rests on the forecast
    or on nothing.
    """
    numbers = [claim for claim in answer.claims if claim.kind == "number" and not isinstance(claim.value, str)]
    fitting = [
        c for c in numbers if c.unit == unit and (not c.evidence or (entry is not None and entry.id in c.evidence))
    ]
    if not fitting:
        return None, False
    median = None if entry is None else _number(entry, "total.median")

    def is_median(claim: Claim) -> bool:
        return median is not None and abs(float(claim.value) - median) <= AS_SAID * abs(median)

    chosen = next((claim for claim in fitting if is_median(claim)), fitting[0])
    return float(chosen.value), True


def _covers(entry: Evidence, expect: Mapping[str, object]) -> bool:
    """Whether the forecast is of the span and the place that were asked for; a step more or less is no fault."""
    said = {name: entry.values.get(f"covers_{name}") for name in ("from", "until")}
    step = pd.Timedelta(seconds=float(str(expect["step_s"])))
    near = all(
        value is not None and abs(pd.Timestamp(value.value) - pd.Timestamp(str(expect[name]))) <= step
        for name, value in said.items()
    )
    return near and str(entry.args.get("node")) == expect["node"] and entry.words.get("channel") == expect["channel"]


def _number(entry: Evidence, path: str) -> float | None:
    found = entry.values.get(path)
    return None if found is None else float(found.value)


def _pinball(truth: float, quantiles: Mapping[float, float]) -> float:
    """Mean pinball loss over the levels."""
    return float(np.mean([max(level * (truth - q), (level - 1) * (truth - q)) for level, q in quantiles.items()]))


SUITE = Forecasting()
