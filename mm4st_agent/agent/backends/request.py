"""What one question asks for: a task, places, a time, quantities. The plans turn it into tool calls and text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from mm4st_agent.agent.backends.contrasts import Contrast
from mm4st_agent.agent.backends.looks import Look
from mm4st_agent.agent.backends.premises import Premise
from mm4st_agent.agent.backends.probes import Probe
from mm4st_agent.agent.backends.rankings import Ranking
from mm4st_agent.agent.backends.suppositions import Change
from mm4st_agent.agent.backends.tasks import Task
from mm4st_agent.agent.backends.thresholds import Threshold
from mm4st_agent.agent.backends.times import Span
from mm4st_agent.agent.backends.unknowables import Unknowable
from mm4st_agent.agent.chat import Session

AND_WHY = re.compile(
    r"(?:\band|\bplus|,)\s+(?:please\s+)?(?:(?:tell|say|explain)(?: (?:me|us))?\s+)?(?:why|how come|for what reason)\b"
    r"(?:\s+(?:is|that|so|it|please))*\W*$"
    r"|(?:\band|\bplus|\bwith|,)\s+(?:the\s+|your\s+)?(?:reasons?|drivers?|explanation|grounds)"
    r"(?:\s+(?:for|behind|of)\s+(?:it|that|this|them))?(?:\s+please)?\W*$",
    re.IGNORECASE,
)
"""Asks for reasons behind another question: ", and why?", "with the reasons for it"."""
Direction = Literal["north", "south", "east", "west", "upstream", "downstream", "near"]


OTHER_QUANTITY = "another quantity"
"""Stands for the name of a quantity that the data do not have, where no word for it is known."""


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        question: The words that set the task, with typing errors mended.
        task: What is to be done.
        span: The time that is meant; of a ranking, one that lies ahead asks for forecasts of all places.
        places: Words or ids that find_places gets; empty when none is named.
        weak: The words of `places` are a guess; where nothing fits, they name no place.
        nodes: The places that the thread spoke of last; they stand in where none is named.
        identified: Those of `places` that are ids or quoted; what they name is meant, whatever it measures.
        direction: Not these places are meant, but the next one in this direction from each; 'near' is any direction.
        kind: The kind of place that is named, such as 'air station'.
        channel: The quantity; None is the first that the place measures.
        sure: The question names this quantity; else it was only hinted at, or comes from an earlier question.
        ranking: How all places are ranked.
        look: The picture or the pattern that is named.
        contrast: The two windows that are compared.
        unmeasured: A quantity that is named and that the data do not have.
        unknowable: Why no data of this kind can tell what is asked.
        premise: What the question takes for granted of the readings.
        general: It asks how something is in general.
        sureness: How sure the forecast is, is the point.
        why: What moves the forecast is asked along with it.
        probe: What is asked of the forecaster itself.
        changes: What is supposed to be otherwise, all of it at once.
        compare: Several places are to be compared.
        compared: Words say so; else several places are only named.
        unread: Several of these are named, and only the first is answered.
        threshold: A level that is asked about ("will it fall below 40 km/h?"), of a forecast or of what was measured.
        count: How many earlier moments like now are asked for.
        lead_minutes: How far ahead those forecasts reached whose errors are asked for ("half-hour-ahead").
        continued: It answers the same question as the request before it, of another quantity or time.
    """

    question: str
    task: Task
    span: Span
    places: tuple[str, ...] = ()
    weak: bool = False
    nodes: tuple[str, ...] = ()
    identified: frozenset[str] = frozenset()
    direction: Direction | None = None
    kind: str | None = None
    channel: str | None = None
    sure: bool = False
    ranking: Ranking | None = None
    look: Look = field(default_factory=Look)
    contrast: Contrast | None = None
    unmeasured: str | None = None
    unknowable: Unknowable | None = None
    premise: Premise | None = None
    general: bool = False
    sureness: bool = False
    why: bool = False
    probe: Probe = field(default_factory=Probe)
    changes: tuple[Change, ...] = ()
    compare: bool = False
    compared: bool = False
    unread: Literal["times", "quantities"] | None = None
    threshold: Threshold | None = None
    count: int | None = None
    lead_minutes: int | None = None
    continued: bool = False

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its task, and that of a why behind it: "how many will it be, and why?"."""
        return (self.task, "explanation") if self.task == "forecast" and AND_WHY.search(self.question) else (self.task,)


def clock_of(session: Session) -> datetime:
    """The clock in the data's own zone, so that days with a clock change are right."""
    return datetime.fromisoformat(session.as_of).astimezone(ZoneInfo(session.time_zone))
