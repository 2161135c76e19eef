"""Loops that write each pixel of a field once, compiled; for processors, where no gradient is followed.

A field costs little more than filling its memory, so what limits it is how often each pixel is passed over: torch
needs one pass an operation, these need one in all.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@njit(cache=True, nogil=True)
def gramian(rows: Floats, row_share: Floats, columns: Floats, share: Floats, difference: bool, image: Floats) -> None:
    """Write the Gramian angular fields of segment means, and their masks.

    Args:
        rows: `(B, H)` means, NaN is missing.
        row_share: `(B, H)` shares of readings, 0..1.
        columns: `(B, W)` means.
        share: `(B, W)` shares of readings.
        difference: Whether `sin(phi_i - phi_j)` is written rather than `cos(phi_i + phi_j)`.
        image: `(B, 2, H, W)`, overwritten.
    """
    height, width = image.shape[2], image.shape[3]
    row_cos, row_sin = np.empty(height, np.float32), np.empty(height, np.float32)
    cos, sin = np.empty(width, np.float32), np.empty(width, np.float32)
    for b in range(image.shape[0]):
        _polar(rows[b], row_cos, row_sin)
        _polar(columns[b], cos, sin)
        if difference:
            for i in range(height):
                row_cos[i], row_sin[i] = row_sin[i], row_cos[i]
        for i in range(height):
            x, y, known = row_cos[i], row_sin[i], row_share[b, i]
            field, mask = image[b, 0, i], image[b, 1, i]
            for j in range(width):
                field[j] = x * cos[j] - y * sin[j]
            for j in range(width):
                mask[j] = known * share[b, j]


@njit(cache=True, nogil=True)
def _polar(means: Floats, cosine: Floats, sine: Floats) -> None:
    """Cosines and sines of the angles; both 0 where nothing was read."""
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for mean in means:
        if mean < low:
            low = mean
        if mean > high:
            high = mean
    span = high - low
    for i in range(len(means)):
        if math.isnan(means[i]):
            cosine[i] = sine[i] = 0.0
        else:
            cosine[i] = (means[i] - low) / span * np.float32(2) - np.float32(1) if span > 0 else 0.0
            sine[i] = math.sqrt(max(np.float32(0), np.float32(1) - cosine[i] * cosine[i]))


@njit(cache=True, nogil=True)
def blocks(grid: Floats, row_first: Indices, first: Indices, image: Floats) -> None:
    """Write the mean of the readings of each block of a grid, and the share of its cells that were read.

    Args:
        grid: `(B, R, C)`, NaN is missing.
        row_first: `(H + 1,)` first row of each block and the end of the last one, or `(H,)` rows where each is
            repeated.
        first: The same of the columns, `(W + 1,)` or `(W,)`.
        image: `(B, 2, H, W)`, overwritten; both are 0 where nothing was read.
    """
    height, width = image.shape[2], image.shape[3]
    repeats_rows, repeats = len(row_first) == height, len(first) == width
    for b in range(image.shape[0]):
        for i in range(height):
            field, mask = image[b, 0, i], image[b, 1, i]
            top = row_first[i]
            if repeats_rows and i > 0 and row_first[i - 1] == top:
                field[:], mask[:] = image[b, 0, i - 1], image[b, 1, i - 1]
                continue
            bottom = top + 1 if repeats_rows else row_first[i + 1]
            for j in range(width):
                left = first[j]
                right = left + 1 if repeats else first[j + 1]
                total, seen = 0.0, 0
                for r in range(top, bottom):
                    for c in range(left, right):
                        if not math.isnan(grid[b, r, c]):
                            total += grid[b, r, c]
                            seen += 1
                field[j] = total / seen if seen > 0 else 0.0
                mask[j] = seen / ((bottom - top) * (right - left))


@njit(cache=True, nogil=True)
def markov(series: Floats, ordered: Floats, bins: int, row_first: Indices, first: Indices, image: Floats) -> None:
    """Write Markov transition fields and their masks.

    Args:
        series: `(B, T)`, NaN is missing.
        ordered: `(B, T)` the same in ascending order, NaN last.
        bins: Number of levels.
        row_first: `(H + 1,)` first step of each row's segment and the end of the last one, or `(H,)` steps where each
            row shows just one.
        first: The same of the columns, `(W + 1,)` or `(W,)`.
        image: `(B, 2, H, W)`, overwritten.
    """
    height, width = image.shape[2], image.shape[3]
    length = series.shape[1]
    level, edges = np.empty(length, np.int64), np.empty(bins - 1)
    member, share = np.empty((bins, width), np.float32), np.empty(width, np.float32)
    alike = height == width
    row_member = member if alike else np.empty((bins, height), np.float32)
    row_share = share if alike else np.empty(height, np.float32)
    # A row is a mixture of the rows of pure levels, which are few.
    pure = np.empty((bins, width), np.float32)
    for b in range(image.shape[0]):
        _quantiles(ordered[b], edges)
        for t in range(length):
            level[t] = -1 if math.isnan(series[b, t]) else 0
            for edge in edges:
                level[t] += series[b, t] >= edge
        probability = _transitions(level, bins)
        _memberships(level, first, member, share)
        if not alike:
            _memberships(level, row_first, row_member, row_share)
        pure[:] = 0.0
        for q in range(bins):
            for r in range(bins):
                weight = probability[q, r]
                if weight > 0:
                    for j in range(width):
                        pure[q, j] += weight * member[r, j]
        for i in range(height):
            field, mask = image[b, 0, i], image[b, 1, i]
            begun = False
            for q in range(bins):
                weight = row_member[q, i]
                if weight == 0:
                    continue
                if begun:
                    for j in range(width):
                        field[j] += weight * pure[q, j]
                else:
                    for j in range(width):
                        field[j] = weight * pure[q, j]
                begun = True
            if not begun:
                field[:] = 0.0
            known = row_share[i]
            for j in range(width):
                mask[j] = known * share[j]


@njit(cache=True, nogil=True)
def _quantiles(ordered: Floats, edges: NDArray[np.float64]) -> None:
    """Write the evenly spaced quantiles between the extremes, linear between readings; 0 without a reading."""
    known = 0
    while known < len(ordered) and not math.isnan(ordered[known]):
        known += 1
    for e in range(len(edges)):
        if known == 0:
            edges[e] = 0.0
            continue
        place = (e + 1) * (known - 1) / (len(edges) + 1)
        below = int(place)
        above = min(below + 1, known - 1)
        edges[e] = ordered[below] + (place - below) * (np.float64(ordered[above]) - ordered[below])


@njit(cache=True, nogil=True)
def _transitions(level: Indices, bins: int) -> Floats:
    """`(bins, bins)` probability of each transition; 0 from a level that is never left."""
    count = np.zeros((bins, bins), np.float32)
    for t in range(len(level) - 1):
        if level[t] >= 0 and level[t + 1] >= 0:
            count[level[t], level[t + 1]] += 1
    for q in range(bins):
        leaving = count[q].sum()
        if leaving > 0:
            count[q] /= leaving
    return count


@njit(cache=True, nogil=True)
def _memberships(level: Indices, first: Indices, member: Floats, share: Floats) -> None:
    """Write, for each segment, how its readings spread over the levels, and the share of its steps that were read."""
    segments = len(share)
    member[:] = 0.0
    for s in range(segments):
        end = first[s + 1] if len(first) > segments else first[s] + 1
        seen = 0
        for t in range(first[s], end):
            seen += level[t] >= 0
        share[s] = seen / (end - first[s])
        for t in range(first[s], end):
            if level[t] >= 0:
                member[level[t], s] += np.float32(1 / seen)
