"""The peers' way to draw the same pictures; what is not installed is said, not failed on."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
Draw = Callable[[Series], object]
Size = tuple[int, int]

SQUARE: Size = (224, 224)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library's drawing of one method.

    Attributes:
        name: The library and the function.
        package: What must be installed for it.
        size: (H, W) that it draws, which ours is then drawn at; None is the natural size of both.
        load: Imports the library and gives what draws `(B, T)`.
    """

    name: str
    package: str
    size: Size | None
    load: Callable[[], Draw]

    @property
    def missing(self) -> str | None:
        """Why it cannot run here."""
        return None if importlib.util.find_spec(self.package) else f"{self.package} is not installed"


def _pyts(name: str, **options: Any) -> Callable[[], Draw]:
    def load() -> Draw:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyts import image
        draw = getattr(image, name)(**options).fit_transform
        return lambda series: draw(series)

    return load


def _scipy_stft() -> Draw:
    from scipy import signal

    def draw(series: Series) -> object:
        centred = series - series.mean(axis=1, keepdims=True)
        return np.abs(signal.stft(centred, nperseg=64, noverlap=60, boundary=None, padded=False)[2])

    return draw


def _pywt_cwt() -> Draw:
    import pywt

    from mm4st_agent.imaging.tensors.spectra import WAVELET, geometric_scales

    def draw(series: Series) -> object:
        centred = series - series.mean(axis=1, keepdims=True)
        return np.abs(pywt.cwt(centred, geometric_scales(series.shape[1]), WAVELET, axis=-1)[0])

    return draw


def _librosa_mel() -> Draw:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa

    def draw(series: Series) -> object:
        centred = series - series.mean(axis=1, keepdims=True)
        power = librosa.feature.melspectrogram(
            y=centred, sr=16_000, n_fft=64, hop_length=4, n_mels=32, center=False, htk=True, norm=None
        )
        return librosa.power_to_db(power, ref=np.max)

    return draw


def _agg(plot: Callable[[Any, NDArray[np.float64]], object]) -> Callable[[], Draw]:
    """One figure and one pair of bare axes, cleared for each picture: nothing but the curve or the cells."""

    def load() -> Draw:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2.24, 2.24), dpi=100)
        canvas: Any = FigureCanvasAgg(figure)
        axes: Any = figure.add_axes((0, 0, 1, 1))

        def one(values: NDArray[np.float64]) -> object:
            axes.clear()
            axes.set_axis_off()
            plot(axes, values)
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())

        return lambda series: [one(values) for values in series]

    return load


def _plot_heatmap(axes: Any, values: NDArray[np.float64]) -> object:
    rows = -(-len(values) // HEATMAP_PERIOD)
    folded = np.pad(values, (0, rows * HEATMAP_PERIOD - len(values)), constant_values=np.nan)
    return axes.imshow(folded.reshape(rows, -1), aspect="auto", interpolation="nearest")


HEATMAP_PERIOD = 17
"""Steps in a row: what `uvh` takes for 288 steps without a period."""

PEERS: dict[str, Peer] = {
    "line": Peer("matplotlib Agg plot", "matplotlib", SQUARE, _agg(lambda axes, values: axes.plot(values))),
    "uvh": Peer("matplotlib Agg imshow", "matplotlib", SQUARE, _agg(_plot_heatmap)),
    "stft": Peer("scipy.signal.stft", "scipy", None, _scipy_stft),
    "cwt": Peer("pywt.cwt, 64 scales", "pywt", None, _pywt_cwt),
    "filterbank": Peer("librosa melspectrogram, power_to_db", "librosa", None, _librosa_mel),
    "gasf": Peer("pyts GramianAngularField", "pyts", SQUARE, _pyts("GramianAngularField", image_size=224)),
    "gadf": Peer(
        "pyts GramianAngularField", "pyts", SQUARE, _pyts("GramianAngularField", image_size=224, method="difference")
    ),
    "mtf": Peer("pyts MarkovTransitionField", "pyts", SQUARE, _pyts("MarkovTransitionField", image_size=224, n_bins=8)),
    "rp": Peer("pyts RecurrencePlot", "pyts", None, _pyts("RecurrencePlot", threshold=None)),
}
"""By the name of our method."""
