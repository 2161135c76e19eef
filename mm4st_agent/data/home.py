"""A home folder that cannot be used is one clear error, whichever part of the program meets it first."""

from __future__ import annotations

from pathlib import Path

from mm4st_agent.errors import UsageError


def unusable(folder: Path, err: OSError) -> UsageError:
    """The error for a folder of the home that cannot be made, read or written."""
    reason = err.strerror or str(err)
    return UsageError(
        f"The folder {folder} cannot be used: {reason}.",
        "Set MM4ST_HOME to a folder of your own, on a disk with room.",
    )
