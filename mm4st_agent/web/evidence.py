"""The evidence panel: where a number, a quotation or a whole step of an answer comes from, as HTML."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mm4st_agent.agent.answer import Answer, Citation, Claim
from mm4st_agent.agent.claims.sources import Source, sources
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.quantities import plain as unit_of
from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import ImageHandle, Passage
from mm4st_agent.web import words
from mm4st_agent.web.answers import source_line
from mm4st_agent.web.markup import plain
from mm4st_agent.web.served import PREFIX, Part

if TYPE_CHECKING:
    from mm4st_agent.agent.conversations import Conversations

EMPTY = "Choose a number, a quotation or a mark such as [E2] in an answer. Where it comes from is shown here."
GONE = "This part of the conversation is not there any more. Choose another number in an answer."

STATUS = {
    "verified": "✓ Supported by the evidence.",
    "corrected": "~ Corrected by us: the chat model was slightly off. What stands here is the evidence's own value.",
    "unsupported": "⚠ No support found. Nothing that was looked up says this, so do not rely on it.",
}
_KINDS = {
    "number": "number", "time": "time", "id": "name", "quote": "quotation", "direction": "direction",
    "comparison": "comparison", "existence": "statement",
}  # fmt: skip
_ITEM = re.compile(r"(?P<list>.+?)\[(?P<n>\d+)\]\.(?P<field>[^\[]+)")
_LAST_INDEX = re.compile(r"\[\d+\]$")
_MOST_ROWS = 8
"""A longer table is folded."""
_LONGEST = 1000
"""Rows of one table; the export as JSON has them all."""
_HIDDEN = re.compile(r"(?:.*\.)?(?:passage\..*|figure\..*|image_id|synthetic|warnings\[\d+\]|(?:\w+_)?unit)")
"""Words of a reply that are shown otherwise, or that the units say."""


def empty_panel() -> str:
    """Before anything was chosen."""
    return f'<div class="evidence-panel empty"><h2>Evidence</h2><p>{EMPTY}</p></div>'


def gone_panel() -> str:
    """Where there is no such part, or it is another person's."""
    return f'<div class="evidence-panel gone"><h2 tabindex="-1">Evidence</h2><p>{GONE}</p></div>'


def panel(conversations: Conversations, chosen: str) -> str:
    """The panel for a link of an answer.

    Args:
        conversations: Of the person who chose it.
        chosen: The link's target, such as `#claim-3f2a-1-4`.
    """
    part = Part.parse(chosen)
    if part is None:
        return gone_panel()
    try:
        answer = conversations.turn(part.thread, part.turn).answer
    except UsageError:
        return gone_panel()
    inner = None if answer is None else part_html(answer, part)
    if inner is None:
        return gone_panel()
    back = '<button type="button" class="back">Back to the answer</button>'
    return f'<div class="evidence-panel" data-part="{part}">{inner}{back}</div>'


def part_html(answer: Answer, part: Part) -> str | None:
    """What there is to say about a part of an answer; None where it has no such part."""
    try:
        match part.kind:
            case "claim":
                return _claim(answer, answer.claims[part.index], part)
            case "source":
                return _source(answer, answer.citations[part.index], part)
            case "entry":
                return _entry(answer.evidence[part.index])
    except IndexError:
        pass
    return None


# -- a claim ----------------------------------------------------------------------------------


def _claim(answer: Answer, claim: Claim, part: Part) -> str:
    found = sources(claim, answer.answer, answer.evidence)
    named = [entry for entry in answer.evidence if entry.id in claim.evidence]
    origins = "".join(
        f'<section class="origin"><h3>{plain(words.tool_title(entry.tool))}</h3>'
        f"{origin_values(entry, [source for source in found if source.entry == entry.id], claim)}"
        f"{_call(entry)}{_whole(entry, answer, part)}</section>"
        for entry in named
    )
    return (
        f'<h2 tabindex="-1">{plain(claim.text)}</h2>'
        f'<p class="kind">A {_KINDS[claim.kind]} in the answer to “{plain(answer.question)}”</p>'
        f'<p class="status {claim.status}">{STATUS[claim.status]}</p>{origins}'
    )


