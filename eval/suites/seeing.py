"""Seeing: what a drawn series does, by what is asked and how it is drawn; and the same with the picture swapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import signal

from eval.suites.halves import chance_of, clock, interleaved, span_of
from eval.suites.own_data import stored
from eval.suites.seeing_words import said_option
from eval.suites.suite import Half, Item, Scored
from mm4st_agent.agent.answer import Answer
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.panel import Panel
from mm4st_agent.runtime import Runtime

Array = NDArray[np.float64]

STARTS: Mapping[Half, str] = {"dev": "2024-03-04", "test": "2024-06-10"}
DAYS, SEEN_DAYS, PER_DAY = 10, 7, 96
"""Of the made series, steps of 15 minutes; the last seven days are drawn."""
PER_KIND, SWAPPED, REAL = 4, 20, 8
"""Items of each kind; of all that have their picture swapped; of each kind with real data."""
SWAP = "picture swapped"
NOISE, MEMORY = 2.0, 0.7
"""Standard deviation of the noise, and the most that a step of it keeps of the one before."""
SIZES: Mapping[str, tuple[float, float]] = {
    "trend": (1.0, 8.0),
    "cycle": (0.5, 3.0),
    "spike": (4.0, 14.0),
    "level shift": (1.0, 6.0),
}
"""What is to be seen, in standard deviations of the noise: the whole change, the amplitude, the height, the step."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "trend": ("rising", "falling", "none"),
    "cycle": ("day", "8 hours", "none"),
    "spike": ("up", "down", "none"),
    "level shift": ("up", "down", "none"),
    "missing": ("some", "none"),
}
"""What may be true of a series, by what is asked; drawn equally often, so chance and most frequent score the same."""
METHODS: Mapping[str, tuple[str, ...]] = {
    "trend": ("line", "uvh", "gasf"),
    "cycle": ("line", "uvh", "stft", "rp"),
    "spike": ("line", "uvh", "rp"),
    "level shift": ("line", "uvh", "rp"),
    "missing": ("line", "uvh"),
}
"""How a series is drawn for each: by the methods on whose picture it can be seen."""
DRAWN = {
    "line": "a line chart",
    "uvh": "a heatmap with one row per day",
    "stft": "a spectrogram",
    "gasf": "a Gramian angular field",
    "rp": "a recurrence plot",
}
DRAW: Mapping[Half, str] = {
    "dev": "Draw the last 7 days of {quantity} at {place} as {drawn}.",
    "test": "I want to see the past 7 days of {quantity} at {place}: make {drawn} of it, please.",
}
ASK: Mapping[Half, Mapping[str, str]] = {
    "dev": {
        "trend": "Look at that picture: is there a rising trend, a falling trend or no trend over these 7 days?",
        "cycle": "Look at that picture: does the series repeat in a cycle, and how long is one?",
        "spike": "Look at that picture: is there a spike up, a spike down or no spike in these 7 days?",
        "level shift": "Look at that picture: did the level shift up, shift down or not shift in these 7 days?",
        "missing": "Look at that picture: are readings missing in these 7 days, or none?",
    },
    "test": {
        "trend": "Judging by what you drew, which long-term trend does it have in these 7 days: up, down, or none?",
        "cycle": "Judging by what you drew, is it cyclic, and after what time does it repeat, if at all?",
        "spike": "Judging by what you drew, which spike is in it in these 7 days: upwards, downwards, or none?",
        "level shift": "Judging by what you drew, which level shift is in these 7 days: upwards, downwards, or none?",
        "missing": "Judging by what you drew, does it have gaps in these 7 days: some, or none?",
    },
}


