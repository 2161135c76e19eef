"""`Spool`: records sorted into buckets by way of a temporary file, so that their order in a file does not matter."""

from __future__ import annotations

import tempfile
import weakref
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

MEMORY_BYTES = 64 * 2**20
"""Below this, nothing is written to disk."""


class Spool:
    """Records by bucket, in the order in which they came.

    The file has no name on disk where the system allows it, so that nothing stays behind, even when killed.

    Args:
        dtype: Of a record.
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self.dtype = dtype
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115
        self._parts: dict[int, list[tuple[int, int]]] = defaultdict(list)
        weakref.finalize(self, self._file.close)

    def add(self, buckets: NDArray[np.int64], records: NDArray[np.void]) -> None:
        """Append `(n,)` records, each to its bucket."""
        order = np.argsort(buckets, kind="stable")
        ordered = buckets[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.array([], dtype=int)
        end = self._file.seek(0, 2)
        self._file.write(records[order].tobytes())
        for start, stop in zip(starts, [*starts[1:], len(ordered)], strict=True):
            self._parts[int(ordered[start])].append((end + int(start) * self.dtype.itemsize, int(stop - start)))

    @property
    def buckets(self) -> list[int]:
        """The buckets that hold a record, in order."""
        return sorted(self._parts)

    def size(self, bucket: int) -> int:
        """How many records a bucket holds."""
        return sum(count for _, count in self._parts.get(bucket, ()))

    def read(self, bucket: int) -> NDArray[np.void]:
        """The records of a bucket."""
        found = np.empty(self.size(bucket), dtype=self.dtype)
        done = 0
        for offset, count in self._parts.get(bucket, ()):
            self._file.seek(offset)
            data = self._file.read(count * self.dtype.itemsize)
            found[done : done + count] = np.frombuffer(data, dtype=self.dtype)
            done += count
        return found
