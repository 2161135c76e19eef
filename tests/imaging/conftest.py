"""The drawings behind the pictures, so that tests can look at structure instead of bytes."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from mm4st_agent.imaging.figure import TEXT_PT, Sheet


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """Every sheet that becomes a picture during the test, in order."""
    seen: list[Sheet] = []
    original = Sheet.picture

    def noting(self, *args, **kwargs):
        seen.append(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Sheet, "picture", noting)
    return seen


def drawn_texts(sheet: Sheet) -> list[Text]:
    """Every text that the picture shows: words, tick labels, legend."""
    figure = sheet.figure
    texts = list(figure.texts) + [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += [axes.title, *axes.texts, axes.xaxis.label, axes.yaxis.label]
        texts += [text for text in axes.get_children() if isinstance(text, Text)]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            inside = [tick for tick in axis.get_major_ticks() if min(limits) <= tick.get_loc() <= max(limits)]
            texts += [label for tick in inside for label in (tick.label1, tick.label2) if label.get_visible()]
    return [text for text in dict.fromkeys(texts) if text.get_visible() and text.get_text().strip()]


@pytest.fixture
def check_layout() -> Callable[[Sheet], None]:
    """Fails where letters of a finished picture are too small, are cut off, or touch."""

    def check(sheet: Sheet) -> None:
        size = sheet.figure.bbox
        texts = drawn_texts(sheet)
        shrink = 512 / max(size.width, size.height)
        smallest = min(text.get_size() * sheet.figure.dpi / 72 * shrink for text in texts)
        assert smallest >= 7, f"letters {smallest:.1f} px high at 512 px"
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
        for words, box in boxes:
            assert box.x0 >= 0, words
            assert box.y0 >= 0, words
            assert box.x1 <= size.width, words
            assert box.y1 <= size.height, words
        for (one, a), (other, b) in itertools.combinations(boxes, 2):
            apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
            assert apart, f"{one!r} touches {other!r}"
        for legend in sheet.figure.legends:
            for axes in sheet.figure.axes:
                assert legend.get_window_extent().y0 >= axes.bbox.y1, "the legend covers the data"

    return check


@pytest.fixture
def smallest_capitals_px() -> Callable[[Sheet, bytes, Image.Resampling], float]:
    """How high the capitals and digits of the smallest text stand where a model shrinks the picture to 512 pixels."""

    def measure(sheet: Sheet, png: bytes, resampling: Image.Resampling) -> float:
        with Image.open(io.BytesIO(png)) as image:
            shrink = 512 / max(image.size)
            small = image.convert("L").resize([round(side * shrink) for side in image.size], resampling)
        dark = np.asarray(small) < 160
        heights = []
        for text in drawn_texts(sheet):
            words = text.get_text()
            # One line with a letter of full height, and none that reaches below the line.
            if (
                not words.isascii()
                or set(words) & set("gjpqy,;()/_|$\n ")
                or not re.search("[A-Z0-9bdfhkl]", words)
                or text.get_size() > TEXT_PT
            ):
                continue
            box = text.get_window_extent()
            rows = slice(int(dark.shape[0] - box.y1 * shrink), int(np.ceil(dark.shape[0] - box.y0 * shrink)) + 1)
            inked = dark[rows, int(box.x0 * shrink) : int(np.ceil(box.x1 * shrink))].any(axis=1)
            if inked.any():
                heights.append(int(np.ptp(np.flatnonzero(inked))) + 1)
        assert heights, "no plain word was found"
        return min(heights)

    return measure


@pytest.fixture
def pixels() -> Callable[[bytes], NDArray[np.int16]]:
    """Decode a PNG to `(height, width, 3)`, rows from top to bottom."""

    def decode(png: bytes) -> NDArray[np.int16]:
        with Image.open(io.BytesIO(png)) as image:
            assert image.format == "PNG"
            return np.asarray(image.convert("RGB"), dtype=np.int16)

    return decode
