"""Planning: the tool calls that a message leads to, against those that a good answer rests on.

The messages are those of `eval/questions`, whose halves were written by different people: questions of every kind in
every manner, follow-ups, several at once, and messages that need no tool. The baseline makes the most frequent plan of
the development half whatever is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from eval.bench.agent import meaning_of
from eval.bench.agent_matching import Call, Judgement, Meaning, judge
from eval.bench.agent_questions import Question, load_questions
from eval.suites.suite import Half, Item, Scored, latest_calls
from mm4st_agent.agent.answer import Answer
from mm4st_agent.runtime import Runtime


class Planning:
    """Right tools, arguments and order."""

    name = "planning"
    measures = "Share of messages with all expected calls and arguments, no other call, and a question back where due."
    baseline_name = "most frequent plan"

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """The question set of a half, as far as its data sets are here."""
        return [_item(question) for question in load_questions(half) if runtime.registry.available(question.dataset)]

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """1 where the plan is as expected, 0 otherwise; the share of right arguments is told beside it."""
        answer = answers[-1]
        asked, due = bool(answer.choices), item.expect["clarify"] is not None
        calls = [Call(entry.tool, entry.args) for entry in latest_calls(answer)]
        judgement = _judge(item, calls, runtime)
        order = _in_order(item, calls)
        faults = [*judgement.wrong, *([] if order else ["the calls came in another order than was asked"])]
        if asked != due:
            faults.append("it asked back" if asked else f"it did not ask back for the {item.expect['clarify']}")
        slots = judgement.right / judgement.slots if judgement.slots else None
        return Scored(value=float(not faults), details={"slots": slots}, why="; ".join(faults) or "as expected")

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """What the most frequent plan of the development half scores."""
        plan = _most_frequent()
        judgement = _judge(item, plan.expected, runtime)
        return Scored(value=float(not judgement.wrong and item.expect["clarify"] == plan.clarify))


def _item(question: Question) -> Item:
    return Item(
        id=question.id,
        questions=(*question.before, question.question),
        dataset=question.dataset,
        family=question.family,
        kind=_kind(question),
        expect={"calls": [call.model_dump() for call in question.calls], "clarify": question.clarify},
    )


def _kind(question: Question) -> str:
    """What the item tests most: a follow-up, several questions, a question back, no tool, or one intent."""
    if question.before:
        return "follow-up"
    if question.clarify is not None:
        return "asks back"
    if not question.calls:
        return "irrelevant" if question.topic == "off_topic" else "no tool"
    return question.topic


@lru_cache(maxsize=1)
def _most_frequent() -> Question:
    """A question with the plan that most messages of the development half come to: no call, nothing asked back."""
    questions = load_questions("dev")
    plans = Counter(_plan(question) for question in questions)
    (plan, _), *_ = plans.most_common(1)
    return next(question for question in questions if _plan(question) == plan)


def _plan(question: Question) -> str:
    return question.model_dump_json(include={"calls", "clarify"})


def _expected(item: Item) -> list[Call]:
    return [Call(call["tool"], call["args"]) for call in item.expect["calls"]]


def _judge(item: Item, made: Sequence[Call], runtime: Runtime) -> Judgement:
    return judge(_expected(item), made, _meaning(runtime, item.dataset))


@lru_cache(maxsize=8)
def _meaning(runtime: Runtime, dataset: str) -> Meaning:
    return meaning_of(runtime, runtime.registry.open(dataset))


def _in_order(item: Item, made: Sequence[Call]) -> bool:
    """Whether the first calls of the expected tools came in the order of the questions that need them."""
    wanted = [call.tool for call in _expected(item) if isinstance(call.tool, str)]
    names = [call.tool for call in made]
    first = [names.index(tool) for tool in dict.fromkeys(wanted) if tool in names]
    return first == sorted(first)


SUITE = Planning()
