"""An inspect_ai task of a suite: its items are samples, the agent is the solver, the suite's `score` the scorer."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    ChatMessageUser,
    ModelOutput,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolCall, ToolCallError

from eval.harness.agent import Cost, EvalRuntime
from eval.suites.suite import Item, Scored, Suite, latest_calls
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.errors import MM4STError

ANSWERS, COST, BASELINE, FAILURE = "answers", "cost", "baseline", "failure"
"""Keys of a sample's store: the answers as JSON, their cost, what the baseline scores, and why a question failed."""


def suite_task(
    suite: Suite,
    items: Sequence[Item],
    runtime: EvalRuntime,
    *,
    metadata: dict[str, Any],
    done: Callable[[], None] = lambda: None,
) -> Task:
    """Make the task.

    Args:
        suite: Scores the answers.
        items: What is asked.
        runtime: Answers.
        metadata: For the log.
        done: Called after each sample that was not cancelled.
    """

    @task(name=suite.name)
    def made() -> Task:
        return Task(
            dataset=MemoryDataset([_sample(item) for item in items], name=suite.name),
            solver=_agent(runtime, done),
            scorer=_suite_scorer(suite, runtime),
            name=suite.name,
            metadata=metadata,
        )

    return made()


def _sample(item: Item) -> Sample:
    return Sample(
        id=item.id,
        input="\n".join(item.questions),
        target=json.dumps(item.expect, ensure_ascii=False, default=str),
        metadata={"item": item.model_dump(mode="json")},
    )


def item_of(metadata: dict[str, Any]) -> Item:
    """The item that a sample of a log was made from."""
    return Item.model_validate(metadata["item"])


@solver(name="mm4st")
def _agent(runtime: EvalRuntime, done: Callable[[], None]) -> Solver:
    """Ask an item's questions in one new thread; an error of the agent is the sample's error."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        item, cost, thread = item_of(state.metadata), Cost(), f"eval-{uuid.uuid4().hex[:12]}"
        answers: list[dict[str, Any]] = []
        messages: list[ChatMessage] = []
        started = time.perf_counter()
        try:
            with runtime.counting(cost):
                for question in item.questions:
                    messages.append(ChatMessageUser(content=question))
                    answer = await runtime.ask(question, dataset=item.dataset, as_of=item.as_of, thread=thread)
                    answers.append(answer.to_json())
                    calls = latest_calls(answer)
                    cost.tool_calls += len(calls)
                    messages += _as_messages(answer, calls)
        except MM4STError as err:
            state.store.set(FAILURE, str(err))
            raise
        finally:
            cost.seconds = round(time.perf_counter() - started, 3)
            state.messages = messages
            state.store.set(ANSWERS, answers)
            state.store.set(COST, asdict(cost))
            if not isinstance(sys.exception(), asyncio.CancelledError):
                done()
        state.output = ModelOutput.from_content(model=answer.chat_model, content=answer.answer)
        return state

    return solve


def _as_messages(answer: Answer, calls: Sequence[Evidence]) -> list[ChatMessage]:
    """The calls and the answer as inspect's viewer shows them."""
    shown: list[ChatMessage] = []
    for entry in calls:
        call = ToolCall(id=entry.id, function=entry.tool, arguments=entry.args)
        shown.append(ChatMessageAssistant(content="", tool_calls=[call]))
        reply = {path: f"{value.value} {value.unit}" for path, value in entry.values.items()}
        shown.append(
            ChatMessageTool(
                content=json.dumps(reply, ensure_ascii=False),
                tool_call_id=entry.id,
                function=entry.tool,
                error=ToolCallError("unknown", entry.error) if entry.error else None,
            )
        )
    choices = "".join(f"\n{n}. {choice}" for n, choice in enumerate(answer.choices, 1))
    return [*shown, ChatMessageAssistant(content=answer.answer + choices)]


@scorer(metrics=[mean(), stderr()], name="suite")
def _suite_scorer(suite: Suite, runtime: EvalRuntime) -> Scorer:
    """What the suite makes of the answers; no score where it gives none."""

    async def score(state: TaskState, target: Target) -> Score | None:
        item = item_of(state.metadata)
        answers = [Answer.model_validate(answer) for answer in state.store.get(ANSWERS)]
        scored = await asyncio.to_thread(suite.score, item, answers, runtime)
        baseline = await asyncio.to_thread(suite.baseline, item, runtime)
        state.store.set(BASELINE, baseline.value if baseline is not None else None)
        if scored is None:
            return None
        return _as_score(scored, answers)

    return score


def _as_score(scored: Scored, answers: Sequence[Answer]) -> Score:
    return Score(
        value=scored.value,
        answer=answers[-1].answer,
        explanation=scored.why,
        metadata={"details": scored.details},
    )
