from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.stvlm.hub_layouts import load_tokenizer, load_vlm, positions
from mm4st_agent.forecaster.stvlm.lines import Line
from mm4st_agent.forecaster.stvlm.tokenizer import TextTable
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, TextBatch, Tokens

TEXT, SEGMENTS, WIDTH = 5, 4, 32
AFFINITY = 0.3 + 0.7 * torch.eye(SEGMENTS)
LAYOUTS = ["idefics3", "qwen2_5_vl", "qwen3_vl"]
TOWERS = ["idefics3", "qwen2_5_vl"]
Folder = Callable[[str], Path]


def tokens_of(windows: int = 3) -> Tokens:
    """Windows with 5, 3 and 0 of 5 text tokens; the last one has no vision either."""
    modality = torch.tensor([0] * TEXT + [1] * SEGMENTS + [2] * SEGMENTS)
    present = torch.ones(windows, len(modality), dtype=torch.bool)
    present[1:2, 3:TEXT] = False
    present[2:, : TEXT + SEGMENTS] = False
    segment = torch.tensor([EVERYWHERE, 1, *[EVERYWHERE] * 3, *range(SEGMENTS), *range(SEGMENTS)])
    values = torch.randn(windows, len(modality), WIDTH, generator=torch.Generator().manual_seed(0))
    return Tokens(values, modality, present, segment.expand(windows, -1))


def disturb(backbone: HubBackbone, *names: str) -> None:
    """Move the weights whose name holds one of `names`: what starts at 0 would hide what depends on it."""
    torch.manual_seed(2)
    for name, weight in backbone.named_parameters():
        if any(part in name for part in names):
            weight.data += 0.3 * torch.randn(weight.shape)


def stock(folder: Path, tokens: Tokens, layers: int | None = None) -> torch.Tensor:
    """What the unmodified language model makes of the tokens, with a mask of its own."""
    language = load_vlm(folder).get_decoder()
    if layers is not None:
        language.layers = language.layers[:layers]
        language.config.num_hidden_layers = layers
    place = positions(tokens, "mrope_section" in language.config.rope_parameters)
    with torch.no_grad():
        return language(
            inputs_embeds=tokens.values, attention_mask=tokens.present.long(), position_ids=place, use_cache=False
        ).last_hidden_state


