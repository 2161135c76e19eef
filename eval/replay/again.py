"""The tool calls of an answer once more, with the same clock: which evidence is not what it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mm4st_agent.agent import ledger
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.manifest import Manifest, commit, recorded_settings, used_forecaster, versions
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, MM4STError, UsageError
from mm4st_agent.runtime import Runtime
from prompts import hashes

Report = Callable[[int, int | None], None]
"""Told how much is done, and of how much."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Part):
    """What an entry said then and says now; None is that it said nothing.

    Attributes:
        path: Such as `steps[0].median`, `texts[note/incident-capacity]` or `images[0]`.
    """

    what: Literal["value", "text", "word", "picture", "warnings", "error"]
    path: str
    then: Any
    now: Any


class ReplayedEntry(_Part):
    """One ledger entry, and what became of it; how long the call took does not count.

    Attributes:
        claims: How many claims of the answer rest on it.
    """

    id: str
    tool: str
    args: dict[str, Any]
    as_of: str | None
    status: Literal["same", "changed"]
    changes: list[Change]
    claims: int
    seconds: float


class Difference(_Part):
    """Something beside the evidence that is not as it was."""

    what: Literal["data", "forecaster", "prompt", "setting", "version", "commit"]
    name: str
    then: Any
    now: Any


class Replay(_Part):
    """The `replay --json` contract.

    Attributes:
        claims_at_stake: Claims of the answer that rest on evidence that changed.
    """

    manifest: str
    question: str
    dataset: str
    as_of: str
    entries: list[ReplayedEntry]
    same: int
    changed: int
    claims: int
    claims_at_stake: int
    differs: list[Difference]
    seconds: float


def replay(manifest: Manifest, name: str, runtime: Runtime, report: Report) -> Replay:
    """Call every tool of the manifest again, and compare.

    Args:
        manifest: What was recorded.
        name: Of its file, for the report.
        runtime: With the data, forecasters and tools as they are now.
        report: Told after each call.

    Raises:
        DataError: the data set is not there.
    """
    started = time.perf_counter()
    panel = open_data(manifest, runtime)
    entries = []
    for done, entry in enumerate(manifest.calls):
        report(done, len(manifest.calls))
        entries.append(_compared(entry, _called(entry, runtime), manifest))
    changed = {entry.id for entry in entries if entry.status == "changed"}
    claims = manifest.answer.claims
    return Replay(
        manifest=name,
        question=manifest.answer.question,
        dataset=manifest.answer.dataset,
        as_of=manifest.answer.as_of,
        entries=entries,
        same=len(entries) - len(changed),
        changed=len(changed),
        claims=len(claims),
        claims_at_stake=sum(not changed.isdisjoint(claim.evidence) for claim in claims),
        differs=list(_differs(manifest, panel, runtime)),
        seconds=round(time.perf_counter() - started, 3),
    )


def open_data(manifest: Manifest, runtime: Runtime) -> Panel:
    """The whole data set that the answer is about.

    Raises:
        DataError: it is not there, or broken.
    """
    name = manifest.answer.dataset
    try:
        return runtime.registry.open(name)
    except UsageError as err:
        raise DataError(
            f"The manifest is about the data set {name!r}, which is not here.",
            f"Import or get it first (mm4st data import, mm4st data get). {err.hint}",
        ) from err


def _called(entry: Evidence, runtime: Runtime) -> Evidence:
    """The entry that the same call makes now."""
    started = time.perf_counter()
    try:
        reply = runtime.tool(entry.tool, entry.args, entry.as_of)
    except MM4STError as err:
        seconds = time.perf_counter() - started
        return ledger.from_error(entry.id, entry.tool, entry.args, entry.as_of, err, seconds)
    seconds = time.perf_counter() - started
    return ledger.from_reply(entry.id, entry.tool, entry.args, entry.as_of, reply, seconds)


def _compared(then: Evidence, now: Evidence, manifest: Manifest) -> ReplayedEntry:
    changes = list(_changes(then, now))
    return ReplayedEntry(
        id=then.id,
        tool=then.tool,
        args=then.args,
        as_of=then.as_of,
        status="changed" if changes else "same",
        changes=changes,
        claims=sum(then.id in claim.evidence for claim in manifest.answer.claims),
        seconds=now.seconds,
    )


def _changes(then: Evidence, now: Evidence) -> Iterator[Change]:
    if then.error != now.error:
        yield Change(what="error", path="error", then=then.error, now=now.error)
    values = [{path: _said(v.value, v.unit) for path, v in entry.values.items()} for entry in (then, now)]
    for path, before, after in unequal(*values):
        yield Change(what="value", path=path, then=before, now=after)
    texts = [{f"texts[{t.doc_id}]": t.text for t in entry.texts} for entry in (then, now)]
    for path, before, after in unequal(*texts):
        yield Change(what="text", path=path, then=before, now=after)
    pictures = [{f"images[{n}]": i.image_id for n, i in enumerate(entry.images)} for entry in (then, now)]
    for path, before, after in unequal(*pictures):
        yield Change(what="picture", path=path, then=before, now=after)
    for path, before, after in unequal(*_words(then, now)):
        yield Change(what="word", path=path, then=before, now=after)
    if then.warnings != now.warnings:
        yield Change(what="warnings", path="warnings", then=then.warnings, now=now.warnings)


def _said(value: float | int | str, unit: str) -> float | int | str:
    """A value with its unit, where it has one."""
    return f"{value} {unit}" if unit not in ("", "1", "id", "time") else value


def _words(*entries: Evidence) -> list[dict[str, str | bool]]:
    """The words of each entry that are not told elsewhere: of no passage, picture or warning."""
    parts = [part.model_dump(mode="json").values() for entry in entries for part in (*entry.texts, *entry.images)]
    told = {text for part in parts for text in part if isinstance(text, str)}
    told |= {warning for entry in entries for warning in entry.warnings}
    return [
        {path: word for path, word in entry.words.items() if isinstance(word, bool) or word not in told}
        for entry in entries
    ]


def _differs(manifest: Manifest, panel: Panel, runtime: Runtime) -> Iterator[Difference]:
    if manifest.data_sha256 != panel.card.sha256:
        yield Difference(what="data", name=panel.name, then=manifest.data_sha256, now=panel.card.sha256)
    for then in manifest.forecasters:
        try:
            other = runtime.registry.open(then.dataset)
            channel = other.channel(then.channel)
            now = used_forecaster(then.dataset, then.channel, runtime.forecaster(other, channel)).model_dump()
        except MM4STError as err:
            now = {"error": str(err)}
        if then.model_dump() != now:
            name = f"{then.dataset}-{then.channel}"
            yield Difference(what="forecaster", name=name, then=then.model_dump(), now=now)
    pairs: Sequence[tuple[Any, Mapping[str, Any], Mapping[str, Any]]] = (
        ("prompt", manifest.prompts, hashes()),
        ("setting", manifest.settings, recorded_settings(runtime.settings)),
        ("version", manifest.versions, versions()),
        ("commit", {"source": manifest.commit}, {"source": commit()}),
    )
    for what, before, after in pairs:
        for name, old, new in unequal(before, after):
            yield Difference(what=what, name=name, then=old, now=new)


def unequal(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """`(name, then, now)` of what differs; None where one side lacks it."""
    for name in {**then, **now}:
        if then.get(name) != now.get(name):
            yield name, then.get(name), now.get(name)
