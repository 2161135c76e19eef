"""The methods that weigh what to do: one a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mm4st_agent.api.background import awaited
from mm4st_agent.api.calls import Calls

if TYPE_CHECKING:
    from mm4st_agent.api.results import Result
    from tools.assess_hazard import AssessHazardOut, Level
    from tools.plan_capacity import PlanCapacityOut, Statistic
    from tools.plan_route import PlanRouteOut


class Deciding(Calls):
    """Decisions on the forecasts. Places and `channel` are as in `Looking`."""

    def plan_route(
        self, origin: str | int, destination: str | int, *, start_in_min: int = 0, routes: int = 2
    ) -> Result[PlanRouteOut]:
        """Choose the faster of several ways between two stations, with how long each will take.

        Args:
            origin: The station where the trip begins.
            destination: The station where it ends.
            start_in_min: When it begins, in minutes after the clock.
            routes: How many ways are compared, 2 to 5, where there are so many.
        """
        return self._run("plan_route", origin=origin, destination=destination, start_in_min=start_in_min, routes=routes)

    def plan_capacity(
        self,
        node: str | int,
        latency_ms: float,
        *,
        statistic: Statistic = "p95",
        service_ms: float = 50.0,
        quantile: Literal[50, 75, 90] = 90,
        channel: str | None = None,
        horizon_min: int = 60,
        start_in_min: int = 0,
    ) -> Result[PlanCapacityOut]:
        """Say how many replicas keep a cloud service below a latency over the coming minutes.

        Args:
            node: The service.
            latency_ms: The latency to stay below, in milliseconds.
            statistic: What of the latency: its mean, or what 95 or 99 % stay below.
            service_ms: Mean time that a replica works on one request, in milliseconds.
            quantile: The quantile of the load that is planned for, in %.
            channel: Which load; None is the service's requests.
            horizon_min: Length of the span in minutes.
            start_in_min: When it begins, in minutes after the clock.
        """
        return self._run(
            "plan_capacity",
            node=node,
            latency_ms=latency_ms,
            statistic=statistic,
            service_ms=service_ms,
            quantile=quantile,
            channel=channel,
            horizon_min=horizon_min,
            start_in_min=start_in_min,
        )

    def assess_hazard(
        self,
        node: str | int | None = None,
        *,
        horizon_min: int = 360,
        start_in_min: int = 0,
        threshold_mm: float | None = None,
        level: Level = "yellow",
        cost_loss: float = 0.2,
    ) -> Result[AssessHazardOut]:
        """Say whether to warn of rain: the chance that it adds up to a threshold, against what a warning costs.

        Args:
            node: Where the rain is measured; None where it is of the whole area.
            horizon_min: How long a span the rain is added up over, in minutes.
            start_in_min: When that begins, in minutes after the clock; below 0 counts what has fallen since then.
            threshold_mm: Rain in mm that is too much; None takes a weather service's warning level.
            level: That level.
            cost_loss: What a warning costs as a share of the loss that it saves.
        """
        return self._run(
            "assess_hazard",
            node=node,
            horizon_min=horizon_min,
            start_in_min=start_in_min,
            threshold_mm=threshold_mm,
            level=level,
            cost_loss=cost_loss,
        )

    aplan_route = awaited(plan_route)
    aplan_capacity = awaited(plan_capacity)
    aassess_hazard = awaited(assess_hazard)
