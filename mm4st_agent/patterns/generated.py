"""Series with known answers: one generator a kind, seeded, of several lengths and noise levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import signal

from mm4st_agent.patterns.series import Series

LENGTHS = (512, 1024, 2016)
NOISE = (0.1, 0.3, 0.6)
"""Standard deviation of the noise, in units of that of the signal (trends: of a fifth of the whole rise)."""

Answer = dict[str, float | str | list[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One generated series, or pair, and what is true of it."""

    values: Series
    answer: Answer
    other: Series | None = None


def _length(rng: np.random.Generator) -> int:
    return int(rng.choice(LENGTHS))


def _noisy(rng: np.random.Generator, clean: Series) -> Series:
    return np.asarray(clean + rng.choice(NOISE) * clean.std() * rng.normal(size=len(clean)))


def _ar1(rng: np.random.Generator, length: int, weight: float) -> Series:
    filtered: Series = signal.lfilter([1.0], [1.0, -weight], rng.normal(size=length + 100))
    return filtered[100:]


def _cycle(rng: np.random.Generator, length: int, fewest: int = 5) -> tuple[float, Series]:
    """A period of at least 12 steps that is seen at least `fewest` times, and the phase of each step, 0..1."""
    period = float(np.exp(rng.uniform(np.log(12), np.log(length / fewest))))
    return period, (np.arange(length) / period + rng.uniform()) % 1


def _wave(shape: Callable[[Series], Series], name: str) -> Callable[[np.random.Generator], Case]:
    def generate(rng: np.random.Generator) -> Case:
        period, phase = _cycle(rng, _length(rng))
        scale = rng.uniform(1, 30)
        return Case(rng.uniform(-50, 50) + scale * _noisy(rng, shape(phase)), {"period": period, "waveform": name})

    return generate


def _random_walk(rng: np.random.Generator) -> Case:
    return Case(np.cumsum(rng.normal(size=_length(rng))), {})


def _ar(rng: np.random.Generator) -> Case:
    return Case(10 + _ar1(rng, _length(rng), rng.uniform(0.5, 0.9)), {})


def _ma(rng: np.random.Generator) -> Case:
    weight = rng.uniform(0.6, 0.95) * rng.choice([-1, 1])
    return Case(np.asarray(signal.lfilter([1.0, weight], [1.0], rng.normal(size=_length(rng)))), {})


def _white(rng: np.random.Generator) -> Case:
    return Case(rng.uniform(-20, 20) + rng.normal(size=_length(rng)), {})


def _clustered(rng: np.random.Generator) -> Case:
    """GARCH(1, 1)."""
    length = _length(rng)
    news, memory = rng.uniform(0.2, 0.35), 0.6
    shocks, values, variance = rng.normal(size=length + 200), np.zeros(length + 200), 1.0
    for step in range(1, length + 200):
        variance = (1 - news - memory) + news * values[step - 1] ** 2 + memory * variance
        values[step] = np.sqrt(variance) * shocks[step]
    return Case(values[200:], {})


def _trend(kind: str) -> Callable[[np.random.Generator], Case]:
    def generate(rng: np.random.Generator) -> Case:
        u = np.linspace(0, 1, _length(rng))
        if kind == "linear":
            curve = u
        elif kind == "exponential":
            rate = rng.uniform(2, 5) * rng.choice([-1, 1])  # growth or decay
            curve = np.exp(rate * u)
        else:
            curve = np.log1p(rng.uniform(20, 200) * u)
        curve = curve / np.ptp(curve) * rng.uniform(1, 40) * rng.choice([-1, 1])
        noise = rng.choice(NOISE) * np.ptp(curve) / 5 * rng.normal(size=len(u))
        return Case(curve + noise, {"rise": float(curve[-1] - curve[0])})

    return generate