@pytest.mark.parametrize("fusion", ["attention", "plain"])
@pytest.mark.parametrize("layers", [None, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_at_first_it_is_the_unmodified_model(checkpoints: Folder, layout: str, layers: int | None, fusion: str) -> None:
    # The stock mask leaves a row empty where the first token is absent, so only windows with text are compared.
    tokens = tokens_of(2)
    expected = stock(checkpoints(layout), tokens, layers)[tokens.present]
    backbone = HubBackbone.load(checkpoints(layout), fusion, AFFINITY, layers=layers)  # type: ignore[arg-type]

    backbone.adapt(dict.fromkeys(backbone.slots, 2))
    found = backbone(tokens).values[tokens.present]

    assert expected.std() > 0.3
    assert (found - expected).abs().max() < 1e-5
    if fusion == "attention":
        disturb(backbone, "gate.b", "gate.mu")
        assert (backbone(tokens).values[tokens.present] - expected).abs().max() > 0.05


def test_positions_are_those_of_qwen(checkpoints: Folder) -> None:
    tokens = tokens_of(1)
    model = load_vlm(checkpoints("qwen2_5_vl")).base_model
    kinds = (tokens.modality == Modality.VISION).int()[None]
    grid = torch.tensor([[1, SEGMENTS * 2, 2]])

    expected, _ = model.get_rope_index(torch.zeros_like(kinds).long(), kinds, image_grid_thw=grid)

    assert torch.equal(positions(tokens, multimodal=True), expected)
    assert positions(tokens, multimodal=False).tolist() == [list(range(len(tokens.modality)))]


def test_absent_tokens_take_no_place() -> None:
    places = positions(tokens_of(), multimodal=False)

    assert places[1, TEXT:].tolist() == list(range(3, 3 + 2 * SEGMENTS))
    assert places[2, TEXT + SEGMENTS :].tolist() == list(range(SEGMENTS))
    height = positions(tokens_of(), multimodal=True)
    assert height[:, 1, TEXT : TEXT + SEGMENTS].tolist() == [[3] * 4, [3, 4, 5, 6], [3] * 4]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_reach_what_learns_and_nothing_else(checkpoints: Folder, layout: str) -> None:
    tokens = tokens_of()
    tokens.values.requires_grad_()
    backbone = HubBackbone.load(checkpoints(layout), "attention", AFFINITY)
    left_out = "layers.1.mlp.down_proj"
    backbone.adapt({slot: 0 if slot == left_out else 2 for slot in backbone.slots})
    disturb(backbone, "lora_B")

    fused = backbone(tokens).values
    (fused * torch.randn(fused.shape, generator=torch.Generator().manual_seed(1))).sum().backward()

    learned = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    for name, weight in backbone.named_parameters():
        if name in learned:
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all(), name
            assert weight.grad.abs().max() > 0, name
        else:
            assert weight.grad is None, name
    adapted = {name.split(".lora_")[0].removeprefix("language.") for name in learned if ".lora_" in name}
    assert adapted == set(backbone.slots) - {left_out}
    assert {name for name in learned if "gate." in name} == {"gate.w", "gate.kappa", "gate.b", "gate.mu"}
    norms = sum("norm" in name for name in learned)
    assert norms == (9 if layout == "qwen3_vl" else 5)
    assert len(learned) == 2 * len(adapted) + 4 + norms
    assert torch.equal(tokens.values.grad.abs().amax(-1) > 0, tokens.present)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("modality", list(Modality))
def test_a_swapped_modality_changes_the_series_tokens(checkpoints: Folder, layout: str, modality: Modality) -> None:
    tokens = tokens_of(2)
    of = tokens.modality == modality
    swapped = tokens.values.clone()
    swapped[:, of] = tokens.values[:, of].roll(1, 0)
    backbone = HubBackbone.load(checkpoints(layout), "attention", AFFINITY)

    before, after = backbone(tokens).values, backbone(tokens._replace(values=swapped)).values

    series = tokens.modality == Modality.SERIES
    assert ((before - after)[:, series].abs().amax((1, 2)) > 1e-3).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_absent_tokens_padding_and_other_windows_do_not_matter(checkpoints: Folder, layout: str) -> None:
    tokens = tokens_of()
    backbone = HubBackbone.load(checkpoints(layout), "attention", AFFINITY)
    disturb(backbone, "gate.")
    whole = backbone(tokens)

    other = tokens.values.masked_fill(~tokens.present[..., None], torch.nan)
    assert torch.equal(backbone(tokens._replace(values=other)).values, whole.values)
    assert not whole.values[~tokens.present].any()
    for window in range(3):
        kept = tokens.present[window]
        alone = Tokens(
            tokens.values[[window]][:, kept], tokens.modality[kept], kept[kept][None], tokens.segment[[window]][:, kept]
        )
        torch.testing.assert_close(backbone(alone).values[0], whole.values[window, kept], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", TOWERS)
def test_missing_modalities_leave_gradients_finite(checkpoints: Folder, layout: str) -> None:
    tokens = tokens_of()
    tokens.present[0] = False
    tokens.values.requires_grad_()
    backbone = HubBackbone.load(checkpoints(layout), "attention", AFFINITY)

    fused = backbone(tokens)
    fused.values.square().sum().backward()

    assert torch.isfinite(tokens.values.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in backbone.parameters() if p.grad is not None)
    assert fused.shares is not None
    assert not fused.shares[2, :, :2].any()
    torch.testing.assert_close(fused.shares.sum(-1)[tokens.present], torch.ones(int(tokens.present.sum())))


@pytest.mark.parametrize("fusion", ["addition", "contrastive", "cross-attention"])
def test_folds_hand_on_only_the_series(checkpoints: Folder, fusion: str) -> None:
    tokens = tokens_of(2)
    backbone = HubBackbone.load(checkpoints("idefics3"), fusion, AFFINITY)  # type: ignore[arg-type]

    fused = backbone(tokens)
    (fused.values.square().sum() + fused.loss).backward()

    series = tokens.modality == Modality.SERIES
    assert fused.values.shape == tokens.values.shape
    assert not fused.values[:, ~series].any()
    assert fused.values[:, series].abs().amin(-1).gt(0).all()
    assert (fused.shares is not None) == (fusion == "cross-attention")
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in backbone.parameters() if p.requires_grad)


def test_bfloat16(checkpoints: Folder) -> None:
    tokens = tokens_of()
    backbone = HubBackbone.load(checkpoints("qwen2_5_vl"), "attention", AFFINITY)
    expected = backbone(tokens).values

    with torch.autocast("cpu", torch.bfloat16):
        found = backbone(tokens).values

    assert (found.float() - expected).abs().mean() < 0.05


@pytest.mark.parametrize("layout", LAYOUTS)
def test_watching_changes_nothing_and_tells_what_each_layer_reads(checkpoints: Folder, layout: str) -> None:
    tokens = tokens_of()
    backbone = HubBackbone.load(checkpoints(layout), "attention", AFFINITY)
    disturb(backbone, "gate.")
    before = backbone(tokens)

    with backbone.watching() as shares:
        during = backbone(tokens)
    after = backbone(tokens)

    torch.testing.assert_close(during.values, before.values, atol=1e-5, rtol=1e-4)
    assert torch.equal(after.values, before.values)
    assert len(shares) == 1
    torch.testing.assert_close(shares[0].sum(-1), torch.ones(2))
    assert before.shares is not None
    of = tokens.present & (tokens.modality == Modality.SERIES)
    torch.testing.assert_close(shares[0][0], before.shares[of].mean(0))
    eager = load_vlm(checkpoints(layout)).get_decoder()
    eager.set_attn_implementation("eager")
    plain = HubBackbone.load(checkpoints(layout), "plain", AFFINITY)
    two = tokens_of(2)
    with plain.watching() as read, torch.no_grad():
        plain(two)
        weights = eager(
            inputs_embeds=two.values, attention_mask=two.present.long(), use_cache=False,
            position_ids=positions(two, plain.multimodal), output_attentions=True,
        ).attentions  # fmt: skip
    for layer, weight in enumerate(weights):
        by_series = weight[:, :, TEXT + SEGMENTS :].mean((0, 1, 2))
        expected = torch.stack([by_series[two.modality == m].sum() for m in Modality])
        torch.testing.assert_close(read[0][layer], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", TOWERS)
def test_the_state_is_what_learned(checkpoints: Folder, layout: str, tmp_path: Path) -> None:
    tokens = tokens_of()
    ranks = {"layers.0.self_attn.q_proj": 3, "layers.1.mlp.up_proj": 1}

    def fresh() -> torch.nn.ModuleDict:
        torch.manual_seed(5)
        return torch.nn.ModuleDict(
            {"reader": HubBackbone.load(checkpoints(layout), "attention", AFFINITY, ranks=ranks)}
        )

    trained, other = fresh(), fresh()
    disturb(trained["reader"], "gate.", "lora_", "norm")
    expected = trained["reader"](tokens).values
    assert not torch.equal(other["reader"](tokens).values, expected)
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")

    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))

    assert torch.equal(other["reader"](tokens).values, expected)
    state = trained.state_dict()
    learned = {name for name, weight in trained.named_parameters() if weight.requires_grad}
    assert set(state) == learned | {"reader.affinity"}
    assert sum(tensor.numel() for tensor in state.values()) < 0.1 * sum(p.numel() for p in trained.parameters())
    del state["reader.gate.b"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "reader.gate.b"'):
        other.load_state_dict(state)
    twin = copy.deepcopy(trained)
    disturb(twin["reader"], "base_layer", "gate.b")
    twin.load_state_dict(trained.state_dict())
    assert not torch.equal(twin["reader"](tokens).values, expected), "a copy keeps its own frozen weights"
    assert torch.equal(trained["reader"](tokens).values, expected)


def test_text_comes_from_the_checkpoints_own_words(checkpoints: Folder) -> None:
    folder = checkpoints("qwen2_5_vl")
    backbone = HubBackbone.load(folder, "attention", AFFINITY)
    said = [["heavy rain", "road closed !"], ["Monday morning"]]
    prompts = [tuple(Line(text, None, "weather") for text in lines) for lines in said]
    table = TextTable.of(prompts, load_tokenizer(folder), limit=TEXT)
    text = table.at(torch.arange(2))

    embedded = backbone.embed_text(text)

    assert text.present.sum(1).tolist() == [3, 3], "the second line of the first prompt does not fit"
    assert embedded.shape == (2, 3, WIDTH)
    weight = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(embedded, weight[text.ids])
    padded = TextBatch(*(torch.nn.functional.pad(part, (0, 2)) for part in text))
    assert not backbone.embed_text(padded)[:, 3:].any()
    sample = tokens_of(2)
    values = torch.cat([embedded, sample.values[:1, TEXT:].expand(2, -1, -1)], 1)
    kept = [0, 1, 2, *range(TEXT, TEXT + 2 * SEGMENTS)]
    read = backbone(Tokens(values, sample.modality[kept], torch.ones(2, 11).bool(), sample.segment[:, kept])).values
    assert ((read[0] - read[1])[-SEGMENTS:].abs().amax(-1) > 1e-3).all()


def test_older_and_newer_names_of_qwen_are_read(copied: Folder) -> None:
    folder = copied("qwen2_5_vl")
    expected = stock(folder, tokens_of(2))
    old = load_file(folder / "model.safetensors")
    assert {"visual.patch_embed.proj.weight", "model.layers.0.self_attn.q_proj.weight"} <= set(old)
    new = {
        name.replace("visual.", "model.visual.", 1).replace("model.", "model.language_model.", name[0] == "m"): tensor
        for name, tensor in old.items()
    }
    assert {"model.visual.patch_embed.proj.weight", "model.language_model.layers.0.self_attn.q_proj.weight"} <= set(new)
    save_file(new, folder / "model.safetensors", metadata={"format": "pt"})

    assert torch.equal(stock(folder, tokens_of(2)), expected)


def test_a_folder_that_is_no_checkpoint(copied: Folder, tmp_path: Path) -> None:
    def said(folder: Path) -> str:
        with pytest.raises(DataError) as caught:
            HubBackbone.load(folder, "attention", AFFINITY)
        assert caught.value.hint
        return caught.value.message

    assert "it is not a folder" in said(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "config.json is missing or broken" in said(tmp_path / "empty")

    folder = copied("idefics3")
    config, weights = folder / "config.json", folder / "model.safetensors"
    whole, tensors = config.read_text(), load_file(weights)
    config.write_text(whole[:-40])
    assert "config.json is missing or broken" in said(folder)
    config.write_text(json.dumps({"hidden_size": 4}))
    assert "it has no 'model_type'" in said(folder)
    config.write_text(json.dumps({"model_type": "crystal-ball"}))
    assert "'crystal-ball', cannot be read" in said(folder)
    config.write_text(json.dumps({"model_type": "llama", "hidden_size": 32}))
    assert "'llama', cannot be read" in said(folder)
    config.write_text(whole)

    weights.write_bytes(weights.read_bytes()[:-100])
    assert "'idefics3', cannot be read" in said(folder)
    del tensors["model.text_model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    assert "lack 1 tensors of a 'idefics3', such as model.text_model.layers.1.mlp.up_proj.weight" in said(folder)
    tensors["model.text_model.layers.1.mlp.up_proj.weight"] = torch.zeros(3, 3)
    save_file(tensors, weights, metadata={"format": "pt"})
    assert "'idefics3'" in said(folder)
    weights.unlink()
    assert "no *.safetensors" in said(folder)


def test_a_tokenizer_that_is_missing(copied: Folder) -> None:
    folder = copied("idefics3")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()

    with pytest.raises(DataError, match=r"tokenizer in .* cannot be read") as caught:
        load_tokenizer(folder)
    assert "tokenizer.json" in caught.value.hint


def test_wrong_layers_slots_and_ranks(checkpoints: Folder) -> None:
    folder = checkpoints("idefics3")
    for layers in (0, 3):
        with pytest.raises(DataError, match=f"{layers} layers were asked for, and the checkpoint has 2"):
            HubBackbone.load(folder, "plain", AFFINITY, layers=layers)
    backbone = HubBackbone.load(folder, "plain", AFFINITY)
    with pytest.raises(UsageError, match=r"Rank 2 of the slot 'layers.7.mlp.up_proj'"):
        backbone.adapt({"layers.7.mlp.up_proj": 2})
    backbone.adapt({"layers.1.mlp.up_proj": 2})
    with pytest.raises(UsageError, match="has adapters already"):
        backbone.adapt({"layers.0.mlp.up_proj": 2})


def test_an_attention_that_cannot_be_replaced(checkpoints: Folder) -> None:
    language = load_vlm(checkpoints("idefics3")).get_decoder()
    for layer in language.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda module, args, kwargs: (args, {**kwargs, "softcap": 30.0}), with_kwargs=True
        )

    with pytest.raises(DataError, match=r"A LlamaModel does not work as a backbone .* it has softcap"):
        HubBackbone(language, "attention", AFFINITY)
