"""What is public is listed, and importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mm4st_agent as mm4st

PUBLIC = {
    "AgentError", "Answer", "AnswerFigure", "Citation", "Claim", "DataError", "Evidence", "EvidenceValue", "MM4STError",
    "Picture", "Quantity", "Result", "ServerError", "Session", "ToolError", "UsageError", "__version__", "open",
}  # fmt: skip
HEAVY = (
    "chromadb", "click", "gradio", "langchain_core", "langgraph", "matplotlib", "numpy", "pandas", "pydantic",
    "sentence_transformers", "torch", "transformers", "xarray",
)  # fmt: skip

PROGRAM = """
import mm4st_agent as mm4st

async def main() -> None:
    session = mm4st.open("demo")
    reveal_type(session.forecast("S039", horizon_min=30))
    reveal_type((await session.aforecast("S039")).out.peak.median)
    reveal_type(session.ask("What data do you have?"))
    session.forecast("S039", minutes=30)
    await session.aforecast("S039", minutes=30)
"""


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout


def test_what_is_public_is_listed_and_there() -> None:
    assert set(mm4st.__all__) == PUBLIC
    for name in mm4st.__all__:
        assert getattr(mm4st, name) is not None
        assert name in dir(mm4st)
    with pytest.raises(AttributeError, match="no attribute 'Panel'"):
        _ = mm4st.Panel


def test_importing_loads_nothing_heavy() -> None:
    loaded = _python("import mm4st_agent, sys; print(*sys.modules)").split()

    assert not set(HEAVY) & {name.partition(".")[0] for name in loaded}
    assert [name for name in loaded if name.startswith("mm4st_agent")] == ["mm4st_agent"]


def test_importing_takes_less_than_a_third_of_a_second() -> None:
    # Processor time, and the best of some, so that other work on the machine does not count.
    code = "import time; t = time.process_time(); import mm4st_agent; print(time.process_time() - t)"

    assert min(float(_python(code)) for _ in range(3)) < 0.3


def test_editors_and_mypy_see_the_types(tmp_path: Path) -> None:
    source = tmp_path / "program.py"
    source.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(source)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip

    said = done.stdout + done.stderr
    assert 'is "mm4st_agent.api.results.Result[tools.forecast.ForecastOut]"' in said
    assert 'is "float | None"' in said
    assert 'is "mm4st_agent.agent.answer.Answer"' in said
    assert said.count('Unexpected keyword argument "minutes"') == 2, said
