"""What a run leaves beside inspect's logs: everything that tells it from another run, and what each item scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from eval.harness.statistics import Mean, mean_of
from mm4st_agent.agent.manifest import write_whole
from mm4st_agent.errors import DataError, UsageError

RECORD = "record.json"
RUNS = Path("eval") / "runs"
"""Folder of the person's home; a folder for each run in it."""

Status = Literal["scored", "unscored", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Part):
    """One item, asked once.

    Attributes:
        questions: The person's messages.
        answer: The last answer; None where there was none.
        expect: What the suite compared it with.
        value: The score; None unless scored.
        why: Why it is the score; of an item without one, why not.
        baseline: What the baseline scores on the item; None where it has no score.
        seconds: From the first question to the last answer.
        tokens: None where the chat model does not tell.
    """

    suite: str
    id: str
    epoch: int
    kind: str
    dataset: str
    as_of: str | None
    questions: list[str]
    answer: str | None
    expect: dict[str, Any]
    status: Status
    value: float | None
    details: dict[str, float | None] = {}
    why: str
    baseline: float | None
    model_calls: int
    tool_calls: int
    tokens: int | None
    seconds: float

    @property
    def key(self) -> tuple[str, str]:
        """What the item is called in every run."""
        return self.suite, self.id


class CostOf(_Part):
    """What a question costs, on average; a message of a conversation is a question."""

    model_calls: float | None
    tool_calls: float | None
    tokens: float | None
    seconds: float | None


class Score(_Part):
    """The mean over items, and what it stands on.

    Attributes:
        low: Of the 95 % interval; None where there are fewer than two items, as is `high`.
        baseline: Mean of the baseline over the scored items where it has a score.
        failed: Items whose questions ended in an error, and which count in no mean.
    """

    score: float | None
    low: float | None
    high: float | None
    baseline: float | None
    scored: int
    unscored: int
    failed: int


class KindScore(Score):
    """The score of one kind of item."""

    kind: str


class SuiteScore(Score):
    """The score of a suite.

    Attributes:
        skipped: Items on data sets that are not on this machine, by data set.
        gain: Score less baseline over the items that have both, with its interval.
        details: Means of what the suite tells beside the score.
        log: inspect's log, relative to the run's folder.
    """

    name: str
    measures: str
    baseline_name: str
    gain: dict[str, float | None]
    cost: CostOf
    details: dict[str, float | None]
    kinds: list[KindScore]
    skipped: dict[str, int]
    log: str


class RunRecord(_Part):
    """One run.

    Attributes:
        name: Of its folder.
        chat_model: As it was asked for; `model` is the name of what answered.
        prompts: Name to sha256 of every template.
        data: sha256 by data set.
        seconds: Of all samples together, not of the clock on the wall.
    """

    format: Literal[1] = 1
    name: str
    target: str
    chat_model: str
    model: str
    half: Literal["dev", "test"]
    limit: int | None
    epochs: int
    seed: int
    commit: str | None
    dirty: bool | None
    created: AwareDatetime
    versions: dict[str, str]
    settings: dict[str, Any]
    prompts: dict[str, str]
    data: dict[str, str | None]
    machine: str
    suites: list[SuiteScore]
    items: list[Asked]

    def to_json(self) -> dict[str, Any]:
        """`{chat_model, suites, commit, ...}` of `eval run --json`: all but the items."""
        data: dict[str, Any] = self.model_dump(mode="json", exclude={"items"})
        return data


def by_item(asked: Iterable[Asked]) -> dict[tuple[str, str], list[Asked]]:
    """The epochs of each item."""
    items: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in asked:
        items[one.key].append(one)
    return dict(items)


def item_values(asked: Iterable[Asked]) -> dict[tuple[str, str], float]:
    """The mean over the epochs of each item that was scored."""
    values = {key: [one.value for one in epochs if one.value is not None] for key, epochs in by_item(asked).items()}
    return {key: sum(found) / len(found) for key, found in values.items() if found}


def score_of(asked: Sequence[Asked]) -> Score:
    """The mean over items, its interval, and the counts; counts are of items, which one epoch may fail."""
    values = item_values(asked)
    found = mean_of(list(values.values()))
    baselines = _baselines(asked, values)
    rest = [epochs for key, epochs in by_item(asked).items() if key not in values]
    failed = sum(any(one.status == "failed" for one in epochs) for epochs in rest)
    return Score(
        score=found.value,
        low=found.low,
        high=found.high,
        baseline=mean_of(list(baselines.values())).value,
        scored=len(values),
        unscored=len(rest) - failed,
        failed=failed,
    )


def gain_of(asked: Sequence[Asked]) -> Mean:
    """How far the score lies above the baseline, over the items that have both."""
    values = item_values(asked)
    return mean_of([values[key] - baseline for key, baseline in _baselines(asked, values).items()])


def cost_of(asked: Sequence[Asked]) -> CostOf:
    """What a question cost, failed ones too."""
    questions = sum(len(one.questions) for one in asked)
    if not questions:
        return CostOf(model_calls=None, tool_calls=None, tokens=None, seconds=None)
    told = [one for one in asked if one.tokens is not None]
    asked_with_tokens = sum(len(one.questions) for one in told)
    return CostOf(
        model_calls=sum(one.model_calls for one in asked) / questions,
        tool_calls=sum(one.tool_calls for one in asked) / questions,
        tokens=sum(one.tokens or 0 for one in told) / asked_with_tokens if told else None,
        seconds=sum(one.seconds for one in asked) / questions,
    )


def details_of(asked: Sequence[Asked]) -> dict[str, float | None]:
    """The mean of each detail over the items that have it."""
    values: dict[str, list[float]] = {}
    for one in asked:
        for name, value in one.details.items():
            values.setdefault(name, [])
            if value is not None:
                values[name].append(value)
    return {name: sum(found) / len(found) if found else None for name, found in values.items()}


def kinds_of(asked: Sequence[Asked]) -> list[KindScore]:
    """The scores by kind."""
    kinds: Mapping[str, list[Asked]] = defaultdict(list)
    for one in asked:
        kinds[one.kind].append(one)
    return [KindScore(kind=kind, **score_of(group).model_dump()) for kind, group in kinds.items()]


def _baselines(asked: Iterable[Asked], values: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    return {one.key: one.baseline for one in asked if one.key in values and one.baseline is not None}


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write it whole or not at all."""
    path = folder / RECORD
    write_whole(path, record.model_dump_json(indent=1).encode() + b"\n")
    return path


def read_record(run: str, home: Path) -> RunRecord:
    """Read the record of a run.

    Args:
        run: Its name, or the path of its folder or record.
        home: The person's, where named runs are.

    Raises:
        UsageError: there is no such run.
        DataError: its record is broken.
    """
    path = run_folder(run, home) / RECORD
    if not path.is_file():
        known = sorted(found.parent.name for found in (home / RUNS).glob(f"*/{RECORD}"))
        listed = f"Known: {', '.join(known)}." if known else "There is none yet; `mm4st eval run SUITE` makes one."
        raise UsageError(f"There is no finished run {run!r}.", listed)
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{path} is no record of a run: {where}: {first['msg']}.", "Run it again with --fresh."
        ) from err


def run_folder(run: str, home: Path) -> Path:
    """The folder that a run's name or path means; it need not exist."""
    given = Path(run)
    if given.name == RECORD:
        return given.parent
    return given if given.is_dir() else home / RUNS / run
