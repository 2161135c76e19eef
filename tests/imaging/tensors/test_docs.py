"""docs/imaging.md: its example runs and prints what it says, and its table is that of the code."""

import re
from pathlib import Path

import pytest

from mm4st_agent.imaging.tensors.methods import METHODS

PAGE = (Path(__file__).parents[3] / "docs" / "imaging.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    exec(found[1], {})
    assert capsys.readouterr().out == found[2]


def test_the_table_says_of_each_method_what_the_code_says() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`: (.+) \|$", PAGE, re.MULTILINE))
    assert list(rows) == list(METHODS)
    for name, each in METHODS.items():
        title, _, _, orientation, loses, inverse, gradient = rows[name].split(" | ")
        assert (title, orientation, loses) == (each.title, each.orientation, each.loses)
        assert inverse == ("exact" if each.decode else "none")
        assert gradient == ("yes" if each.differentiable else "no")
