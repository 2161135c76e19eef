"""What both checkpointers of ours do in their tables: keep the latest step, and the one before the last question."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

from langchain_core.runnables import RunnableConfig

BEFORE = "before"
"""Namespace of the rows that a thread had when its last question was asked; the graph itself has the empty one."""


class Execute(Protocol):
    """Runs a statement whose values are marked `?`."""

    async def __call__(self, statement: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """The rows, where it gives some."""
        ...


class LatestRows(ABC):
    """Rows of threads, of which only the latest step is kept, and the one before the last question.

    Attributes:
        columns: Of each table with rows of a thread, beside the thread and the namespace.
        steps: Tables with rows of each step.
        begun: Table of the turns that have begun.
    """

    columns: ClassVar[Mapping[str, str]]
    steps: ClassVar[tuple[str, str]]
    begun: ClassVar[str]

    @abstractmethod
    def _transaction(self) -> AbstractAsyncContextManager[Execute]:
        """All of what is run inside happens, or nothing, also when the process is killed."""

    async def begin(self, thread: str, turn: int, *, again: bool) -> None:
        """Keep the thread as it is before a question; or, where that question is asked again, put it back to then.

        Args:
            thread: Which one; nobody else works in it.
            turn: Which question of it.
            again: The question may have been asked; if it never came as far as the thread, there is nothing to undo.
        """
        async with self._transaction() as execute:
            begun = await execute(f"SELECT turn FROM {self.begun} WHERE thread_id = ?", (thread,))
            known = again and [row[0] for row in begun] == [turn]
            source, target = (BEFORE, "") if known else ("", BEFORE)
            for table, columns in self.columns.items():
                await execute(f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ?", (thread, target))
                await execute(
                    f"INSERT INTO {table} (thread_id, checkpoint_ns, {columns})"
                    f" SELECT thread_id, ?, {columns} FROM {table} WHERE thread_id = ? AND checkpoint_ns = ?",
                    (target, thread, source),
                )
            await execute(
                f"INSERT INTO {self.begun} VALUES (?, ?) ON CONFLICT (thread_id) DO UPDATE SET turn = excluded.turn",
                (thread, turn),
            )

    async def _keep_only(self, execute: Execute, saved: RunnableConfig) -> None:
        """Forget the steps before the one that was saved: each holds the whole state."""
        latest = saved["configurable"]
        for table in self.steps:
            await execute(
                f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id < ?",
                (latest["thread_id"], latest["checkpoint_ns"], latest["checkpoint_id"]),
            )

    def _made(self) -> str:
        """The statement that makes the table of begun turns."""
        return f"CREATE TABLE IF NOT EXISTS {self.begun} (thread_id TEXT PRIMARY KEY, turn INTEGER NOT NULL)"
