"""What a notebook shows of a result or an answer: HTML that holds all it needs, pictures included."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from mm4st_agent.agent.answer import Answer

if TYPE_CHECKING:
    from mm4st_agent.api.results import Result

MOST_ROWS = 20
"""Of each table."""
_CELL = 'style="text-align:left"'


def result_html(result: Result[Any]) -> str:
    """Title, pictures, values, tables and warnings of a tool's reply."""
    parts = [
        f"<p><b>{escape(result.tool)}</b> of {escape(result.dataset)} "
        f"as of {escape(f'{result.as_of:%Y-%m-%d %H:%M %Z}')}</p>"
    ]
    parts += [_picture(picture.png, picture.alt, picture.title) for picture in result.pictures]
    rows = [(path, q.value, q.unit) for path, q in result.quantities.items() if "[" not in path and q.unit != "id"]
    parts += [_table(["", "value", "unit"], [_value_row(*row) for row in rows])] if rows else []
    parts += [_frame(name, result.to_pandas(name)) for name in result.tables]
    parts += [f"<p>Note: {escape(warning)}</p>" for warning in result.warnings]
    return f"<div>{''.join(parts)}</div>"


def shown(answer: Answer) -> Answer:
    """The same answer, which a notebook shows as people read it."""
    return _Shown.model_construct(**dict(answer))


class _Shown(Answer):
    def __repr_name__(self) -> str:
        return Answer.__name__

    def _repr_html_(self) -> str:
        return answer_html(self)


def answer_html(answer: Answer) -> str:
    """Text, choices, figures, sources, warnings, and how many of its statements were verified."""
    from pathlib import Path

    from markdown_it import MarkdownIt

    # A chat model wrote the text, so nothing in it may load or run anything.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    parts = [markdown.render(answer.answer)]
    if answer.choices:
        parts.append("<ol>" + "".join(f"<li>{escape(choice)}</li>" for choice in answer.choices) + "</ol>")
    for figure in answer.figures:
        file = Path(figure.path)
        parts.append(_picture(file.read_bytes(), figure.alt, figure.title) if file.is_file() else "")
    parts += [f"<p>Source [{escape(c.evidence)}]: {escape(c.source)}</p>" for c in answer.citations]
    parts += [f"<p>Note: {escape(warning)}</p>" for warning in answer.warnings]
    verified = sum(claim.status == "verified" for claim in answer.claims)
    parts.append(
        f"<p><small>{verified} of {len(answer.claims)} statements verified; answered by {escape(answer.chat_model)}; "
        f"data {escape(answer.dataset)} as of {escape(answer.as_of)}; thread {escape(answer.thread)}</small></p>"
    )
    return f"<div>{''.join(parts)}</div>"


def _picture(png: bytes, alt: str, title: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" title="{escape(title)}" style="max-width:100%"/>'
    )


def _frame(name: str, frame: pd.DataFrame) -> str:
    units = frame.attrs["units"]
    head = [f"{column} [{units[column]}]" if units.get(column, "id") != "id" else str(column) for column in frame]
    if frame.index.name is not None:
        head.insert(0, str(frame.index.name))
    rows = [
        [_cell(value) for value in (row if frame.index.name is not None else row[1:])]
        for row in frame.head(MOST_ROWS).itertuples(name=None)
    ]
    more = f"<p>{len(frame) - MOST_ROWS} more rows: <code>to_pandas({name!r})</code></p>"
    return f"<p>{escape(name)}</p>{_table(head, rows)}{more if len(frame) > MOST_ROWS else ''}"


def _value_row(path: str, value: Any, unit: str) -> list[str]:
    return [path, _cell(pd.Timestamp(value)), ""] if unit == "time" else [path, _cell(value), unit]


def _cell(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    if value is None or (isinstance(value, float) and pd.isna(value)) or value is pd.NaT:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    heads = "".join(f"<th {_CELL}>{escape(text)}</th>" for text in head)
    cells = "".join("<tr>" + "".join(f"<td {_CELL}>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"
