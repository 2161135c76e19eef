"""What was known at a moment about how a checkpoint does, worked out once for all who ask at that moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import pandas as pd

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.card import TestErrors
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.earlier import Earlier
from mm4st_agent.forecaster.recent import Widths

Record = tuple[TestErrors, str] | None
"""What was known about earlier forecasts at a moment, and on which of them that rests."""


@dataclass(frozen=True)
class Standing:
    """At the end of a panel.

    Attributes:
        record: See `scoring.track_record`.
        widths: How much wider or narrower than calibrated the intervals are.
        recent: See `scoring.recent_errors`.
    """

    record: Record
    widths: Widths
    recent: TestErrors | None

    @classmethod
    def of(cls, checkpoint: Checkpoint, panel: Panel, earlier: Earlier) -> Standing:
        """Of a checkpoint that fits the panel; `earlier` is of both."""
        from mm4st_agent.forecaster.scoring import recent_errors, track_record

        record = track_record(checkpoint, panel, earlier)
        return cls(record, checkpoint.widths(panel, earlier), recent_errors(checkpoint, panel, earlier))


@dataclass
class _Moment:
    working: threading.Lock = field(default_factory=threading.Lock)
    standing: Standing | None = None


class Standings:
    """Those of the moments that were asked for last.

    Safe to use from several threads: of several that ask for one moment, one works it out and the others wait for it.
    """

    MOST = 64

    def __init__(self) -> None:
        self._earlier = ("", Earlier())  # of the version of the data that was asked about last
        self._moments: OrderedDict[tuple[str, pd.Timestamp], _Moment] = OrderedDict()
        self._looking = threading.Lock()

    def of(self, checkpoint: Checkpoint, panel: Panel) -> Standing:
        """See `Standing.of`; always with the same checkpoint."""
        key = (panel.card.sha256, panel.end)
        with self._looking:
            moment = self._moments.setdefault(key, _Moment())
            self._moments.move_to_end(key)
            if len(self._moments) > self.MOST:
                self._moments.popitem(last=False)
            if self._earlier[0] != panel.card.sha256:
                self._earlier = (panel.card.sha256, Earlier())
            earlier = self._earlier[1]
        with moment.working:
            if moment.standing is None:
                moment.standing = Standing.of(checkpoint, panel, earlier)
            return moment.standing
