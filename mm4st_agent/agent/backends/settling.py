"""What the person is asked where a question leaves open which quantity it means, or which time ahead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mm4st_agent.agent.backends.channels import named
from mm4st_agent.agent.backends.contrasts import coming_span
from mm4st_agent.agent.backends.placing import BOTH_WAYS, Located, Step, ask, locate, wanted
from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.turns import Turn

_SPANS = ("the next half hour", "the next hour")
"""What every forecaster reaches; the person may name another span."""
_SOME_TIME = re.compile(
    r"\b(?:by then|later on(?!\s+(?:today|this|tonight|in|at|on|tomorrow))|(?:some ?time|a bit) later"
    r"|at some (?:later )?(?:point|time|stage)|some ?time soon|(?:at||by|around) that (?:time|point|hour|moment"
    r"|stage)|on that (?:occasion|day|date)|back then"
    r"|when (?:we|i|they|she|he|it) (?:(?:will|finally) )?(?:arrive|get there|leave|set off|start|finish|pass)\w*"
    r"|when (?:my|our|the|his|her|their) (?:\w+ ){1,2}(?:starts|begins|ends|opens|closes|leaves|arrives))\b",
    re.IGNORECASE,
)
"""A time that only the person knows."""


def settled(turn: Turn, request: Request) -> Request | list[Step] | str:
    """The request with what was left open as the person says it; the question about it; or why no place can be told."""
    if request.task == "forecast" and _leaves_time_open(turn, request):
        said = _answer(turn, "How far ahead do you mean?", _SPANS)
        if not isinstance(said, str):
            return said
        request = replace(request, span=coming_span(said, clock_of(turn.session)))
    if request.task == "status" and request.compared and BOTH_WAYS.search(request.question):
        request = replace(request, task="comparison")
    if request.task not in ("forecast", "status") or not _is_bare_level(turn, request):
        return request
    located = locate(turn, request)
    if not isinstance(located, Located):
        return located
    measured = {name for place in located.places.values() for name in place["channels"]}
    return quantity_asked(turn, request, [c["name"] for c in turn.session.channels if c["name"] in measured])


def quantity_asked(turn: Turn, request: Request, names: Sequence[str]) -> Request | list[Step]:
    """The request about the quantity that the person says is meant; the question where nobody has said it yet."""
    titles = {c["name"]: c["title"] for c in turn.session.channels if c["name"] in names}
    if len(titles) < 2:
        return request
    said = _answer(turn, "Which quantity do you mean?", list(titles.values()))
    if not isinstance(said, str):
        return said
    meant = next((name for name, title in titles.items() if title == said), None)
    meant = meant or named(said, turn.session.channels).channel
    return replace(request, channel=meant, sure=meant is not None)


def _answer(turn: Turn, question: str, choices: Sequence[str]) -> str | list[Step]:
    asked = ask(question, list(choices))
    answer = turn.result(asked[0], **asked[1])
    if answer is None:
        return [asked]
    return "" if answer.error is not None else str(answer.reply["answer"])


def _leaves_time_open(turn: Turn, request: Request) -> bool:
    named_when = request.span.start is not None or request.span.problem is not None
    return (
        not named_when and not turn.earlier and bool(wanted(turn, request)) and bool(_SOME_TIME.search(turn.question))
    )


def _is_bare_level(turn: Turn, request: Request) -> bool:
    """Whether a level without a unit is asked about, where no quantity is named and none was spoken of."""
    level = request.threshold
    return level is not None and level.unit is None and request.channel is None and not turn.earlier
