"""What holds for every method: shapes, range, mask, gaps, edges of the input, and memory bounded by the chunk."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.imaging.tensors.method import Method, encode_chunked
from mm4st_agent.imaging.tensors.methods import METHODS, method

ALL = pytest.mark.parametrize("name", list(METHODS))


def given(each: Method, values: torch.Tensor) -> torch.Tensor:
    """`(B, T)` as what the method takes."""
    return values[:, None] if each.spatial else values


@pytest.fixture
def values() -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return 40 + 20 * torch.sin(torch.arange(300) / 20) + torch.randn(5, 300, generator=generator)


def test_the_known_methods() -> None:
    wanted = "line uvh mvh stft cwt filterbank gasf gadf mtf rp strip raster dayfold correlation"
    assert list(METHODS) == wanted.split()
    assert all(name == each.name for name, each in METHODS.items())
    assert method("rp").title == "recurrence plot"
    with pytest.raises(UsageError, match="'gaf'") as raised:
        method("gaf")
    assert "gasf, gadf" in raised.value.hint


def test_a_reading_beyond_float32_counts_as_missing() -> None:
    series = torch.tensor([[1e300, 1.0, -1e300, 2.0]], dtype=torch.float64)
    (image,) = encode_chunked(method("uvh"), series)
    assert image[0, 0].flatten().tolist() == [0.0, 1.0, 0.0, 2.0]
    assert image[0, 1].flatten().tolist() == [0.0, 1.0, 0.0, 1.0]


@ALL
class TestEvery:
    def test_pictures_have_the_size_asked_for_and_stay_in_range(self, name: str, values: torch.Tensor) -> None:
        each = method(name)
        for size in (None, (32, 48), (320, 310)):
            image = each.encode(given(each, values), size)
            assert image.dtype == torch.float32
            assert image.shape[0] == 5
            assert image.shape[1] >= 2
            assert size is None or image.shape[2:] == size
            assert image[:, :-1].min() >= each.low - 1e-6
            assert image[:, :-1].max() <= each.high + 1e-6
            assert image[:, -1].min() >= 0
            assert image[:, -1].max() <= 1
            assert image[:, -1].mean() > 0.9 or name == "dayfold"  # it fills up the first day

    def test_masks_what_was_not_read_and_only_that(self, name: str, values: torch.Tensor) -> None:
        each = method(name)
        whole = each.encode(given(each, values), None)
        values[0, 100:250] = torch.nan
        values[1, 150:160] = torch.inf
        image = each.encode(given(each, values), None)
        assert image.isfinite().all()
        assert image[0, -1].mean() < whole[0, -1].mean()
        assert image[1, -1].mean() < whole[1, -1].mean()
        unread = (image[:, -1:] == 0).expand_as(image[:, :-1])
        assert (image[:, :-1][unread] == 0).all()
        torch.testing.assert_close(image[2:], whole[2:])

    def test_nothing_read_is_an_empty_picture(self, name: str) -> None:
        each = method(name)
        assert (each.encode(given(each, torch.full((2, 40), torch.nan)), (16, 16)) == 0).all()

    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_short_and_constant_series_are_defined(self, name: str, steps: int) -> None:
        each = method(name)
        for series in (torch.full((1, steps), 5.1), torch.arange(float(steps))[None]):
            for size in (None, (8, 8)):
                image = each.encode(given(each, series), size)
                assert image.isfinite().all()
                assert image[:, :-1].min() >= each.low
                assert image[:, :-1].max() <= each.high

    def test_other_shapes_are_refused(self, name: str) -> None:
        each = method(name)
        for wrong in (torch.zeros(3), torch.zeros(1, 1, 1, 3), given(each, torch.zeros(2, 0))):
            with pytest.raises(DataError, match="cannot be drawn"):
                each.encode(wrong, None)

    @pytest.mark.parametrize("size", [None, (24, 40)])
    def test_ready_memory_gives_the_same_pictures(
        self, name: str, values: torch.Tensor, size: tuple[int, int] | None
    ) -> None:
        each = method(name)
        values[0, 100:150] = torch.nan
        series = given(each, values)
        whole = each.encode(series, size)
        memory = torch.full_like(whole, 99)
        image = each.encode(series[:3], size, out=memory)
        assert image.data_ptr() == memory.data_ptr()
        torch.testing.assert_close(image, whole[:3])
        chunks = [part.clone() for part in encode_chunked(each, series, size, chunk=2, reuse=True)]
        torch.testing.assert_close(torch.cat(chunks), whole)
        for wrong in (memory[:2], memory.double(), memory[..., 1:]):
            with pytest.raises(UsageError, match="do not fit"):
                each.encode(series[:3], size, out=wrong)

    def test_gradients_reach_the_series_where_the_method_says_so(self, name: str, values: torch.Tensor) -> None:
        each = method(name)
        leaf = values.clone().requires_grad_()
        # All in one picture: a cluster alone correlates with itself whatever it reads.
        series = leaf[None] if each.spatial else leaf
        image = each.encode(series, None)
        torch.testing.assert_close(image.detach(), each.encode(series.detach(), None), atol=1e-5, rtol=1e-5)
        assert image.requires_grad is each.differentiable
        if each.differentiable:
            (image[:, :-1] ** 2).sum().backward()
            assert leaf.grad is not None
            assert leaf.grad.isfinite().all()
            assert (leaf.grad != 0).float().mean() > 0.5

    def test_an_inverse_is_exact(self, name: str, values: torch.Tensor) -> None:
        each = method(name)
        if each.decode is None:
            pytest.skip("has no inverse")
        values[0, 100:150] = torch.nan
        back = each.decode(each.encode(given(each, values), None)).reshape(5, -1)
        known = ~back.isnan()
        torch.testing.assert_close(back[known], values[~values.isnan()], rtol=0, atol=0)


LARGE = """
import json, pathlib, sys, torch
from mm4st_agent.imaging.tensors.method import encode_chunked
from mm4st_agent.imaging.tensors.methods import method

def peak():
    # Not `getrusage`: its peak outlives `exec` and would be that of the tests' own process.
    return int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

each, nodes = method(sys.argv[1]), 10_000
series = torch.rand(nodes, 288)
list(encode_chunked(each, series[None, :40] if each.spatial else series[:40], (64, 64)))
before, pictures = peak(), 0
for part in encode_chunked(each, series[None] if each.spatial else series, (64, 64), reuse=True):
    pictures += len(part)
heavy = sorted({"matplotlib", "pandas", "xarray", "pyts"} & set(sys.modules))
print(json.dumps({"pictures": pictures, "grown_mb": peak() - before, "heavy": heavy, "shape": list(part.shape)}))
"""


@ALL
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux")
def test_ten_thousand_nodes_need_memory_for_a_chunk_and_no_drawing_library(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", LARGE, name], capture_output=True, text=True, timeout=240, check=True)
    found = json.loads(done.stdout)
    each = method(name)
    assert found["pictures"] == (1 if each.spatial else 10_000)
    assert found["heavy"] == []
    # All pictures of one series each would take 330 MB; a spatial method holds a few copies of its 12 MB of input.
    assert found["grown_mb"] < (200 if each.spatial else 60)
