"""The HTML of an upload: how its file was understood, what to decide about it, and one's own data sets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import UsageError
from mm4st_agent.web.markup import plain
from mm4st_agent.web.served import PREFIX
from mm4st_agent.web.upload_form import LAYOUTS, fields
from mm4st_agent.web.upload_jobs import Status, Upload
from mm4st_agent.web.upload_review import LABELS, Curve, Failure, Found, Review

STAGES = {
    "waiting": "Waiting until other files are read.",
    "reading": "Reading the file.",
    "checking": "Checking the readings.",
    "drawing": "Drawing the readings.",
    "storing": "Storing the data set.",
    "review": "The file was read. Please check how it was understood.",
    "failed": "The file could not be used.",
    "stored": "The data set is stored.",
}
FACTS = {"nodes": "Places", "time": "Time", "step": "Time step", "channels": "Measured", "covariates": "Beside that",
         "edges": "Connections", "events": "Events", "static layers": "Layers", "trajectories": "Tracks"}  # fmt: skip
CURVE_WIDTH, CURVE_HEIGHT = 320, 40


def shown(upload: Upload, registry: Registry) -> dict[str, Any]:
    """The state of an upload as the page takes it; its HTML once there is something to decide."""
    status = upload.status
    html = ""
    if not status.busy and status.stage != "stored":
        html = decision(status, upload.label, _free_name(upload.label, registry))
    return {
        "id": upload.id,
        "label": upload.label,
        "stage": status.stage,
        "busy": status.busy,
        "done": status.done,
        "total": status.total,
        "words": STAGES[status.stage],
        "html": html,
        "dataset": status.dataset,
    }


def own_sets(registry: Registry) -> str:
    """The person's own data sets, with what can be done with each."""
    names = [name for name in registry.names() if registry.stored(name)]
    if not names:
        return '<p class="quiet">None yet.</p>'
    items = []
    for name in map(plain, names):
        buttons = (
            f'<button type="button" data-use="{name}">Ask about it</button>'
            f'<a href="{PREFIX}/quality/{name}" target="_blank">Quality page</a>'
            f'<button type="button" data-forget="{name}" aria-label="Delete {name}">Delete</button>'
        )
        items.append(f'<li><strong>{name}</strong><span class="doings">{buttons}</span></li>')
    return f"<ul>{''.join(items)}</ul>"


def _free_name(label: str, registry: Registry) -> str:
    """A name for the data set, made from the file's, that is not taken."""
    stem = re.sub(r"[^a-z0-9]+", "-", label.split(".")[0].lower()).strip("-")[:40].strip("-") or "my-data"
    name, count = stem, 1
    while True:
        try:
            registry.check_new(name)
        except UsageError:
            count += 1
            name = f"{stem}-{count}"
        else:
            return name


def decision(status: Status, label: str, free_name: str) -> str:
    """What there is to decide about a file that was read, or could not be.

    Args:
        status: One that is not busy.
        label: What the person calls the file.
        free_name: Proposed for the data set.
    """
    failed = status.failure if status.stage == "failed" else None
    if failed is not None:
        head = _failure(failed, label)
    else:
        assert status.review is not None
        head = _review(status.review, label)
    parts = [head, fields(status.corrections, status.review, failed)]
    if failed is None:
        name = status.corrections.name or free_name
        parts.append(
            f'<div class="store"><label>{LABELS["name"]} of the data set'
            f'<input name="name" value="{plain(name)}" required maxlength="60" autocomplete="off"></label>'
            '<p class="problem" role="alert"></p>'
            '<button type="submit" value="store" class="primary">Store and ask</button>'
            '<button type="button" data-discard>Discard</button>'
            '<p class="quiet changed" hidden>You changed something: look at the file again first.</p></div>'
        )
    else:
        parts.append(
            '<p class="problem" role="alert"></p><button type="button" data-discard>Send another file</button>'
        )
    return f'<form class="decision">{"".join(parts)}</form>'


# -- what was understood -----------------------------------------------------------------------


