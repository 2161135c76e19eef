"""Rows of a source -> blocks of an even time grid: sorted, missing codes blank, repeated readings resolved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import BLOCK_BYTES, Source
from mm4st_agent.data.importing.options import Duplicates
from mm4st_agent.data.importing.spool import Spool
from mm4st_agent.errors import DataError

Dense = dict[str, NDArray[np.float32]]
Codes = Mapping[str, tuple[float, ...]]
"""By channel, the numbers that mean 'no reading'."""

_LARGEST = np.float64(np.finfo(np.float32).max)


@dataclasses.dataclass(slots=True)
class Repeats:
    """Readings that another row has for the same node and step.

    Attributes:
        cells: How many.
        differing: How many of them are not equal.
        example: In words: two rows that differ, or that are equal where none do.
    """

    cells: int = 0
    differing: int = 0
    example: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Piece:
    """Rows `(r,)` of the source in order: their steps, positions in the source, and `(C, r, N)` readings."""

    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Regrid:
    """A source on a time grid.

    Attributes:
        source: The rows.
        cells: `(R,)` the step of each row; negative for a row that is dropped.
        length: Number of steps.
        rule: Which of several readings of a node and step counts.
        names: The entries of the source's blocks to read.
    """

    source: Source
    cells: NDArray[np.int64]
    length: int
    rule: Duplicates
    names: tuple[str, ...]

    def blocks(self, codes: Codes, repeats: Repeats | None = None) -> Iterator[tuple[int, Dense]]:
        """A fresh pass: pairs of the first step and `(t, N)` readings by name; NaN is missing.

        Args:
            codes: What becomes NaN before anything else is done with it.
            repeats: Filled in where given.

        Raises:
            DataError: a reading is infinite or too large, or readings repeat and the rule refuses that.
        """
        width = max(len(self.source.node_ids), 1)
        size = max(1, BLOCK_BYTES // (4 * width))
        for bucket, pieces in self._buckets(codes, size):
            start = bucket * size
            found = self._merged(pieces, start, min(size, self.length - start), repeats)
            yield start, dict(zip(self.names, found, strict=True))

    def _buckets(self, codes: Codes, size: int) -> Iterator[tuple[int, list[_Piece]]]:
        kept = self.cells[self.cells >= 0]
        if (np.diff(kept) >= 0).all():
            yield from self._in_order(codes, size)
        else:
            yield from self._sorted(codes, size)

    def _in_order(self, codes: Codes, size: int) -> Iterator[tuple[int, list[_Piece]]]:
        held: list[_Piece] = []
        current = 0
        for piece in self._pieces(codes):
            buckets = piece.cells // size
            for bucket in np.unique(buckets):
                if held and bucket != current:
                    yield current, held
                    held = []
                here = buckets == bucket
                whole = here.all()
                held.append(piece if whole else _Piece(piece.cells[here], piece.rows[here], piece.values[:, here]))
                current = int(bucket)
        if held:
            yield current, held

    def _sorted(self, codes: Codes, size: int) -> Iterator[tuple[int, list[_Piece]]]:
        shape = (len(self.names), len(self.source.node_ids))
        spool = Spool(np.dtype([("cell", "<i8"), ("row", "<i8"), ("values", "<f4", shape)]))
        for piece in self._pieces(codes):
            records = np.empty(len(piece.cells), dtype=spool.dtype)
            records["cell"], records["row"] = piece.cells, piece.rows
            records["values"] = piece.values.transpose(1, 0, 2)
            spool.add(piece.cells // size, records)
        for bucket in spool.buckets:
            records = spool.read(bucket)
            yield bucket, [_Piece(records["cell"], records["row"], records["values"].transpose(1, 0, 2))]

    def _pieces(self, codes: Codes) -> Iterator[_Piece]:
        done = 0
        for block in self.source.blocks():
            count = len(next(iter(block.values())))
            cells = self.cells[done : done + count]
            if len(cells) < count:
                raise DataError(f"{self.source.path} changed while it was read.", "Import it again.")
            kept = cells >= 0
            rows = np.arange(done, done + count)
            values = np.empty((len(self.names), count, len(self.source.node_ids)), dtype=np.float32)
            for i, name in enumerate(self.names):
                values[i] = self._single(name, block[name], done, codes.get(name, ()))
            done += count
            if not kept.all():
                cells, rows, values = cells[kept], rows[kept], values[:, kept]
            if len(cells):
                yield _Piece(cells, rows, values)
        if done < len(self.cells):
            raise DataError(f"{self.source.path} changed while it was read.", "Import it again.")

    def _single(
        self, name: str, values: NDArray[np.floating], done: int, codes: tuple[float, ...]
    ) -> NDArray[np.float32]:
        """The readings with 32 bits, codes blank."""
        for code in codes:
            values = np.where(values == values.dtype.type(code), np.nan, values)
        with np.errstate(over="ignore", invalid="ignore"):
            single = np.asarray(values, dtype=np.float32)
            wrong = np.isinf(single).any()
        if wrong:
            row, node = np.argwhere(np.isinf(single))[0]
            value = values[row, node]
            what = "is not finite" if np.isinf(value) else "is too large: readings are stored with 32 bits"
            raise DataError(
                f"{self.source.path}, row {self.label(done + row)}, {self.source.node_ids[node]!r}: the {name} "
                f"{value:g} {what}.",
                "Leave missing readings empty; if this number means 'no reading', state it with missing.",
            )
        return single

    def _merged(
        self, pieces: list[_Piece], start: int, size: int, repeats: Repeats | None
    ) -> list[NDArray[np.float32]]:
        found = [np.full((size, len(self.source.node_ids)), np.nan, dtype=np.float32) for _ in self.names]
        cells = np.concatenate([piece.cells for piece in pieces]) - start
        if len(np.unique(cells)) == len(cells):
            for piece in pieces:
                for target, values in zip(found, piece.values, strict=True):
                    target[piece.cells - start] = values
            return found
        rows = np.concatenate([piece.rows for piece in pieces])
        values = np.concatenate([piece.values for piece in pieces], axis=1)
        # Rows of the file in layers: the first of each step, the second, ...
        layer = pd.Series(cells).groupby(cells).cumcount().to_numpy()
        latest = np.full((size,), -1)
        sums = [target.astype(np.float64) for target in found] if self.rule == "mean" else []
        counts = [np.zeros(target.shape) for target in found] if self.rule == "mean" else []
        for depth in range(int(layer.max()) + 1):
            here = np.flatnonzero(layer == depth)
            at = cells[here]
            for c, target in enumerate(found):
                new, old = values[c, here], target[at]
                both = np.isfinite(new) & np.isfinite(old)
                differ = both & (new != old)
                if both.any():
                    self._note(repeats, both, differ, rows[here], rows[np.maximum(latest[at], 0)], c)
                take = np.isfinite(new) if self.rule != "first" else np.isfinite(new) & ~np.isfinite(old)
                if self.rule == "mean":
                    fresh = np.isfinite(new) & ~(both & ~differ)
                    sums[c][at] = np.where(fresh, np.nan_to_num(sums[c][at]) + np.nan_to_num(new), sums[c][at])
                    counts[c][at] += fresh
                target[at] = np.where(take, new, old)
            latest[at] = here
        if self.rule == "mean":
            for c, target in enumerate(found):
                several = counts[c] > 1
                target[several] = (sums[c][several] / counts[c][several]).astype(np.float32)
        return found

    def _note(
        self,
        repeats: Repeats | None,
        both: NDArray[np.bool_],
        differ: NDArray[np.bool_],
        rows: NDArray[np.int64],
        earlier: NDArray[np.int64],
        channel: int,
    ) -> None:
        which = differ if differ.any() else both
        row, node = np.argwhere(which)[0]
        first, second = sorted((self.label(int(earlier[row])), self.label(int(rows[row]))), key=str)
        words = f"rows {first}, {second} ({self.names[channel]} of {self.source.node_ids[node]!r})"
        if differ.any() and self.rule == "refuse":
            raise DataError(
                f"{self.source.path}, {words}: two readings for the same node and time step.",
                "Keep one row for each, or say which counts with duplicates: last, first or mean.",
            )
        if repeats is None:
            return
        if not repeats.example or (differ.any() and not repeats.differing):
            repeats.example = words
        repeats.cells += int(both.sum())
        repeats.differing += int(differ.sum())

    def label(self, row: int) -> object:
        """What a person would look for: the row number in the file."""
        stamps = self.source.stamps
        return row + 1 if stamps is None else stamps.index[row]
