"""Text templates. `load(name)` gives one; rendering fails on a missing variable."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, UndefinedError

from mm4st_agent.errors import UsageError

_FOLDER = Path(__file__).parent
_MARKS = str.maketrans({**dict.fromkeys('"“”„‟«»', "'"), "[": "(", "]": ")", "<": "‹", ">": "›"})
_LONGEST_INLINE = 80


class Prompt:
    """One template of this folder, and the hash that a run manifest records."""

    def __init__(self, name: str, source: str, template: Template) -> None:
        self.name = name
        self.sha256 = hashlib.sha256(source.encode()).hexdigest()
        self._template = template

    def render(self, **variables: Any) -> str:
        """Fill the template.

        Raises:
            UsageError: the template uses a variable that was not given.
        """
        try:
            return re.sub(r"\n{3,}", "\n\n", self._template.render(**variables).strip())
        except UndefinedError as err:
            raise UsageError(f"Prompt {self.name!r} lacks a variable: {err}.") from err


def names() -> list[str]:
    """The templates in this folder, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.j2"))


@cache
def hashes() -> dict[str, str]:
    """The sha256 of every template by name, as this process first read them."""
    return {name: hashlib.sha256(_source(name).encode()).hexdigest() for name in names()}


def _source(name: str) -> str:
    return (_FOLDER / f"{name}.j2").read_text(encoding="utf-8")


def _number(value: float) -> str:
    """Three significant digits or whole numbers, with thousands separators: 4,872; 37.5; 0.041."""
    size = abs(value)
    decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"


def _clock(moment: str) -> str:
    """`07:30` of an ISO 8601 text, in the offset that it carries."""
    return f"{datetime.fromisoformat(moment):%H:%M}"


def _day(moment: str) -> str:
    """`Tuesday 25 January 2022` of an ISO 8601 text."""
    when = datetime.fromisoformat(moment)
    return f"{when:%A} {when.day} {when:%B %Y}"


def _iso_day(moment: str) -> str:
    """`2022-01-25` of an ISO 8601 text."""
    return moment[:10]


def until(start: str, end: str) -> str:
    """`from 07:30 to 08:30 on Tuesday 25 January 2022` of two ISO 8601 texts; both days where they differ."""
    if start == end:
        return f"at {_clock(end)} on {_day(end)}"
    first = "" if _day(start) == _day(end) else f" on {_day(start)}"
    return f"from {_clock(start)}{first} to {_clock(end)} on {_day(end)}"


def _amount(value: float, unit: str | None) -> str:
    """A number with its unit; the unit of a share, `1`, is not written."""
    return _number(value) if unit in (None, "", "1") else f"{_number(value)} {unit}"


def _lasting(minutes: float) -> str:
    """A length of time to stand behind 'the last': `30 minutes`, `hour`, `2 hours`, `day`, `7 days`."""
    if minutes < 120 and minutes != 60:
        return f"{_number(minutes)} minutes"
    size, name = (1440, "day") if minutes >= 1440 and minutes % 1440 == 0 else (60, "hour")
    return name if minutes == size else f"{_number(minutes / size)} {name}s"


def _stretch(minutes: float) -> str:
    """A length of time on its own: `30 minutes`, `1 hour`, `2 hours`, `1 day`."""
    said = _lasting(minutes)
    return said if said[0].isdigit() else f"1 {said}"


def _sentences(text: str, most: int) -> str:
    """The first `most` sentences, unchanged, so that a quotation of them stays one."""
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s|$)", text)]
    return text[: ends[most - 1]] if len(ends) >= most else text


def _was(title: str) -> str:
    """'were' behind a title whose last word is a plural, such as 'requests'; else 'was'."""
    words = re.sub(r"\([^)]*\)", "", title).split()
    return "were" if words and re.search(r"[a-z](?<![su])s$", words[-1]) else "was"


def quotable(text: str) -> str:
    """`text` on one line, without characters that would end a quotation or look like marks of our own.

    Double quotation marks become single ones, brackets round ones, and angle brackets guillemets, so that a text from
    outside stays inside its quotation marks, and points to no evidence and no picture.
    """
    return " ".join(text.translate(_MARKS).split())


def _quoted(text: str) -> str:
    """`text` in double quotation marks that nothing in it can end."""
    return f'"{quotable(text)}"'


def _inline(text: str) -> str:
    """A short text from outside, such as a place, to stand in a sentence of ours."""
    plain = quotable(text)
    return plain if len(plain) <= _LONGEST_INLINE else f"{plain[:_LONGEST_INLINE]}..."


@cache
def load(name: str) -> Prompt:
    """Read the template `name`.

    Raises:
        UsageError: there is no such template.
    """
    path = _FOLDER / f"{name}.j2"
    if not path.is_file():
        raise UsageError(f"No prompt {name!r}.", f"Known: {', '.join(names())}.")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters.update(
        number=_number, amount=_amount, clock=_clock, day=_day, iso_day=_iso_day, until=until, lasting=_lasting,
        stretch=_stretch, sentences=_sentences, quoted=_quoted, inline=_inline, was=_was,
    )  # fmt: skip
    source = _source(name)
    return Prompt(name, source, environment.from_string(source))