def _review(review: Review, label: str) -> str:
    facts = [(FACTS.get(name, name), value) for name, value in review.facts]
    if review.layout:
        columns = ", ".join(review.time) + (f"; place: {review.node}" if review.node else "")
        facts += [("Layout", LAYOUTS[review.layout]), ("Time column", columns)]
    located = f"of {review.located:,} of {review.places:,} places" if review.located else "none, so there is no map"
    facts += [("Coordinates", located), ("Missing", _missing(review))]
    lines = "".join(f"<dt>{plain(name)}</dt><dd>{plain(value)}</dd>" for name, value in facts)
    check = [found for found in review.found if found.status in ("assumed", "mended")]
    rest = [found for found in review.found if found.status in ("inferred", "stated")]
    return (
        f'<h3 tabindex="-1">How {plain(label)} was understood</h3>'
        f'<dl class="facts">{lines}</dl>'
        + (f'<h4>Please check</h4><ul class="found">{_found(check)}</ul>' if check else "")
        + _curves(review)
        + _rows(review)
        + (
            f"<details><summary>Why ({len(rest)})</summary><ul class='found'>{_found(rest)}</ul></details>"
            if rest
            else ""
        )
    )


def _missing(review: Review) -> str:
    what = review.channels[0].title or review.channels[0].name
    share = f"{100 * review.missing_share:.1f} % of {what}" if review.missing_share else "nothing"
    return f"{share}; longest gap: {review.longest_gap}" if review.longest_gap else share


def _found(found: Iterable[Found]) -> str:
    marks = {"assumed": "Assumed", "mended": "Mended", "inferred": "Worked out", "stated": "Stated"}
    items = []
    for each in found:
        what = f"{each.what[:1].upper()}{each.what[1:]}: {each.value}"
        mark = f'<span class="mark">{marks[each.status]}</span>'
        items.append(f"<li>{mark} <strong>{plain(what)}</strong> {plain(each.why)}</li>")
    return "".join(items)


def _curves(review: Review) -> str:
    main = review.channels[0]
    what = main.title or main.name
    return "<h4>Some of it</h4>" + "".join(_curve(curve, what, main.unit) for curve in review.curves)


def _curve(curve: Curve, what: str, unit: str) -> str:
    """A line over the whole time; it breaks where readings are missing."""
    place = plain(curve.place)
    if curve.low is None or curve.high is None:
        return f'<figure class="curve"><figcaption>{place}: no reading</figcaption></figure>'
    span = f"{curve.low:g} to {curve.high:g} {unit}".strip()
    spread = (curve.high - curve.low) or 1.0
    across = CURVE_WIDTH / max(len(curve.values) - 1, 1)
    runs: list[list[str]] = [[]]
    for i, value in enumerate(curve.values):
        if value is None:
            runs.append([])
        else:
            height = CURVE_HEIGHT - 2 - (value - curve.low) / spread * (CURVE_HEIGHT - 4)
            runs[-1].append(f"{i * across:.1f},{height:.1f}")
    # A run of one point is drawn as a dash, or it would not be seen.
    lines = "".join(f'<polyline points="{" ".join(run if len(run) > 1 else run * 2)}"/>' for run in runs if run)
    alt = plain(f"{what} of {curve.place} over the whole time, from {span}")
    return (
        f'<figure class="curve"><figcaption>{place} <span>{plain(span)}</span></figcaption>'
        f'<svg role="img" aria-label="{alt}" viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" '
        f'preserveAspectRatio="none">{lines}</svg></figure>'
    )


def _rows(review: Review) -> str:
    if not review.rows:
        return ""
    header, *rows = review.rows
    more = len(review.columns) - len(header)
    head = "".join(f'<th scope="col">{plain(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{number}</th>{"".join(f"<td>{plain(cell)}</td>" for cell in row)}</tr>'
        for number, row in zip(review.numbers, rows, strict=True)
    )
    note = f'<p class="quiet">And {more:,} more columns.</p>' if more > 0 else ""
    return (
        '<h4>First rows of the file</h4><div class="rows" role="region" aria-label="First rows of the file" '
        f'tabindex="0"><table><thead><tr><th scope="col">row</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        + note
    )


def _failure(failure: Failure, label: str) -> str:
    doings = [
        (f"{choice.stamp} is {choice.means}", f'data-dates="{plain(choice.time_format)}"') for choice in failure.choices
    ]
    if failure.row is not None:
        doings.append((f"Leave row {failure.row} out and look again", f'data-leave-out="{failure.row}"'))
    buttons = "".join(f'<button type="button" {what}>{plain(words)}</button>' for words, what in doings)
    title = f"How are the dates of {label} written?" if failure.choices else f"{label} cannot be used as it is"
    return (
        f'<h3 tabindex="-1">{plain(title)}</h3>'
        f'<div class="failure"><p>{plain(failure.message)}</p><p>{plain(failure.hint)}</p>{buttons}</div>'
    )