class Seeing:
    """Two questions an item: draw it, then say what the drawn series does.

    For the embedded model, `detect_patterns` on the drawn readings is what looks; a served model that sees gets the
    picture. Where the picture is swapped, the first question draws another series, and the truth stays: who answers
    from anything but the picture keeps scoring, and who answers from it falls to chance.
    """

    name = "seeing"
    measures = "The share of pictures that are read rightly, of two or three options; a reply that names none is wrong."
    baseline_name = "chance (as good as most frequent: options are equally often true)"

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """Made series by each method, the same swapped, and real ones; the made data set is imported on first use."""
        made = _made(half)
        panel = stored(runtime, f"seeing-{half}", _table(half, made), options=_options(half))
        return interleaved([*_made_items(half, panel, made), *_real_items(half, runtime)])

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """1 where the last answer says what is true."""
        said = said_option(item.expect["asked"], answers[-1].answer)
        right = said == item.expect["true"]
        drawn = any(entry.tool == "render_series" and entry.error is None for entry in answers[0].evidence)
        return Scored(
            value=float(right),
            details={"told": float(said is not None), "drawn": float(drawn)},
            why=f"{item.expect['asked']}: truly {item.expect['true']}, said {said or 'none of the options'}.",
        )

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """Guessing among what is true of the items of the kind."""
        return Scored(value=1 / len(item.expect["options"]))


# -- made series ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A made series, and what is asked of it and true."""

    node: str
    asked: str
    method: str
    true: str
    values: Array


def _made(half: Half) -> list[Made]:
    """All made series of a half: options in turn within what is asked, in an order drawn by chance."""
    chance = chance_of("seeing", half)
    found: list[Made] = []
    for asked, methods in METHODS.items():
        count = len(methods) * PER_KIND
        options = [OPTIONS[asked][n % len(OPTIONS[asked])] for n in range(count)]
        for number, true in enumerate(chance.permutation(options)):
            method, node = methods[number % len(methods)], f"G{len(found) + 1:02d}"
            found.append(Made(node, asked, method, str(true), _series(asked, str(true), chance)))
    return found


def _series(asked: str, true: str, chance: np.random.Generator) -> Array:
    """`(T,)` noise with or without memory, sometimes with a daily course, and what is true, from faint to plain."""
    steps, first = np.arange(DAYS * PER_DAY), (DAYS - SEEN_DAYS) * PER_DAY
    memory = chance.uniform(0, MEMORY)
    noise = signal.lfilter([np.sqrt(1 - memory**2)], [1.0, -memory], chance.normal(0, NOISE, len(steps)))
    values = 50 + np.asarray(noise, dtype=np.float64)
    if asked != "cycle" and chance.random() < 0.5:
        values += 6 * np.sin(2 * np.pi * (steps / PER_DAY + chance.random()))
    sign = -1 if true in ("falling", "down") else 1
    at = first + int(chance.uniform(0.3, 0.7) * SEEN_DAYS * PER_DAY)
    if true == "none":
        return values.round(2)
    if asked == "missing":
        values[at : at + int(chance.integers(2, 48))] = np.nan
        return values.round(2)
    size = sign * NOISE * chance.uniform(*SIZES[asked])
    if asked == "trend":
        values += size * (steps - first) / (SEEN_DAYS * PER_DAY)
    elif asked == "cycle":
        period = PER_DAY if true == "day" else PER_DAY / 3
        values += size * np.sin(2 * np.pi * (steps / period + chance.random()))
    elif asked == "spike":
        values[at] += size
    else:
        values[at:] += size
    return values.round(2)


def _table(half: Half, made: Sequence[Made]) -> pd.DataFrame:
    times = pd.date_range(STARTS[half], periods=DAYS * PER_DAY, freq="15min")
    return pd.DataFrame({"time": times, **{series.node: series.values for series in made}})


def _options(half: Half) -> ImportOptions:
    return ImportOptions(
        layout="wide",
        time_zone="UTC",
        channel="level",
        units={"level": "cm"},
        missing=(),
        title=f"Made water levels ({half})",
        source="made by the suite 'seeing'",
        place_word="gauge",
    )


