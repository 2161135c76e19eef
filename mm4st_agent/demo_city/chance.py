"""Random numbers that belong to a named thing: taking a cause away changes no other draw, on any machine."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one thing, such as `stream(7, "air/turbulence/A03")`.

    Only `random` and `integers` are the same on every machine; the other distributions call the system's
    mathematics library.
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
