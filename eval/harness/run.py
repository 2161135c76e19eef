"""`mm4st eval run`: ask suites of an agent through inspect_ai, resume what was begun, and write the record."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import platform
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from inspect_ai import eval_set
from inspect_ai.log import EvalLog, EvalSample, list_eval_logs, read_eval_log, read_eval_log_sample_summaries

import prompts
from eval.harness.agent import SHARED, EvalRuntime, check_server, with_chat_model
from eval.harness.options import Options, run_name
from eval.harness.own import OwnSuite
from eval.harness.record import (
    RUNS,
    Asked,
    RunRecord,
    Status,
    SuiteScore,
    cost_of,
    details_of,
    gain_of,
    kinds_of,
    score_of,
    write_record,
)
from eval.harness.task import ANSWERS, BASELINE, COST, FAILURE, item_of, suite_task
from eval.suites import load_suite, suite_names
from eval.suites.halves import interleaved
from eval.suites.suite import Item, Suite
from mm4st_agent.agent.manifest import recorded_settings, versions
from mm4st_agent.errors import UsageError
from mm4st_agent.memory import settle
from mm4st_agent.provenance import source_commit
from mm4st_agent.settings import Settings

LOGS, HOME, LOCK = "logs", "home", "lock"
"""In a run's folder: inspect's logs, what the agent wrote, and the lock of the process that runs it."""
AT_ONCE = {"embedded": 1, "vllm": 8}
"""Samples that are asked at the same time; the embedded model computes in this process, so more would only wait."""

Progress = Callable[[int, int | None], None]


def run_suites(
    person: Settings,
    options: Options,
    *,
    limits: dict[str, int] | None = None,
    progress: Progress = lambda done, total: None,
) -> RunRecord:
    """Run suites, and write the run's record.

    What a run of the same options, source and data has answered is not asked again.

    Args:
        person: The person's settings.
        options: What is run.
        limits: Only these suites of `all`, and so many items of each.
        progress: Called with how many samples are done, and how many there are.

    Raises:
        UsageError: there is no such suite, chat model or data; or another process runs the same.
        DataError: an own suite is malformed.
        ServerError: the chat model's server does not answer.
    """
    settle()
    settings = with_chat_model(person, options.chat_model).model_copy(update={"seed": options.seed})
    suites = [suite for suite in _suites(options.target) if limits is None or suite.name in limits]
    model = check_server(settings)
    source = source_commit()
    name = run_name(options, [suite.name for suite in suites], settings, model, source, limits)
    folder = person.ready_home() / RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            if options.fresh:
                for part in (LOGS, HOME):
                    shutil.rmtree(folder / part, ignore_errors=True)
            runtime = EvalRuntime(settings, folder / HOME, folder.parents[1] / SHARED)
            chosen = {suite.name: _chosen(suite, options, runtime, limits) for suite in suites}
            if not any(items for items, _ in chosen.values()):
                missing = ", ".join(sorted({name for _, skipped in chosen.values() for name in skipped}))
                raise UsageError(
                    f"No item of {options.target} can be asked: {missing or 'it has none'}.", "See `mm4st data list`."
                )
            logs = _evaluated(suites, chosen, runtime, options, folder / LOGS, progress)
            record = _record(name, options, suites, chosen, logs, runtime, model, source)
            write_record(record, folder)
            return record
    except Timeout as err:
        raise UsageError(f"Another process runs {name} already.", "Wait for it, or end it.") from err


def _suites(target: str) -> list[Suite]:
    if target == "all":
        return [load_suite(name) for name in suite_names()]
    if target.endswith(".jsonl"):
        return [OwnSuite(Path(target))]
    return [load_suite(target)]


def _chosen(
    suite: Suite, options: Options, runtime: EvalRuntime, limits: dict[str, int] | None
) -> tuple[list[Item], dict[str, int]]:
    """The items that are asked, and how many are on data that are not here."""
    items = suite.items(options.half, runtime)
    twice = [name for name, count in Counter(item.id for item in items).items() if count > 1]
    assert not twice, f"{suite.name} has two items of the id {twice[0]}"
    here = {name: runtime.registry.available(name) for name in {item.dataset for item in items}}
    skipped = Counter(item.dataset for item in items if not here[item.dataset])
    limit = options.limit if limits is None else limits[suite.name]
    return interleaved(item for item in items if here[item.dataset])[:limit], dict(skipped)


def _evaluated(
    suites: Sequence[Suite],
    chosen: dict[str, tuple[list[Item], dict[str, int]]],
    runtime: EvalRuntime,
    options: Options,
    folder: Path,
    progress: Progress,
) -> dict[str, EvalLog]:
    """The log of each suite."""
    total = sum(len(items) for items, _ in chosen.values()) * options.epochs
    done = _done_before(folder)

    def advance() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    metadata = {"chat_model": options.chat_model, "half": options.half, "seed": options.seed}
    tasks = [
        suite_task(suite, chosen[suite.name][0], runtime, metadata=metadata, done=advance)
        for suite in suites
        if chosen[suite.name][0]
    ]
    progress(done, total)
    if done < total:
        runtime.warm_up()  # what the first answer loads is no question's cost
    with _quiet():
        _, headers = eval_set(
            tasks,
            log_dir=str(folder),
            model=None,
            epochs=options.epochs,
            max_tasks=1,
            max_samples=options.max_samples or AT_ONCE[runtime.settings.chat_model],
            fail_on_error=False,
            retry_attempts=1,
            ctl_server=False,
            acp_server=False,
            display="none",
            score_display=False,
            log_level="error",
        )
    if len(headers) < len(tasks) or any(log.status == "cancelled" for log in headers):
        raise KeyboardInterrupt  # inspect keeps what is done, and takes the signal as the end of the run
    broken = [log for log in headers if log.status != "success"]
    if broken:
        raise RuntimeError(f"{broken[0].eval.task}: {broken[0].error.message if broken[0].error else broken[0].status}")
    return {log.eval.task: read_eval_log(log.location) for log in headers}


def _done_before(folder: Path) -> int:
    """Samples that a run before this one finished."""
    found = list_eval_logs(str(folder)) if folder.is_dir() else []
    return sum(summary.completed for log in found for summary in read_eval_log_sample_summaries(log))


@contextlib.contextmanager
def _quiet() -> Any:
    """Keeps stdout for data, and the process's logging and warnings as they are."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            gc.collect()  # inspect leaves some of its streams to it, unclosed
            root.handlers[:] = handlers
            root.setLevel(level)


