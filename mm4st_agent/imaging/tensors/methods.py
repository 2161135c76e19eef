"""Every picture for models by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.tensors.correlation import CORRELATION
from mm4st_agent.imaging.tensors.dayfold import DAYFOLD
from mm4st_agent.imaging.tensors.fold import MVH, UVH
from mm4st_agent.imaging.tensors.gramian import GADF, GASF
from mm4st_agent.imaging.tensors.line import LINE
from mm4st_agent.imaging.tensors.markov import MTF
from mm4st_agent.imaging.tensors.method import Method
from mm4st_agent.imaging.tensors.raster import RASTER
from mm4st_agent.imaging.tensors.recurrence import RECURRENCE
from mm4st_agent.imaging.tensors.spectra import CWT, FILTERBANK, STFT
from mm4st_agent.imaging.tensors.strip import STRIP

_ALL = (
    LINE, UVH, MVH, STFT, CWT, FILTERBANK, GASF, GADF, MTF, RECURRENCE, STRIP, RASTER, DAYFOLD, CORRELATION,
)  # fmt: skip
METHODS: Mapping[str, Method] = MappingProxyType({each.name: each for each in _ALL})


def method(name: str) -> Method:
    """The method of this name.

    Raises:
        UsageError: there is none.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise UsageError(f"There is no imaging method {name!r}.", f"Known: {', '.join(METHODS)}.") from None