def _seasonal(mode: str) -> Callable[[np.random.Generator], Case]:
    def generate(rng: np.random.Generator) -> Case:
        length = _length(rng)
        period, phase = _cycle(rng, length)
        level = rng.uniform(50, 100) * (1 + rng.uniform(0.6, 2) * np.linspace(0, 1, length))
        wave = np.sin(2 * np.pi * phase) + rng.uniform(0, 0.5) * np.sin(4 * np.pi * phase)
        share = rng.uniform(0.15, 0.35)
        size = share * level if mode == "multiplicative" else share * level.mean()
        noise = rng.choice(NOISE) * float(np.std(size * wave)) * rng.normal(size=length)
        return Case(level + size * wave + noise, {"period": period, "mode": mode})

    return generate


def _dwells(rng: np.random.Generator, length: int, shortest: int, longest: int) -> list[int]:
    ends = np.cumsum(rng.integers(shortest, longest, size=length))
    return [int(end) for end in ends if end < length - shortest]


def _level_shift(rng: np.random.Generator) -> Case:
    length = _length(rng)
    at = int(rng.uniform(0.2, 0.8) * length)
    gap = float(rng.choice([-1, 1]))
    return Case(rng.uniform(-5, 5) + gap * (np.arange(length) >= at) + rng.choice(NOISE) * rng.normal(size=length),
                {"changes": [at]})  # fmt: skip


