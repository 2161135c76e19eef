"""The same question at past moments: a backtest of the agent's answers."""

from __future__ import annotations

import asyncio
import statistics
import uuid
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from eval.replay.again import Report
from eval.replay.truth import ForecastScore, Truth
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.manifest import NO_TOOLS, Manifest
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, MM4STError, ServerError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import ChatModelName


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Moment(_Part):
    """The question asked at one past moment.

    Attributes:
        status: `refused`: an answer without any evidence of a tool; `failed`: none at all, `error` says why.
        seconds: From question to answer; None where there was none.
        manifest: Of this answer.
    """

    as_of: str
    status: Literal["answered", "refused", "failed"]
    error: str | None = None
    forecasts: list[ForecastScore] = []
    claims: int = 0
    verified: int = 0
    seconds: float | None = None
    manifest: str | None = None


class Score(_Part):
    """All forecasts of one channel, in its unit; None is undefined.

    Attributes:
        truths: Forecast steps that were measured later.
        baseline: In words; None where it was not the same at all moments.
        coverage80: % of the truths inside the 80 % interval of their step.
        total_coverage80: % of the spans whose total or mean lay inside its interval.
        in_sample: Forecasts from before the end of what the model was trained and tuned on.
    """

    channel: str
    unit: str
    forecasts: int
    truths: int
    mae: float | None
    baseline_mae: float | None
    baseline: str | None
    coverage80: float | None
    totals: int
    total_coverage80: float | None
    in_sample: int


class Rolled(_Part):
    """The `replay --as-of --json` contract.

    Attributes:
        verified_share: % of the claims that the ledger supports.
        seconds: Median of an answer.
    """

    manifest: str
    question: str
    dataset: str
    chat_model: str
    moments: list[Moment]
    scores: list[Score]
    answered: int
    refused: int
    failed: int
    claims: int
    verified_share: float | None
    seconds: float | None
    picture: str | None = None


def roll(
    manifest: Manifest,
    name: str,
    runtime: Runtime,
    panel: Panel,
    when: pd.DatetimeIndex,
    chat_model: ChatModelName,
    report: Report,
) -> Rolled:
    """Let the whole agent answer at each moment, and look up what came.

    Each moment is a thread of its own, in which the person says again all that led to the answer.

    Args:
        manifest: Whose question it is.
        name: Of its file, for the report.
        runtime: Answers.
        panel: The whole data set.
        when: Clocks, oldest first.
        chat_model: Which one answers.
        report: Told before each moment.

    Raises:
        ServerError: the chat model's server was not there from the start.
        DataError: the data set is broken.
    """
    truth, run = Truth(panel), uuid.uuid4().hex[:8]
    done: list[Moment] = []
    model: str = chat_model

    async def all_moments() -> None:
        nonlocal model
        for position, moment in enumerate(when):
            report(position, len(when))
            clock = moment.isoformat(timespec="minutes")
            try:
                answer = await _ask(manifest, runtime, clock, chat_model, f"replay-{run}-{position + 1}")
            except DataError:
                raise
            except MM4STError as err:
                if isinstance(err, ServerError) and not done:
                    raise
                done.append(Moment(as_of=clock, status="failed", error=str(err)))
            else:
                model = answer.chat_model
                done.append(_moment(clock, answer, truth))

    asyncio.run(all_moments())
    scores = [score for moment in done for score in moment.forecasts]
    claims = sum(moment.claims for moment in done)
    taken = [moment.seconds for moment in done if moment.seconds is not None]
    return Rolled(
        manifest=name,
        question=manifest.answer.question,
        dataset=panel.name,
        chat_model=model,
        moments=done,
        scores=[
            _score([s for s in scores if (s.channel, s.unit) == kind])
            for kind in dict.fromkeys((s.channel, s.unit) for s in scores)
        ],
        **{status: sum(m.status == status for m in done) for status in ("answered", "refused", "failed")},
        claims=claims,
        verified_share=_share(sum(moment.verified for moment in done), claims),
        seconds=statistics.median(taken) if taken else None,
    )


async def _ask(manifest: Manifest, runtime: Runtime, clock: str, chat_model: ChatModelName, thread: str) -> Answer:
    options: dict[str, Any] = {
        "dataset": manifest.answer.dataset, "as_of": clock, "chat_model": chat_model, "thread": thread,
    }  # fmt: skip
    first, *others = manifest.said
    answer = await runtime.ask(first.text, **options)
    for said in others:
        if answer.choices or not said.reply:  # at this moment nothing may have been unclear
            answer = await runtime.ask(said.text, **options)
    return answer


def _moment(clock: str, answer: Answer, truth: Truth) -> Moment:
    found = [entry for entry in answer.evidence if entry.tool not in NO_TOOLS and entry.error is None]
    return Moment(
        as_of=clock,
        status="answered" if found else "refused",
        forecasts=truth.score(found),
        claims=len(answer.claims),
        verified=sum(claim.status == "verified" for claim in answer.claims),
        seconds=answer.seconds,
        manifest=answer.manifest,
    )


def _score(forecasts: Sequence[ForecastScore]) -> Score:
    truths = sum(f.truths for f in forecasts)
    held = [
        f.total.low <= f.total.truth <= f.total.high
        for f in forecasts
        if f.total.truth is not None and f.total.low is not None and f.total.high is not None
    ]
    names = {f.baseline_name for f in forecasts}
    return Score(
        channel=forecasts[0].channel,
        unit=forecasts[0].unit,
        forecasts=len(forecasts),
        truths=truths,
        mae=_rounded(sum(f.error for f in forecasts) / truths) if truths else None,
        baseline_mae=_rounded(sum(f.baseline_error for f in forecasts) / truths) if truths else None,
        baseline=names.pop() if len(names) == 1 else None,
        coverage80=_share(sum(f.inside for f in forecasts), truths),
        totals=len(held),
        total_coverage80=_share(sum(held), len(held)),
        in_sample=sum(f.in_sample for f in forecasts),
    )


def _share(part: int, whole: int) -> float | None:
    """In %."""
    return _rounded(100 * part / whole) if whole else None


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
