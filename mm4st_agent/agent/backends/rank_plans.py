"""What the embedded chat model does where all places are ranked: by what was measured, or by their forecasts."""

from __future__ import annotations

from typing import Any

import prompts
from mm4st_agent.agent.backends import channels
from mm4st_agent.agent.backends.placing import Step, channel_everywhere, say
from mm4st_agent.agent.backends.rankings import Ranking
from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.settling import quantity_asked
from mm4st_agent.agent.backends.times import tense_of
from mm4st_agent.agent.backends.turns import Turn
from mm4st_agent.agent.backends.windows import MOST_RANKED_HOURS, moment_ahead, too_far, window


def rank(turn: Turn, request: Request) -> list[Step] | str:
    """Rank the places over a window that was measured, or over a span ahead."""
    side = request.span.side(clock_of(turn.session))
    if side is None and not request.span.now and tense_of(request.question) == "future":
        side = "future"
    asked = request.ranking or Ranking("level", "highest")
    if asked.by == "level" and asked.order is None and request.channel is None and not (request.kind or turn.earlier):
        meant = quantity_asked(turn, request, [channel["name"] for channel in turn.session.channels])
        if not isinstance(meant, Request):
            return meant
        request = meant
    return _forecast(turn, request, asked) if side == "future" else _measured(turn, request, asked)


def _measured(turn: Turn, request: Request, asked: Ranking) -> list[Step] | str:
    span = window(turn, request)
    if span["hours"] > MOST_RANKED_HOURS:
        return say("time", turn, problem="ranking_limit", words="")
    args = {
        **_about(turn, request, asked),
        "by": asked.by,
        **({"until": span["until"]} if "until" in span else {}),
        **({"minutes": round(60 * span["hours"])} if request.span.start is not None else {}),
    }
    return _answered(turn, request, "rank_places", args, "rank")


def _forecast(turn: Turn, request: Request, asked: Ranking) -> list[Step] | str:
    span = moment_ahead(turn, request)
    if too_far(span):
        return say("time", turn, problem="far", words="")
    return _answered(turn, request, "rank_forecasts", {**_about(turn, request, asked), **span}, "rank_forecasts")


def _about(turn: Turn, request: Request, asked: Ranking) -> dict[str, Any]:
    name = channel_everywhere(turn, request)
    channel = next((c for c in turn.session.channels if c["name"] == name), turn.session.channels[0])
    return {
        "dataset": turn.session.dataset,
        "channel": name,
        "order": asked.first(channels.low_is_bad(channel)),
        **({"limit": asked.limit} if asked.limit else {}),
    }


def _answered(turn: Turn, request: Request, tool: str, args: dict[str, Any], template: str) -> list[Step] | str:
    found = turn.result(tool, **args)
    if found is None:
        return [(tool, args)]
    if found.error is not None:
        return say("error", turn, error=found.error)
    text = prompts.load(f"answer_{template}").render(session=turn.session, found=found, asked=request.ranking)
    return "\n\n".join([text, *([say("unread", turn, what=request.unread)] if request.unread else [])])