def _record(
    name: str,
    options: Options,
    suites: Sequence[Suite],
    chosen: dict[str, tuple[list[Item], dict[str, int]]],
    logs: dict[str, EvalLog],
    runtime: EvalRuntime,
    model: str,
    source: str | None,
) -> RunRecord:
    asked = {suite.name: _asked(suite.name, logs.get(suite.name)) for suite in suites}
    every = [one for group in asked.values() for one in group]
    return RunRecord(
        name=name,
        target=options.target,
        chat_model=options.chat_model,
        model=model,
        half=options.half,
        limit=options.limit,
        epochs=options.epochs,
        seed=options.seed,
        commit=source.removesuffix("-dirty") if source else None,
        dirty=source.endswith("-dirty") if source else None,
        created=datetime.now(UTC),
        versions={**versions(), "inspect-ai": version("inspect-ai")},
        settings=recorded_settings(runtime.settings),
        prompts=prompts.hashes(),
        data={dataset: runtime.registry.card(dataset).sha256 for dataset in sorted({one.dataset for one in every})},
        machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        suites=[
            SuiteScore(
                name=suite.name,
                measures=suite.measures,
                baseline_name=suite.baseline_name,
                **score_of(asked[suite.name]).model_dump(),
                gain=_interval(asked[suite.name]),
                cost=cost_of(asked[suite.name]),
                details=details_of(asked[suite.name]),
                kinds=kinds_of(asked[suite.name]),
                skipped=chosen[suite.name][1],
                log=f"{LOGS}/{Path(logs[suite.name].location).name}" if suite.name in logs else "",
            )
            for suite in suites
        ],
        items=every,
    )


def _interval(asked: Sequence[Asked]) -> dict[str, float | None]:
    found = gain_of(asked)
    return {"mean": found.value, "low": found.low, "high": found.high}


def _asked(suite: str, log: EvalLog | None) -> list[Asked]:
    return [_outcome(suite, sample) for sample in (log.samples or [])] if log is not None else []


def _outcome(suite: str, sample: EvalSample) -> Asked:
    item = item_of(sample.metadata)
    answers = sample.store.get(ANSWERS, [])
    cost = sample.store.get(COST) or {"model_calls": 0, "tool_calls": 0, "tokens": None, "seconds": 0.0}
    score = next(iter((sample.scores or {}).values()), None)
    status: Status
    if sample.error is not None:
        status, why, score = "failed", sample.store.get(FAILURE) or sample.error.message, None
    elif score is None:
        status, why = "unscored", "The suite gives this answer no score."
    else:
        status, why = "scored", score.explanation or ""
    return Asked(
        suite=suite,
        id=item.id,
        epoch=sample.epoch,
        kind=item.kind,
        dataset=item.dataset,
        as_of=item.as_of,
        questions=list(item.questions),
        answer=answers[-1]["answer"] if answers else None,
        expect=item.expect,
        status=status,
        value=None if score is None else score.as_float(),
        details={} if score is None else (score.metadata or {}).get("details", {}),
        why=why,
        baseline=sample.store.get(BASELINE),
        **cost,
    )
