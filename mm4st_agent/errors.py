"""The error tree: each error says what was wrong, the value, and what would work.

    MM4STError
    |-- UsageError      a bad argument                       exit code 2
    |-- DataError       data that is missing or malformed    exit code 3
    |-- ServerError     a server that cannot be reached      exit code 4
    |-- AgentError      the chat model did not come to an answer   exit code 1
    `-- ToolError       any of these, inside a tool; the model reads it and adapts

Anything else that is raised is a bug (exit code 1) and never becomes an answer.
"""

from __future__ import annotations

from typing import ClassVar


class MM4STError(Exception):
    """A failure that the person can mend.

    Args:
        message: What was wrong, with the value, as one sentence.
        hint: What would work; empty when the message says it already.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_json(self) -> dict[str, dict[str, str]]:
        """The `{error: {kind, message, hint}}` form that `--json` prints."""
        return {"error": {"kind": self.kind, "message": self.message, "hint": self.hint}}


class UsageError(MM4STError):
    """An argument is unknown, out of range or contradicts another."""

    kind = "usage"
    exit_code = 2


class DataError(MM4STError):
    """A data set is missing, malformed, or too short for what was asked."""

    kind = "data"
    exit_code = 3


class ServerError(MM4STError):
    """A server that was asked for does not answer."""

    kind = "server"
    exit_code = 4


class AgentError(MM4STError):
    """The chat model used up its steps, or kept sending what nobody can read."""

    kind = "agent"


class ToolError(MM4STError):
    """A known failure inside a tool. It reaches the chat model, which may adapt."""

    kind = "tool"
    exit_code = 2

    @classmethod
    def from_error(cls, error: MM4STError) -> ToolError:
        """Keep the sentence and the exit code of the error that a tool met."""
        wrapped = cls(error.message, error.hint)
        wrapped.kind = error.kind  # type: ignore[misc]
        wrapped.exit_code = error.exit_code  # type: ignore[misc]
        return wrapped