def _made_items(half: Half, panel: Panel, made: Sequence[Made]) -> Iterator[Item]:
    for series in made:
        yield _item(half, panel, series, series.node, "level", panel.end)
    chance = chance_of("seeing", half, SWAP)
    owed = 0.0
    for at in sorted(chance.permutation(len(made))[:SWAPPED]):
        series = made[at]
        # The picture shown says by accident what is true as often as chance does.
        options = OPTIONS[series.asked]
        owed += 1 / len(options)
        wrong = [option for option in options if option != series.true]
        says = series.true if owed >= 1 else wrong[int(chance.integers(len(wrong)))]
        owed -= owed >= 1
        others = [o for o in made if o.asked == series.asked and o.true == says and o is not series]
        yield _item(half, panel, series, others[int(chance.integers(len(others)))].node, "level", panel.end, kind=SWAP)


def _item(
    half: Half,
    panel: Panel,
    series: Made,
    shown: str,
    quantity: str,
    moment: pd.Timestamp,
    *,
    kind: str | None = None,
    options: Sequence[str] = (),
) -> Item:
    """The item; `options` are those that may be true of an item of its kind; by default all."""
    place = f"{panel.card.place_word} {shown}"
    return Item(
        id=f"{half}/{kind or series.asked}/{panel.name}/{series.node}-{series.method}-{clock(moment)}",
        questions=(
            DRAW[half].format(quantity=quantity, place=place, drawn=DRAWN[series.method]),
            ASK[half][series.asked],
        ),
        dataset=panel.name,
        as_of=clock(moment),
        family=f"{half}/{series.asked}/{series.method}",
        kind=kind or f"{series.asked}, {series.method}",
        expect={
            "asked": series.asked,
            "true": series.true,
            "shown": shown,
            "options": list(options or OPTIONS[series.asked]),
        },
    )


# -- real series ----------------------------------------------------------------------------------


def _real_items(half: Half, runtime: Runtime) -> Iterator[Item]:
    """Real weeks of which it is beyond doubt: with many gaps or none, with a daily cycle or without any."""
    sources: tuple[tuple[str, str, str, Callable[[Array, int], str | None]], ...] = (
        ("missing", "beijing-air", "PM2.5", _gaps),
        ("cycle", "pems-orange", "flow", _daily),
        ("cycle", "beijing-air", "PM2.5", partial(_daily, wanted="none")),
    )
    for asked, dataset, channel, truth in sources:
        if not runtime.registry.available(dataset):
            continue
        panel = runtime.registry.open(dataset)
        chance = chance_of("seeing", half, asked, dataset)
        (first, last), nodes = span_of(panel, half), panel.nodes_of(channel)
        values = panel.only(nodes).observed(channel).astype(np.float64)
        per_day = 86_400 // panel.step_s
        days = pd.date_range(first.ceil("D"), last, freq="D")
        count = REAL if asked == "missing" else REAL // 2
        left = dict.fromkeys(OPTIONS[asked], count // (2 if asked == "missing" else 1))
        options = [option for option in OPTIONS[asked] if option != "8 hours"]
        for at in chance.permutation(len(days) * len(nodes)):
            day, node = days[at // len(nodes)], int(at % len(nodes))
            end = int(panel.times.searchsorted(day))
            week = values[max(0, end - SEEN_DAYS * per_day) : end, node]
            true = truth(week, per_day) if len(week) == SEEN_DAYS * per_day else None
            if true is not None and left[true] > 0:
                left[true] -= 1
                series = Made(nodes[node], asked, "line", true, week)
                yield _item(half, panel, series, nodes[node], channel, day, kind=f"{asked}, real data", options=options)


def _gaps(week: Array, per_day: int) -> str | None:
    missing = np.isnan(week).mean()
    return "none" if missing == 0 else "some" if missing >= 0.02 else None


def _daily(week: Array, per_day: int, wanted: str = "day") -> str | None:
    """By the correlation with the day before: 'day' where it is high, 'none' where there is none."""
    early, late = week[:-per_day], week[per_day:]
    known = np.isfinite(early) & np.isfinite(late)
    if known.mean() < 0.9:
        return None
    alike = float(np.corrcoef(early[known], late[known])[0, 1])
    found = "day" if alike >= 0.7 else "none" if abs(alike) < 0.1 else None
    return found if found == wanted else None


SUITE = Seeing()
