"""What a network said from earlier moments, kept for the next moment from which somebody looks back on it."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.forecaster.calibration import Array
from mm4st_agent.forecaster.config import QUANTILES
from mm4st_agent.forecaster.recent import Intervals


class Earlier:
    """The uncalibrated quantiles of some windows, for one checkpoint and one version of its data.

    A forecast reads nothing that lies at its origin or after it, so that it is the same from wherever it is looked
    back on. Safe to use from several threads.
    """

    MOST_BYTES = 2**24

    def __init__(self) -> None:
        self._said: OrderedDict[int, Array] = OrderedDict()
        self._looking = threading.Lock()

    def remembered(self, intervals: Intervals, times: pd.DatetimeIndex) -> Intervals:
        """The same intervals, for which the network runs only on windows that are new.

        Args:
            intervals: Of the series at `times` `(T,)`.
            times: Evenly spaced.
        """
        start, step = times[0].value, (times[1] - times[0]).value
        window_bytes = intervals.horizon * intervals.observed.shape[1] * len(QUANTILES) * np.float32().itemsize

        def pieces(origins: NDArray[np.intp]) -> Iterator[Array]:
            if len(origins) * window_bytes > self.MOST_BYTES:
                yield from intervals.pieces(origins)
                return
            moments = [start + int(origin) * step for origin in origins]
            with self._looking:
                said = {moment: self._said[moment] for moment in moments if moment in self._said}
            new = [position for position, moment in enumerate(moments) if moment not in said]
            if new:
                fresh = np.concatenate(list(intervals.pieces(origins[new])))
                said |= {moments[position]: quantiles.copy() for position, quantiles in zip(new, fresh, strict=True)}
                self._keep(said, self.MOST_BYTES // window_bytes)
            yield np.stack([said[moment] for moment in moments])

        return dataclasses.replace(intervals, pieces=pieces)

    def _keep(self, said: dict[int, Array], most: int) -> None:
        with self._looking:
            for moment, quantiles in said.items():
                self._said[moment] = quantiles
                self._said.move_to_end(moment)
            while len(self._said) > most:
                self._said.popitem(last=False)
