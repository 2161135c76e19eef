"""Words to ids, prompts to arrays, tokens to vectors: nothing cut inside a word, nothing lost on the way."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import torch

from mm4st_agent.data.panel import Panel
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.forecaster.stvlm.lines import Line, Prompt
from mm4st_agent.forecaster.stvlm.text import NodeText, TextEncoder, node_lines
from mm4st_agent.forecaster.stvlm.tokenizer import HashedTokenizer, HubTokenizer, TextTable, pieces
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, TextBatch

PROMPTS: list[Prompt] = [
    (Line("Friday, 17:40", None, "calendar"), Line("one lane is closed", 3, "event"), Line("calm", None, "network")),
    (Line("Friday, 17:40", None, "calendar"), Line("calm", None, "network")),
    (Line("Friday, 17:40", None, "calendar"), Line("one lane is closed", 4, "event")),
    (),
]


def ids(text: str) -> list[int]:
    return HashedTokenizer().encode([text])[0]


@pytest.fixture
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(32, limit=16).eval()


def batch(prompts: list[Prompt], limit: int = 16) -> TextBatch:
    return TextTable.of(prompts, HashedTokenizer(), limit).at(torch.arange(len(prompts)))


# -- the tokenizer --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("100", "103", True),
        ("100", "130", False),
        ("1,200", "1200", True),
        ("3.1", "-3.1", False),
        ("3.1", "−3.1", False),
        ("-3.1", "−3.1", True),
        ("1", "2", False),
        ("2", "3", False),
        ("0", "0.0", True),
        ("0", "1", False),
        ("17:40", "17:55", True),
        ("17:20", "17:40", False),
        ("7:40", "07:40", True),
        ("17:40", "18:40", False),
        ("Lane", "LANE", True),
        ("lane", "lanes", False),
        ("I5", "I55", False),
        ("collision", "closure", False),
        ("Straße", "strasse", False),
    ],
)
def test_near_numbers_and_times_share_a_token(one: str, two: str, same: bool) -> None:
    assert (ids(one) == ids(two)) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1183-Trfc Collision", ["number +51", "trfc", "collision"]),
        ("SR57-S abs PM 6.4", ["sr57", "s", "abs", "pm", "number +13"]),
        ("What's on; doors at 19:30.", ["what's", "on", "doors", "at", "clock 19:30"]),
        ("from 3-5 km", ["from", "number +8", "number +12", "km"]),
        ("a -5 °C frost", ["a", "number -12", "°", "c", "frost"]),
        ("12 % of µg/m³", ["number +18", "%", "of", "µg", "m³"]),
        ("\u2028 ... --", []),
        ("9" * 400, ["number 0"]),
        ("", []),
    ],
)
def test_words_stay_whole(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_ids_are_the_same_in_every_process_and_never_the_padding() -> None:
    text = "collision at 17:40, 12.5 km/h below usual"
    code = f"from mm4st_agent.forecaster.stvlm.tokenizer import *; print(HashedTokenizer(300).encode([{text!r}])[0])"
    outs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={"PYTHONHASHSEED": s},
        ).stdout
        for s in ("1", "2")
    }

    assert outs == {f"{HashedTokenizer(300).encode([text])[0]}\n"}
    many = HashedTokenizer(50).encode([f"word{i}" for i in range(2000)])
    assert {token for line in many for token in line} == set(range(1, 50))


def test_a_tokenizer_of_hugging_face_stands_in() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {"!": 0, "<unk>": 1, "<s>": 2, "lane": 3, "closed": 4, "calm": 5}
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    hub = HubTokenizer(PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", bos_token="<s>"))

    assert hub.encode(["lane closed !", "calm road"]) == [[3, 4], [5, 1]]
    assert hub.encode([]) == []
    table = TextTable.of([(Line("lane closed", 2, "event"), Line("calm", None, "network"))], hub, 8)
    assert table.ids.tolist() == [[3, 4, 5]]
    assert table.node.tolist() == [[2, 2, EVERYWHERE]]


# -- the table ------------------------------------------------------------------------------


def test_lines_keep_their_place_and_their_node() -> None:
    text = batch(PROMPTS)

    clock, lane, calm = ids("Friday, 17:40"), ids("one lane is closed"), ids("calm")
    assert text.ids[0].tolist() == clock + lane + calm
    assert text.ids[1].tolist() == clock + calm + [0] * 4
    assert text.line[0].tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert text.line[1].tolist() == [0, 0, 1, -1, -1, -1, -1]
    assert text.node[0].tolist() == [-1, -1, 3, 3, 3, 3, -1]
    assert text.node[2].tolist() == [-1, -1, 4, 4, 4, 4, -1]
    assert not text.present[3].any()
    assert {part.dtype for part in text} == {torch.int64}


def test_a_batch_is_as_long_as_its_longest_prompt() -> None:
    table = TextTable.of(PROMPTS, HashedTokenizer(), 16)

    assert table.at(torch.tensor([1, 3])).ids.shape == (2, 3)
    assert table.at(torch.tensor([3])).ids.shape == (1, 0)
    assert table.at(torch.tensor([2, 0, 2])).node[:, 2].tolist() == [4, 3, 4]
    assert len(table) == 4


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (1, 0), (2, 2), (5, 2), (6, 6), (7, 7), (99, 7)])
def test_lines_are_taken_whole_up_to_the_limit(limit: int, kept: int) -> None:
    table = TextTable.of(PROMPTS[:1], HashedTokenizer(), limit)

    assert table.ids.shape == (1, kept)
    assert table.ids[0].tolist() == (ids("Friday, 17:40") + ids("one lane is closed") + ids("calm"))[:kept]


def test_no_prompt_gives_an_empty_table() -> None:
    assert TextTable.of([], HashedTokenizer(), 16).ids.shape == (0, 0)


def test_each_line_is_encoded_once() -> None:
    seen: list[str] = []

    class Noting(HashedTokenizer):
        def encode(self, lines: Sequence[str]) -> list[list[int]]:
            seen.extend(lines)
            return super().encode(lines)

    TextTable.of(PROMPTS * 50, Noting(), 16)

    assert sorted(seen) == ["Friday, 17:40", "calm", "one lane is closed"]


# -- the encoder ----------------------------------------------------------------------------


def test_the_encoder_gives_a_vector_a_token_and_zeros_at_padding(encoder: TextEncoder) -> None:
    text = batch(PROMPTS)

    out = encoder(text)

    assert out.shape == (4, 7, 32)
    assert torch.isfinite(out).all()
    assert (out[~text.present] == 0).all()
    assert (out[text.present].abs().sum(dim=-1) > 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_windows_without_text_give_zeros(encoder: TextEncoder, training: bool) -> None:
    encoder.train(training)
    nothing = TextBatch(*(torch.full((3, 5), value) for value in (0, -1, -1)))

    out = encoder(nothing)
    out.sum().backward()

    assert out.shape == (3, 5, 32)
    assert (out == 0).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in encoder.parameters())
    assert encoder(batch([()])).shape == (1, 0, 32)


def test_neither_padding_nor_the_other_windows_change_a_window(encoder: TextEncoder) -> None:
    alone, among = encoder(batch(PROMPTS[1:2])), encoder(batch(PROMPTS))

    torch.testing.assert_close(alone[0], among[1, :3], atol=1e-5, rtol=1e-5)


def test_words_and_their_order_and_line_count(encoder: TextEncoder) -> None:
    def vector(*lines: str) -> torch.Tensor:
        return encoder(batch([tuple(Line(text, None, "event") for text in lines)])).sum(dim=1)

    first = vector("lane closed", "calm")
    for other in (vector("closed lane", "calm"), vector("lane", "closed calm"), vector("lane closed", "storm")):
        assert (first - other).abs().max() > 1e-3


def test_training_and_evaluation_agree_without_dropout() -> None:
    encoder = TextEncoder(32, limit=16, dropout=0)
    text = batch(PROMPTS)

    with torch.no_grad():
        torch.testing.assert_close(encoder.train()(text), encoder.eval()(text), atol=1e-5, rtol=1e-5)


def test_gradients_reach_everything(encoder: TextEncoder) -> None:
    encoder.train()
    (encoder(batch(PROMPTS)) ** 2).sum().backward()

    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert encoder.token.weight.grad is not None
    learned = encoder.token.weight.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    assert learned == sorted({*ids("Friday, 17:40"), *ids("one lane is closed"), *ids("calm")})


@pytest.mark.parametrize(("width", "most"), [(128, 400_000), (256, 1_000_000)])
def test_the_encoder_is_small(width: int, most: int) -> None:
    assert sum(p.numel() for p in TextEncoder(width, limit=64).parameters()) < most


# -- nodes ----------------------------------------------------------------------------------


def test_the_road_of_a_node_is_told_and_no_identifier() -> None:
    lines = dict(zip((city := demo_panel().of("speed")).node_ids, node_lines(city), strict=True))

    assert lines["S001"] == (
        "road Alder Ring, direction clockwise, lanes 2, links in 3, out 3, 4.8 km north of the middle, "
        "near Hillside residential, length km 2.99, free speed kmh 90, capacity vph 3900, Lighthouse Cutting clockwise"
    )
    assert len(set(lines.values())) > 0.95 * len(lines)


def test_nodes_of_which_nothing_is_known_have_no_words(panel: Panel) -> None:
    assert node_lines(panel)[0] == "links in 0, out 1, A"
    bare = dataclasses.replace(panel, edges=panel.edges.iloc[:0])
    bare = dataclasses.replace(bare, data=bare.data.assign_coords(node=["1", "2", "3", "4", "5"]))

    assert node_lines(bare) == [""] * 5


def test_layers_without_values_or_places_are_passed_over(panel: Panel) -> None:
    coords = {"lat": ("node", [48.1, 48.2, np.nan, 48.1, 48.1]), "lon": ("node", [11.5, 11.5, np.nan, 11.52, 11.5])}
    layers = {
        "poi": pd.DataFrame(
            {"poi": ["P1", "P2"], "sort": ["school", "stadium"], "lat": [48.1, np.nan], "lon": [11.5, 11]}
        ),
        "zoning": pd.DataFrame({"station": ["A", "B", "D"], "zone": ["centre", None, "suburb"]}),
        "empty": pd.DataFrame({"sort": [], "lat": [], "lon": []}),
    }
    known = dataclasses.replace(panel, data=panel.data.assign_coords(coords), static=MappingProxyType(layers))

    lines = node_lines(known)

    assert "near school" in lines[0]
    assert "zone centre" in lines[0]
    assert "km north of the middle" in lines[1]
    assert "near" not in lines[1]
    assert "zone" not in lines[1]
    assert lines[2] == "links in 1, out 1, C"


def test_node_text_learns_and_comes_back_from_a_checkpoint() -> None:
    tokens = torch.zeros(3, 4, dtype=torch.int64)
    tokens[0, :2] = torch.tensor(ids("lanes 2"))
    tokens[1, :3] = torch.tensor(ids("lanes 2 centre"))
    words = NodeText(tokens, 16)

    out = words()
    (out**2).sum().backward()

    assert out.shape == (3, 16)
    assert (out[0] - out[1]).abs().max() > 1e-3
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in words.parameters())
    again = NodeText(torch.zeros_like(tokens), 16)
    again.load_state_dict(words.state_dict())
    torch.testing.assert_close(again(), out)
    words.words.weight.grad = None
    padded = NodeText(torch.cat([tokens, torch.zeros(3, 9, dtype=torch.int64)], dim=1), 16)
    padded.load_state_dict({**words.state_dict(), "ids": padded.ids})
    torch.testing.assert_close(padded(), out)
