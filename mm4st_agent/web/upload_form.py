"""The HTML form that corrects how an uploaded file was understood."""

from __future__ import annotations

from collections.abc import Sequence

from mm4st_agent.web.markup import plain
from mm4st_agent.web.upload_review import LABELS, Corrections, Failure, Quantity, Review

LAYOUTS = {
    "wide": "a row for each time, a column for each place",
    "single": "a row for each time, all of one place",
    "long": "a row for each time and place",
    "records": "a row for each occurrence, counted by time step",
}
FORMATS = ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M")
MOST_COLUMNS = 300
"""Of a table that can be chosen by name."""
MOST_UNITS = 20


def fields(stated: Corrections, review: Review | None, failure: Failure | None) -> str:
    """What can be corrected, as HTML for inside a form.

    Args:
        stated: What the person stated so far.
        review: The last one of this file, if there was any; it says what was worked out.
        failure: Why the file could not be read, where it could not.
    """
    columns = (review.columns if review else failure.columns if failure else [])[:MOST_COLUMNS]
    common = [
        _text("time_zone", stated.time_zone, f"{review.zone if review else 'UTC'}", 'list="upload-zones"'),
        '<button type="button" class="link" data-zone hidden></button>',
        _select(
            "time_label",
            stated.time_label,
            [("instant", "the moment of the reading"), ("start", "the beginning of the time it covers")],
        ),
    ]
    if review is not None:
        common += _quantities(stated, review)
    kinds = [("auto", "worked out"), *((kind, LAYOUTS[kind]) for kind in ("wide", "long", "records"))]
    rare = [
        _select("layout", stated.layout, kinds),
        _select("time_column", stated.time_column, _named(columns, review.time if review else [])),
        _select("node_column", stated.node_column, _named(columns, [review.node] if review and review.node else [])),
        _roles(stated, review),
        _dates(stated),
        _text("place_word", stated.place_word, "sensor"),
        _text("missing", stated.missing, "worked out"),
        _text("step", stated.step, "worked out, or such as 5 min"),
        _text("start", stated.start, "only where no column has the time"),
        _text("member", stated.member, "of a workbook, zip or array file"),
        _text("left_out", stated.left_out, "such as 2, 98"),
    ]
    opened = " open" if failure is not None and not failure.choices and failure.row is None else ""
    return (
        f"<fieldset><legend>Correct it</legend>{''.join(common)}"
        f"<details{opened}><summary>More</summary>{''.join(rare)}</details>"
        '<button type="submit" value="inspect">Look again</button></fieldset>'
    )


def _named(columns: Sequence[str], found: Sequence[str]) -> list[tuple[str, str]]:
    return [("", f"worked out{': ' if found else ''}{', '.join(found)}"), *((name, name) for name in columns)]


def _text(name: str, value: str, placeholder: str, more: str = "") -> str:
    return (
        f'<label>{LABELS[name]}<input name="{name}" value="{plain(value)}" placeholder="{plain(placeholder)}" '
        f'autocomplete="off" {more}></label>'
    )


def _quantities(stated: Corrections, review: Review) -> list[str]:
    """What was measured, and in which units."""
    if len(review.channels) > 1:
        several = (*review.channels, *review.covariates)[:MOST_UNITS]
        return [_unit(f"units:{each.name}", each, stated.units.get(each.name, "")) for each in several]
    only = review.channels[0]
    # While the person calls it something else, the file's own name is the one that the form had before.
    of = stated.unit_of if stated.measured and stated.unit_of else only.name
    return [
        _text("measured", stated.measured, only.name),
        f'<input type="hidden" name="unit_of" value="{plain(of)}">',
        _unit("unit", only, stated.unit),
        *(_unit(f"units:{c.name}", c, stated.units.get(c.name, "")) for c in review.covariates[:MOST_UNITS]),
    ]


def _unit(field: str, quantity: Quantity, value: str) -> str:
    return (
        f'<label>Unit of {plain(quantity.name)}<input name="{plain(field)}" value="{plain(value)}" '
        f'placeholder="{plain(quantity.unit or "unknown")}" autocomplete="off"></label>'
    )


def _select(name: str, value: str, choices: Sequence[tuple[str, str]], label: str = "") -> str:
    options = "".join(
        f'<option value="{plain(key)}"{" selected" if key == value else ""}>{plain(words)}</option>'
        for key, words in choices
    )
    return f'<label>{plain(label) or LABELS[name]}<select name="{plain(name)}">{options}</select></label>'


def _dates(stated: Corrections) -> str:
    listed = "".join(f'<option value="{form}">' for form in FORMATS)
    field = _text("time_format", stated.time_format, f"worked out, or such as {FORMATS[0]}", 'list="upload-formats"')
    return f'{field}<datalist id="upload-formats">{listed}</datalist>'


def _roles(stated: Corrections, review: Review | None) -> str:
    """What each column is, where there are few."""
    if review is None or len(review.roles) < 2:
        return ""
    kinds = [
        ("measured", "a place" if review.layout == "wide" else "measured"),
        ("beside", "beside that: weather, calendar"),
    ]
    lines = "".join(
        _select(f"roles:{column}", stated.roles.get(column, role), kinds, label=column)
        for column, role in review.roles.items()
    )
    given = " data-given" if stated.roles else ""
    return (
        f'<fieldset class="roles"{given}><legend>{LABELS["roles"]}</legend>'
        f'<input type="hidden" name="sorted_as" value="{review.layout}">{lines}</fieldset>'
    )
