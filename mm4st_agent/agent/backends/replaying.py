"""What is left to do for each request of a turn, where one message may hold several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.plans import plan
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.turns import Result, Turn
from mm4st_agent.agent.clarify import CLARIFY


def next_steps(turn: Turn, requests: Sequence[Request]) -> list[Step] | str:
    """The calls that the requests still need, the same one once, or their texts, one below the other.

    What the person is asked goes alone, as nothing else can be done until the answer is there.
    """
    said = [_next(turn, request) for request in requests]
    calls = [call for one in said if not isinstance(one, str) for call in one]
    asked = [call for call in calls if call[0] == CLARIFY]
    if asked:
        return asked[:1]
    if calls:
        return [call for n, call in enumerate(calls) if call not in calls[:n]]
    return "\n\n".join(dict.fromkeys(one for one in said if isinstance(one, str)))


def _next(turn: Turn, request: Request) -> list[Step] | str:
    """Plan from the start, with the replies to its own calls only: another request may have used the same tools."""
    own = replace(turn, results=[])
    while True:
        said = plan(own, request)
        if isinstance(said, str):
            return said
        replies = [_reply(turn, call) for call in said]
        new = [reply for reply in replies if reply is not None and reply not in own.results]
        if not new or None in replies:
            return [call for call, reply in zip(said, replies, strict=True) if reply is None] or said
        own = replace(own, results=[*own.results, *new])


def _reply(turn: Turn, call: Step) -> Result | None:
    return next((result for result in turn.results if (result.tool, result.args) == call), None)
