"""How a training tells of itself; light to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

Stopped: TypeAlias = Literal["patience", "epochs", "budget"]
"""What ended a training: no better validation MAE for so long, all its epochs, or its time."""
Report: TypeAlias = Callable[[float, float | None], None]
"""Told the epochs that are done (a fraction) and the lowest validation MAE so far, in the channel's unit."""
