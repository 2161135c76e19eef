"""Tools in threads that can be left: nobody waits for one whose answer is no longer wanted."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")

NAME = "mm4st-tool"
"""Of the threads."""
AT_ONCE = (os.cpu_count() or 1) + 1
"""So many tools run side by side, over all conversations of an event loop; further ones wait their turn."""

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def run_aside(limit_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread of its own.

    A thread cannot be killed: one that is left behind by the time limit or by a cancelled caller
    goes on, but its result is dropped, and neither the event loop nor the process waits for it
    (both wait for `asyncio.to_thread`).

    Args:
        limit_s: From the start of the call, waiting for a free slot not counted.
        function: What to call.
        *args: Given to it.
        **kwargs: Given to it.

    Raises:
        TimeoutError: the function took longer.
    """
    loop = asyncio.get_running_loop()
    async with _slots.setdefault(loop, asyncio.Semaphore(AT_ONCE)):
        done: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def settle(setter: Callable[[Any], None], value: Any) -> None:
            if not done.done():
                setter(value)

        def work() -> None:
            outcome: tuple[Callable[[Any], None], Any]
            try:
                outcome = done.set_result, context.run(function, *args, **kwargs)
            except BaseException as err:  # noqa: BLE001 - whoever waits gets it
                outcome = done.set_exception, err
            with suppress(RuntimeError):  # the loop is closed, so nobody waits
                loop.call_soon_threadsafe(settle, *outcome)

        threading.Thread(target=work, name=NAME, daemon=True).start()
        async with asyncio.timeout(limit_s):
            return await done