def origin_values(entry: Evidence, found: Sequence[Source], claim: Claim) -> str:
    """The values of an entry that a claim rests on, each with the name of its place."""
    if not found:
        return f"<p>It rests on this step as a whole ({plain(entry.id)}), not on one value of it.</p>"
    texts = [source for source in found if source.value.unit == "text"]
    rows: dict[str, list[str]] = defaultdict(list)
    for source in found:
        if source not in texts:
            rows[_lead(source, claim)].append(_row(_named(entry, source), words.value(source.value)))
    tables = (f'<p>{lead}</p><table class="values"><tbody>{"".join(of)}</tbody></table>' for lead, of in rows.items())
    quoted = (entry.texts[int(source.path[len("texts[") : -1])] for source in texts)
    return "".join([*tables, *map(_passage, quoted)])


def _lead(source: Source, claim: Claim) -> str:
    """How a claim and a value belong together."""
    if source.how != "stated":
        return "It follows from:" if source.how == "computed" else "It is how many there are:"
    if claim.kind != "number":
        return "The evidence says:"
    if claim.unit and unit_of(claim.unit) != unit_of(source.value.unit):
        return "It is this value, in another unit:"
    return "It is this value, rounded as written:"


def _named(entry: Evidence, source: Source) -> str:
    """The place of a value in plain words, with when and of what it is."""
    if not source.path:
        return "clock of the question"
    if source.path.startswith("labels["):
        return "a text of the reply"
    around = source.path.rpartition(".")[0]
    beside = [f"{around}.{name}" if around else name for name in ("time", "name", "label", "id")]
    if not around or source.path in beside:
        return words.path(source.path)
    time = entry.values.get(beside[0])
    what = next((str(entry.words[p]) for p in beside[1:3] if p in entry.words), None)
    if what is None and (known := entry.values.get(beside[3])) is not None:
        what = str(known.value)
    more = [what, f"at {words.value(time)}" if time is not None else None]
    said = ", ".join(part for part in more if part)
    return f"{words.path(source.path)} ({said})" if said else words.path(source.path)


def _call(entry: Evidence) -> str:
    """With what a step was asked, as of when, and how long it took."""
    rows = [*words.arguments(entry.args)]
    rows += [("known up to", words.local_time(entry.as_of))] if entry.as_of else []
    rows += [("took", words.seconds(entry.seconds))] if entry.seconds else []
    pairs = "".join(f"<div><dt>{plain(name)}</dt><dd>{plain(said)}</dd></div>" for name, said in rows)
    return f'<dl class="call">{pairs}</dl>'


def _whole(entry: Evidence, answer: Answer, part: Part) -> str:
    target = Part("entry", part.thread, part.turn, answer.evidence.index(entry))
    return f'<p><a class="entry" href="#{target}" role="button">Everything this step found ({plain(entry.id)})</a></p>'


# -- a source ---------------------------------------------------------------------------------


def _source(answer: Answer, citation: Citation, part: Part) -> str:
    start, end = citation.span
    entries = [entry for entry in answer.evidence if entry.id == citation.evidence]
    title = next((t for entry in entries if (t := _title(entry, citation))), "")
    where = f"Characters {start + 1:,} to {end:,} of the text “{citation.doc_id}”."
    return (
        f'<h2 tabindex="-1">{plain(title or citation.source)}</h2>'
        f'<p class="kind">{plain(" · ".join([citation.source, source_line(citation)]))}</p>'
        f'<blockquote><p>{plain(citation.text)}</p></blockquote><p class="span">{plain(where)}</p>'
        + "".join(_origin_of_source(entry, answer, part) for entry in entries)
    )


def _title(entry: Evidence, citation: Citation) -> str:
    """The title that a reply gives beside a passage."""
    for path, word in entry.words.items():
        if word == citation.doc_id and path.endswith("passage.doc_id"):
            return str(entry.words.get(f"{path.removesuffix('passage.doc_id')}title", ""))
    return ""


def _origin_of_source(entry: Evidence, answer: Answer, part: Part) -> str:
    title = plain(words.tool_title(entry.tool))
    return f'<section class="origin"><h3>{title}</h3>{_call(entry)}{_whole(entry, answer, part)}</section>'


def _passage(passage: Passage) -> str:
    when = words.local_time(passage.published_at) if passage.published_at else "undated"
    where = " · ".join(part for part in (passage.source, when, passage.place) if part)
    return f"<blockquote><p>{plain(passage.text)}</p><cite>{plain(where)}</cite></blockquote>"


# -- an entry ---------------------------------------------------------------------------------


def _entry(entry: Evidence) -> str:
    return f'<h2 tabindex="-1">{plain(entry.id)}: {plain(words.tool_title(entry.tool))}</h2>{entry_body(entry)}'


