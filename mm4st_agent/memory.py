"""Memory and cores of a process that answers for hours, or works through a large panel."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Any

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Numbers of glibc's `malloc.h`."""


def stay_level(mapped_from: int = 4 * 2**20) -> None:
    """Call this first in a process that forecasts again and again, before anything large is loaded.

    glibc keeps freed arrays in an arena a thread, torn into pieces that fit nothing else: 200 answers left 1.3 GB that
    it gave back only when told to, and a forecast of 8,600 nodes took 745 instead of 600 MB. With two arenas and
    large blocks mapped by themselves, memory stays level.

    Args:
        mapped_from: Bytes of a large block. With less, less stays behind, but the system has more to do: with 256 KB
            a forecast of 1,000 nodes took a tenth less memory and half as much time again.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_MMAP_THRESHOLD, mapped_from)
        mallopt(_M_ARENA_MAX, 2)


def settle() -> None:
    """`stay_level` for a server; besides, networks get one thread each, as several people ask at once."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    stay_level(mapped_from=256 * 2**10)


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
