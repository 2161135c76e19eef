"""`Finding`: what one check of `mm4st doctor` found, and `examine`, which runs a check for a limited time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from mm4st_agent.errors import MM4STError

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was checked.
        status: `"warning"`: it works, but not as well as it could.
        said: What was found, with the value.
        hint: What to do; empty where nothing is.
        exit_code: Of `mm4st doctor`, where the check failed.
        seconds: How long the check took.
    """

    check: str
    status: Status
    said: str
    hint: str = ""
    exit_code: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The form that `mm4st doctor --json` prints."""
        return asdict(self)


Check = Callable[[], Finding]


def examine(name: str, check: Check, *, limit_s: float) -> Finding:
    """Run one check: its errors become a failed finding, and so does a check that takes too long.

    Args:
        name: Of the check, for findings that it could not make itself.
        check: Takes nothing; what it needs is bound to it.
        limit_s: After it the check is left to itself, on a thread that ends with the process.
    """
    found: list[Finding] = []
    started = time.perf_counter()

    def run() -> None:
        try:
            found.append(check())
        except MM4STError as err:
            found.append(Finding(name, "failed", err.message, err.hint, err.exit_code))
        except Exception as err:  # noqa: BLE001 - the doctor says what is broken, and goes on
            found.append(Finding(name, "failed", f"It broke: {err!r}.", "Please report it.", 1))

    worker = threading.Thread(target=run, daemon=True, name=f"doctor: {name}")
    worker.start()
    worker.join(limit_s)
    seconds = time.perf_counter() - started
    if not found:
        found.append(
            Finding(
                name, "failed", f"It took longer than {limit_s:g} s.", "Try again when the machine is less busy.", 1
            )
        )
    return replace(found[0], seconds=round(seconds, 2))