def entry_body(entry: Evidence, address: str = f"{PREFIX}/pictures/{{}}.png") -> str:
    """All of an entry but its name; `address` is where a picture lies, by its id."""
    error = f'<p class="status unsupported">⚠ That did not work: {plain(entry.error)}</p>' if entry.error else ""
    notes = "".join(f"<li>{plain(warning)}</li>" for warning in entry.warnings)
    warnings = f'<ul class="warnings">{notes}</ul>' if notes else ""
    pictures = "".join(_picture(image, address.format(image.image_id)) for image in entry.images) if address else ""
    return f"{_call(entry)}{error}{warnings}{pictures}{''.join(map(_passage, entry.texts))}{_tables(entry)}"


def _picture(image: ImageHandle, address: str) -> str:
    picture = f'<img src="{plain(address)}" alt="{plain(image.alt)}">'
    return f"<figure>{picture}<figcaption>{plain(image.title)}</figcaption></figure>"


def _tables(entry: Evidence) -> str:
    """The values and short texts of a reply: first those that stand alone, then each list as a table of its own."""
    alone: dict[str, list[str]] = defaultdict(list)
    lists: dict[str, dict[int, dict[str, EvidenceValue]]] = defaultdict(lambda: defaultdict(dict))
    for path, value in _shown(entry):
        if (item := _ITEM.fullmatch(path)) is not None:
            lists[item["list"]][int(item["n"])][item["field"]] = value
        else:
            alone[_LAST_INDEX.sub("", path)].append(words.value(value))
    rows = [_row(words.path(path), ", ".join(said)) for path, said in alone.items()]
    parts = [_folded(rows, "", "values")] if rows else []
    parts += [_table(name, items) for name, items in lists.items()]
    return "".join(parts)


def _shown(entry: Evidence) -> Iterator[tuple[str, EvidenceValue]]:
    yield from entry.values.items()
    for path, word in entry.words.items():
        if path not in entry.args and not _HIDDEN.fullmatch(path):
            said = ("no", "yes")[word] if isinstance(word, bool) else word
            yield path, EvidenceValue(value=said, unit="word")


def _table(name: str, items: dict[int, dict[str, EvidenceValue]]) -> str:
    """A list of a reply; a column whose values have one unit says it at its head."""
    fields = list(dict.fromkeys(field for item in items.values() for field in item))
    units = {field: {item[field].unit for item in items.values() if field in item} for field in fields}
    single = {field: next(iter(found)) for field, found in units.items() if len(found) == 1}
    heads = "".join(
        f'<th scope="col">{plain(words.path(field))}{_unit(single.get(field, ""))}</th>' for field in fields
    )
    rows = []
    for n, item in sorted(items.items()):
        cells = (_bare(item.get(field), single.get(field)) for field in fields)
        rows.append(f'<tr><th scope="row">{n + 1}</th>{"".join(f"<td>{plain(cell)}</td>" for cell in cells)}</tr>')
    said = plain(words.path(name))
    return _folded(rows, f'<caption>{said}</caption><thead><tr><th scope="col">No.</th>{heads}</tr></thead>', said)


def _unit(unit: str) -> str:
    return "" if unit in ("", "1", "id", "time", "word") else f" <small>{plain(unit)}</small>"


def _bare(value: EvidenceValue | None, unit: str | None) -> str:
    if value is None:
        return ""
    return words.value(
        value if unit is None or isinstance(value.value, str) else EvidenceValue(value=value.value, unit="")
    )


def _row(name: str, said: str) -> str:
    return f'<tr><th scope="row">{plain(name)}</th><td>{plain(said)}</td></tr>'


def _folded(rows: Sequence[str], head: str, name: str) -> str:
    """A table that can be scrolled sideways by keyboard, too; a long one opens on request."""
    kept = rows[:_LONGEST]
    table = f'<table class="{"list" if head else "values"}">{head}<tbody>{"".join(kept)}</tbody></table>'
    if head:
        table = f'<div class="scroll" role="group" aria-label="{name}" tabindex="0">{table}</div>'
    if len(kept) < len(rows):
        table += f"<p>The first {len(kept):,} of {len(rows):,}; the export as JSON has all.</p>"
    if len(rows) <= _MOST_ROWS:
        return table
    return f"<details><summary>{name or 'values'}: {words.counted(len(rows), 'row')}</summary>{table}</details>"
