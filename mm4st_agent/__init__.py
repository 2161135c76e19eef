"""Answers questions about spatio-temporal data; every number it says can be traced.

    import mm4st_agent as mm4st

    session = mm4st.open("demo")
    session.forecast("S039", horizon_min=60)

What `__all__` lists is public; it is imported on first use, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm4st_agent.agent.answer import Answer, AnswerFigure, Citation, Claim
    from mm4st_agent.agent.ledger import Evidence, EvidenceValue
    from mm4st_agent.api.results import Picture, Result
    from mm4st_agent.api.session import Session, open
    from mm4st_agent.errors import AgentError, DataError, MM4STError, ServerError, ToolError, UsageError
    from mm4st_agent.toolspec import Quantity

__version__ = "0.1.0"

__all__ = [
    "AgentError",
    "Answer",
    "AnswerFigure",
    "Citation",
    "Claim",
    "DataError",
    "Evidence",
    "EvidenceValue",
    "MM4STError",
    "Picture",
    "Quantity",
    "Result",
    "ServerError",
    "Session",
    "ToolError",
    "UsageError",
    "__version__",
    "open",
]

_HOMES = {
    "mm4st_agent.agent.answer": ("Answer", "AnswerFigure", "Citation", "Claim"),
    "mm4st_agent.agent.ledger": ("Evidence", "EvidenceValue"),
    "mm4st_agent.api.results": ("Picture", "Result"),
    "mm4st_agent.api.session": ("Session", "open"),
    "mm4st_agent.errors": ("AgentError", "DataError", "MM4STError", "ServerError", "ToolError", "UsageError"),
    "mm4st_agent.toolspec": ("Quantity",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
