"""Blocking calls for programs with an event loop, and awaited ones for programs without."""

from __future__ import annotations

import asyncio
import functools
import math
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")


def awaited(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """The async twin of a method that blocks: the same arguments, run in a thread of its own."""

    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        from mm4st_agent.agent.tool_threads import run_aside

        return await run_aside(math.inf, method, self, *args, **kwargs)

    functools.update_wrapper(twin, method)
    twin.__name__ = f"a{method.__name__}"
    twin.__qualname__ = method.__qualname__.replace(method.__name__, twin.__name__)
    twin.__doc__ = f"Await `{method.__name__}`; the event loop stays free meanwhile."
    return twin


def started(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine in the one event loop that all sessions share, beside whatever loop the caller has.

    A client of a served chat model belongs to the loop that it was first used in, so there is only one.
    """
    return asyncio.run_coroutine_threadsafe(work, _loop())


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine there and wait for it; an interrupt stops it."""
    running = started(work)
    try:
        return running.result()
    except BaseException:
        running.cancel()
        raise


_making = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    with _making:  # `cache` alone would let two threads make one each
        return _make_loop()


@functools.cache
def _make_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="mm4st-sessions", daemon=True).start()
    return loop
