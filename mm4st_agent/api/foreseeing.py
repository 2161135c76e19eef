"""The methods that look ahead, and say how far that can be trusted: one a tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mm4st_agent.api.background import awaited
from mm4st_agent.api.calls import Calls

if TYPE_CHECKING:
    from mm4st_agent.api.results import Result
    from tools.backtest import BacktestOut
    from tools.changes import Change
    from tools.explain_forecast import ExplainForecastOut
    from tools.find_analogs import FindAnalogsOut
    from tools.forecast import ForecastOut
    from tools.rank_forecasts import RankForecastsOut
    from tools.what_if import WhatIfOut


class Foreseeing(Calls):
    """Forecasts from what was known at the clock. Places and `channel` are as in `Looking`."""

    def forecast(
        self, node: str | int, *, horizon_min: int = 60, start_in_min: int = 0, channel: str | None = None
    ) -> Result[ForecastOut]:
        """Forecast one place: median, 80 % interval and total of the coming minutes, beside a baseline.

        Args:
            node: The place.
            horizon_min: Length of the span in minutes.
            start_in_min: When it begins, in minutes after the clock.
            channel: The quantity.
        """
        return self._run("forecast", node=node, horizon_min=horizon_min, start_in_min=start_in_min, channel=channel)

    def rank_forecasts(
        self,
        channel: str | None = None,
        *,
        order: Literal["highest", "lowest"] = "highest",
        horizon_min: int = 60,
        start_in_min: int = 0,
        limit: int = 5,
    ) -> Result[RankForecastsOut]:
        """Rank all places by their forecast: which will be highest or lowest on average over a span ahead.

        Args:
            channel: The quantity.
            order: Which end comes first.
            horizon_min: Length of the span in minutes.
            start_in_min: When it begins, in minutes after the clock.
            limit: How many places, 1 to 20.
        """
        return self._run(
            "rank_forecasts",
            channel=channel,
            order=order,
            horizon_min=horizon_min,
            start_in_min=start_in_min,
            limit=limit,
        )

    def find_analogs(
        self, node: str | int, *, k: int = 5, horizon_min: int = 60, channel: str | None = None
    ) -> Result[FindAnalogsOut]:
        """Find the past moments at one place that were most like now, and what came then.

        Args:
            node: The place.
            k: How many moments, 1 to 12.
            horizon_min: How long a span after each moment is told, in minutes.
            channel: The quantity.
        """
        return self._run("find_analogs", node=node, k=k, horizon_min=horizon_min, channel=channel)

    def what_if(
        self,
        node: str | int,
        changes: Sequence[Change | Mapping[str, Any]],
        *,
        horizon_min: int = 60,
        channel: str | None = None,
    ) -> Result[WhatIfOut]:
        """Forecast one place as if something were otherwise, and tell the difference.

        Args:
            node: The place that is forecast.
            changes: What is otherwise, all at once, such as `{"kind": "remove_event", "event": "..."}`,
                `{"kind": "add_event", "node": "S038", "text": "..."}`, `{"kind": "set_covariate", "name": "rain_mm_h",
                "value": 5}`, `{"kind": "remove_sensor", "node": "S038"}` or
                `{"kind": "remove_road", "source": "S038", "target": "S039"}`.
            horizon_min: How far ahead, in minutes.
            channel: The quantity.
        """
        return self._run("what_if", node=node, changes=changes, horizon_min=horizon_min, channel=channel)

    def explain(
        self, node: str | int, *, horizon_min: int = 60, start_in_min: int = 0, channel: str | None = None
    ) -> Result[ExplainForecastOut]:
        """Say which inputs moved the forecast of one place, and test that by removing them.

        Args:
            node: The place.
            horizon_min: Length of the span in minutes.
            start_in_min: When it begins, in minutes after the clock.
            channel: The quantity.
        """
        return self._run(
            "explain_forecast", node=node, horizon_min=horizon_min, start_in_min=start_in_min, channel=channel
        )

    def backtest(
        self,
        node: str | int | None = None,
        *,
        horizon_min: int = 60,
        days: float = 7,
        channel: str | None = None,
    ) -> Result[BacktestOut]:
        """Say how good the forecasts of the last days were, beside baselines; the tables are `rows`, `by_horizon`.

        Args:
            node: The place; None is all of them.
            horizon_min: How far ahead the forecasts were, in minutes.
            days: How many days before the clock.
            channel: The quantity.
        """
        return self._run("backtest", node=node, horizon_min=horizon_min, days=days, channel=channel)

    aforecast = awaited(forecast)
    arank_forecasts = awaited(rank_forecasts)
    afind_analogs = awaited(find_analogs)
    awhat_if = awaited(what_if)
    aexplain = awaited(explain)
    abacktest = awaited(backtest)
