"""Memory and cores of a process that answers for hours."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Any

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Numbers of glibc's `malloc.h`."""


def settle() -> None:
    """Call this first in the server's process, before anything large is loaded.

    glibc keeps freed arrays in an arena a thread, so that a process which draws and forecasts in many threads grows
    for hours: it gave back 1.3 of 2.2 GB in 200 answers only when told to. With two arenas and large blocks mapped
    by themselves, memory stays level. Networks get one thread each: several people ask at once.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if mallopt := _glibc("mallopt"):
        mallopt(_M_MMAP_THRESHOLD, 256 * 1024)
        mallopt(_M_ARENA_MAX, 2)


def keep() -> None:
    """Call this once all is loaded: from now on, collecting garbage looks at what came later only.

    Looking through everything takes a third of a second, for which nobody gets an answer.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Return to the system what is free; for moments in which nobody waits, as it takes some milliseconds.

    An answer leaves megabytes of arrays in reference cycles, which Python would keep until thousands more have come.
    """
    gc.collect()
    if malloc_trim := _glibc("malloc_trim"):
        malloc_trim(0)


def _glibc(name: str) -> Any:
    """A function of the C library; None where it has no such one, as others than glibc."""
    return getattr(ctypes.CDLL(None), name, None)
