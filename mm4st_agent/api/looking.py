"""The methods that look at what is known: one a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mm4st_agent.api.background import awaited
from mm4st_agent.api.calls import Calls, Moment

if TYPE_CHECKING:
    from mm4st_agent.api.results import Result
    from tools.check_quality import CheckQualityOut
    from tools.compare_series import CompareSeriesOut
    from tools.describe_dataset import DescribeDatasetOut
    from tools.detect_patterns import DetectPatternsOut
    from tools.find_places import FindPlacesOut
    from tools.query_series import QuerySeriesOut
    from tools.rank_places import RankPlacesOut
    from tools.render_map import RenderMapOut
    from tools.render_series import RenderSeriesOut
    from tools.retrieve_context import RetrieveContextOut

Direction = Literal["north", "south", "east", "west", "upstream", "downstream"]
Drawing = Literal[
    "auto", "line", "heatmap", "multiples", "uvh", "stft", "cwt", "filterbank", "gasf", "gadf", "mtf", "rp"
]


class Looking(Calls):
    """Places, readings, pictures and texts up to the clock.

    A place is an id, or words that name one place: `"1205330"`, `1205330`, `"Harbour Bridge"`. `channel` is a
    quantity such as `"flow"`; None is the first that the place measures, or the data set's main one. `until` ends a
    window before the clock; None is the clock.
    """

    def describe(self) -> Result[DescribeDatasetOut]:
        """Say what the data set holds; the tables are `channels` and `kinds`, among others."""
        return self._run("describe_dataset")

    def find_places(
        self,
        query: str | None = None,
        *,
        beside: str | int | None = None,
        direction: Direction | None = None,
        kind: str | None = None,
        channel: str | None = None,
        limit: int = 5,
    ) -> Result[FindPlacesOut]:
        """Find the places that words mean, or those beside a place.

        Args:
            query: Such as "1205330" or "SR 57 southbound".
            beside: The place whose neighbours are wanted.
            direction: Where they lie, seen from `beside`; None is anywhere.
            kind: Only places of this kind, such as "air station".
            channel: Only places that measure this.
            limit: At most so many, 1 to 20.
        """
        return self._run(
            "find_places", query=query, beside=beside, direction=direction, kind=kind, channel=channel, limit=limit
        )

    def query(
        self, node: str | int, *, channel: str | None = None, hours: float = 24, until: Moment | None = None
    ) -> Result[QuerySeriesOut]:
        """Latest reading, range, usual level and trend of one place; the readings themselves: `readings`.

        Args:
            node: The place.
            channel: The quantity.
            hours: How far back to look.
            until: Where the window ends.
        """
        return self._run("query_series", node=node, channel=channel, hours=hours, until=until)

    def rank_places(
        self,
        channel: str | None = None,
        *,
        by: Literal["level", "usual", "change"] = "level",
        order: Literal["highest", "lowest"] = "highest",
        window_min: int = 30,
        limit: int = 5,
        until: Moment | None = None,
    ) -> Result[RankPlacesOut]:
        """Rank all places that measure a quantity.

        Args:
            channel: The quantity.
            by: The mean of the window, that as a share of the usual one, or its change from the window before it.
            order: Which end comes first.
            window_min: Length of the window in minutes.
            limit: How many places, 1 to 20.
            until: Where the window ends.
        """
        return self._run(
            "rank_places", channel=channel, by=by, order=order, window_min=window_min, limit=limit, until=until
        )

    def check_quality(
        self,
        node: str | int | None = None,
        *,
        channel: str | None = None,
        hours: float = 24,
        until: Moment | None = None,
    ) -> Result[CheckQualityOut]:
        """Say how far recent readings can be trusted: missing, imputed, stuck or implausible ones.

        Args:
            node: The place; None is all of them.
            channel: The quantity.
            hours: How far back to look.
            until: Where the window ends.
        """
        return self._run("check_quality", node=node, channel=channel, hours=hours, until=until)

    def compare(
        self,
        node: str | int,
        other: str | int | None = None,
        *,
        channel: str | None = None,
        hours: float = 24,
        until: Moment | None = None,
        back_days: float = 7,
    ) -> Result[CompareSeriesOut]:
        """Set two places side by side over the same hours, or one place against itself at another time.

        Args:
            node: The first place.
            other: The second place; None compares two windows of the first.
            channel: The quantity.
            hours: Length of the windows.
            until: Where the later window ends.
            back_days: How much earlier the other window lies, where no second place is given.
        """
        return self._run(
            "compare_series",
            node=node,
            other=other,
            channel=channel,
            hours=hours,
            until=until,
            back_days=back_days,
        )

    def detect_patterns(
        self,
        node: str | int,
        other: str | int | None = None,
        *,
        channel: str | None = None,
        hours: float = 168,
        until: Moment | None = None,
    ) -> Result[DetectPatternsOut]:
        """Measure trend, cycles, level changes, anomalies and noise, and whether another place follows.

        Args:
            node: The place.
            other: A second place, to measure whether and when it follows `node`.
            channel: The quantity.
            hours: Length of the window; a cycle is found when it holds three of them.
            until: Where the window ends.
        """
        return self._run("detect_patterns", node=node, other=other, channel=channel, hours=hours, until=until)

    def render(
        self,
        node: str | int | None = None,
        *,
        method: Drawing = "line",
        channel: str | None = None,
        hours: float = 24,
        until: Moment | None = None,
    ) -> Result[RenderSeriesOut]:
        """Draw the latest readings; the picture is in `pictures`, and a notebook shows it.

        Args:
            node: The place; None, for "heatmap" and "auto", is all of them.
            method: How to draw; "auto" is what the readings suggest.
            channel: The quantity.
            hours: How many hours to draw.
            until: Where the window ends.
        """
        return self._run("render_series", node=node, method=method, channel=channel, hours=hours, until=until)

    def render_map(
        self,
        channel: str | None = None,
        *,
        show: Literal["level", "change", "forecast_change"] = "level",
        window_min: int = 30,
        highlight: str | int | None = None,
        until: Moment | None = None,
    ) -> Result[RenderMapOut]:
        """Draw all places on a map, coloured by level or by change.

        Args:
            channel: The quantity.
            show: The mean of the window, its change from the window before it, or that to the forecast after it.
            window_min: Length of the window in minutes.
            highlight: A place to ring and name.
            until: Where the window ends.
        """
        return self._run(
            "render_map", channel=channel, show=show, window_min=window_min, highlight=highlight, until=until
        )

    def retrieve(
        self,
        query: str,
        *,
        node: str | int | None = None,
        hops: int = 2,
        hours: float = 24,
        until: Moment | None = None,
        kind: Literal["any", "event", "note"] = "any",
        limit: int = 5,
    ) -> Result[RetrieveContextOut]:
        """Find logged events and domain notes that can explain what the data show; the tables are `events`, `notes`.

        Args:
            query: What to look for, such as "collision blocking lanes".
            node: Only events at this place or within `hops` of it.
            hops: How many edges away an event may be.
            hours: Only events that began, ran or ended in so many hours before `until`.
            until: Where the window ends; None adds what is announced for the next 24 hours.
            kind: Which kind of text to search.
            limit: At most so many events, and at most so many notes.
        """
        return self._run(
            "retrieve_context", query=query, node=node, hops=hops, hours=hours, until=until, kind=kind, limit=limit
        )

    adescribe = awaited(describe)
    afind_places = awaited(find_places)
    aquery = awaited(query)
    arank_places = awaited(rank_places)
    acheck_quality = awaited(check_quality)
    acompare = awaited(compare)
    adetect_patterns = awaited(detect_patterns)
    arender = awaited(render)
    arender_map = awaited(render_map)
    aretrieve = awaited(retrieve)