def _regimes(rng: np.random.Generator) -> Case:
    length = _length(rng)
    changes = _dwells(rng, length, length // 20, length // 6)
    state = np.searchsorted(changes, np.arange(length), side="right") % 2
    return Case(3.0 * state + 3.0 * rng.choice(NOISE) * rng.normal(size=length),
                {"low": 0.0, "high": 3.0, "switches": float(len(changes))})  # fmt: skip


def _variance_change(rng: np.random.Generator) -> Case:
    length = _length(rng)
    at = int(rng.uniform(0.25, 0.75) * length)
    ratio = rng.uniform(2, 4) ** rng.choice([-1, 1])
    spread = np.where(np.arange(length) < at, 1.0, ratio)
    return Case(8 + spread * rng.normal(size=length), {"changes": [at]})


def _base(rng: np.random.Generator, length: int) -> tuple[float, Series]:
    period, phase = _cycle(rng, length, fewest=10)
    return period, _noisy(rng, np.sin(2 * np.pi * phase))


def _spikes(rng: np.random.Generator) -> Case:
    """On a cycle, on white or on AR noise: 1 to 6 spikes of 8 to 15 standard deviations of the noise."""
    length = _length(rng)
    noise = [rng.normal(size=length), _ar1(rng, length, 0.6)][rng.integers(2)]
    values = noise + rng.choice([0.0, 4.0]) * np.sin(2 * np.pi * _cycle(rng, length)[1])
    places = np.sort(rng.choice(np.arange(5, length - 5, 10), size=rng.integers(1, 7), replace=False))
    values[places] += rng.choice([-1, 1], size=len(places)) * rng.uniform(8, 15, size=len(places))
    return Case(values, {"steps": places.tolist()})


def _excursion(rng: np.random.Generator) -> Case:
    """A cycle with noise that leaves its course by 5 to 8 standard deviations of the noise for some steps."""
    length = _length(rng)
    phase = _cycle(rng, length, fewest=8)[1]
    values = rng.choice([3.0, 6.0]) * np.sin(2 * np.pi * phase) + _ar1(rng, length, rng.uniform(0, 0.3))
    wide = int(rng.integers(6, 12))
    first = int(rng.integers(10, length - wide - 10))
    values[first : first + wide] += rng.choice([-1, 1]) * rng.uniform(5, 8)
    return Case(values, {"first": first, "last": first + wide - 1})


def _flip(rng: np.random.Generator) -> Case:
    """One or two of at least ten cycles upside down."""
    length = _length(rng)
    period, values = _base(rng, length)
    wide = int(period * rng.uniform(1, 2))
    first = int(rng.integers(0, length - wide))
    values[first : first + wide] *= -1
    return Case(values, {"first": first, "last": first + wide - 1})


def _cut_off(rng: np.random.Generator) -> Case:
    """A stretch held at 0, at its last value, or at the highest reading."""
    length = _length(rng)
    values = _base(rng, length)[1]
    wide = int(rng.integers(12, length // 10))
    first = int(rng.integers(1, length - wide))
    values[first : first + wide] = [0.0, float(values[first - 1]), float(values.max())][int(rng.integers(3))]
    return Case(values, {"first": first, "last": first + wide - 1})


def _driver(rng: np.random.Generator, length: int) -> Series:
    kind = rng.integers(3)
    if kind == 0:
        return _ar1(rng, length, rng.uniform(0.3, 0.9))
    if kind == 1:
        return np.cumsum(rng.normal(size=length))
    cycle: Series = 4 * np.sin(2 * np.pi * _cycle(rng, length)[1])
    return _ar1(rng, length, 0.5) + cycle


def _lagged(rng: np.random.Generator) -> Case:
    """The second follows the first by up to 40 steps (or leads), with noise of its own."""
    length = _length(rng)
    lag = int(rng.integers(1, 41)) * int(rng.choice([-1, 1]))
    source = _driver(rng, length + 80)
    first, second = source[40:-40], source[40 - lag : len(source) - 40 - lag]
    own = rng.choice(NOISE) * rng.normal(size=length)
    return Case(first, {"lag": lag}, 3 + rng.uniform(0.5, 2) * rng.choice([-1, 1]) * (second + own))


def _granger(rng: np.random.Generator) -> Case:
    """A vector autoregression in which only one series depends on the past of the other."""
    length = _length(rng) + 100
    lag, strength = int(rng.integers(1, 4)), rng.uniform(0.35, 0.7)
    cause = signal.lfilter([1.0], [1.0, -rng.uniform(0.2, 0.7)], rng.normal(size=length))
    pushed = np.concatenate([np.zeros(lag), strength * cause[:-lag]]) + rng.normal(size=length)
    effect = signal.lfilter([1.0], [1.0, -rng.uniform(0.2, 0.7)], pushed)
    forward = bool(rng.integers(2))
    first, second = (cause, effect) if forward else (effect, cause)
    return Case(first[100:], {"granger": "forward" if forward else "backward"}, second[100:])


def _unrelated(rng: np.random.Generator) -> Case:
    """Two noises, two random walks, two trends, or two cycles of one period: alike, but nothing passes between."""
    length = _length(rng)
    kind = rng.integers(4)
    if kind == 0:
        pair = [_ar1(rng, length, rng.uniform(0.3, 0.9)) for _ in range(2)]
    elif kind == 1:
        pair = [np.cumsum(rng.normal(size=length)) for _ in range(2)]
    elif kind == 2:
        pair = [rng.uniform(3, 10) * np.linspace(0, 1, length) + _ar1(rng, length, 0.5) for _ in range(2)]
    else:
        phase = _cycle(rng, length)[1]
        pair = [3 * np.sin(2 * np.pi * (phase + rng.uniform())) + _ar1(rng, length, 0.5) for _ in range(2)]
    return Case(pair[0], {}, pair[1])


GENERATORS: Mapping[str, Callable[[np.random.Generator], Case]] = MappingProxyType(
    {
        "sine": _wave(lambda phase: np.sin(2 * np.pi * phase), "sine"),
        "square": _wave(lambda phase: np.where(phase < 0.5, 1.0, -1.0), "square"),
        "sawtooth": _wave(lambda phase: 2 * phase - 1, "sawtooth"),
        "random walk": _random_walk,
        "ar": _ar,
        "ma": _ma,
        "white noise": _white,
        "volatility clustering": _clustered,
        "linear trend": _trend("linear"),
        "exponential trend": _trend("exponential"),
        "logarithmic trend": _trend("logarithmic"),
        "additive seasonality": _seasonal("additive"),
        "multiplicative seasonality": _seasonal("multiplicative"),
        "level shift": _level_shift,
        "regime switching": _regimes,
        "variance change": _variance_change,
        "spikes": _spikes,
        "excursion": _excursion,
        "flip": _flip,
        "cut-off": _cut_off,
        "lagged pair": _lagged,
        "granger": _granger,
        "unrelated pair": _unrelated,
    }
)
"""A generator of each kind."""
