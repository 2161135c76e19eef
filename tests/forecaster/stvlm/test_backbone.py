from __future__ import annotations

from typing import get_args

import pytest
import torch

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.backbone import Backbone, Layer
from mm4st_agent.forecaster.stvlm.config import BACKBONES, BackboneConfig, FusionName
from mm4st_agent.forecaster.stvlm.fusions import FOLDS
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, Tokens

TEXT, SEGMENTS, WIDTH = 5, 4, 32
SHAPE = BackboneConfig(width=WIDTH, layers=2, heads=4, dropout=0.1)
FUSIONS = get_args(FusionName)


def tokens_of(windows: int = 3, width: int = WIDTH, seed: int = 0) -> Tokens:
    """Windows with 5, 3 and 4 of 5 text tokens."""
    generator = torch.Generator().manual_seed(seed)
    modality = torch.tensor([0] * TEXT + [1] * SEGMENTS + [2] * SEGMENTS)
    present = torch.ones(windows, len(modality), dtype=torch.bool)
    for window in range(windows):
        present[window, [5, 3, 4][window % 3] : TEXT] = False
    segment = torch.tensor([EVERYWHERE, 1, *[EVERYWHERE] * 3, *range(SEGMENTS), *range(SEGMENTS)])
    values = torch.randn(windows, len(modality), width, generator=generator)
    return Tokens(values, modality, present, segment.expand(windows, -1))


def backbone_of(fusion: FusionName, shape: BackboneConfig = SHAPE) -> Backbone:
    torch.manual_seed(4)
    return Backbone(shape, fusion, 0.3 + 0.7 * torch.eye(SEGMENTS))


def test_every_fusion_is_built() -> None:
    assert {*FOLDS, "attention", "plain"} == set(FUSIONS)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_reach_every_parameter_and_every_token(fusion: FusionName) -> None:
    tokens = tokens_of()
    tokens.values.requires_grad_()
    backbone = backbone_of(fusion)

    fused = backbone(tokens)
    readout = torch.randn(fused.values.shape, generator=torch.Generator().manual_seed(1))
    ((fused.values * readout).sum() + fused.loss).backward()

    assert fused.values.shape == tokens.values.shape
    series = tokens.modality == Modality.SERIES
    assert fused.values[:, ~series].any() == (fusion in ("attention", "plain"))
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
    reached = tokens.values.grad.abs().amax(-1) > 0
    assert torch.equal(reached, tokens.present)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("modality", list(Modality))
def test_a_swapped_modality_changes_the_series_tokens(fusion: FusionName, modality: Modality) -> None:
    tokens = tokens_of()
    swapped = tokens.values.clone()
    of = tokens.modality == modality
    swapped[:, of] = tokens.values[:, of].roll(1, 0)
    backbone = backbone_of(fusion).eval()

    before, after = backbone(tokens).values, backbone(tokens._replace(values=swapped)).values

    series = tokens.modality == Modality.SERIES
    assert ((before - after)[:, series].abs().amax((1, 2)) > 1e-3).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_absent_tokens_hold_does_not_matter(fusion: FusionName) -> None:
    tokens = tokens_of()
    other = tokens.values.clone()
    other[1, 3:TEXT] = tokens.values[1, 3:TEXT].flip(0)
    other[2, 4] = torch.nan
    backbone = backbone_of(fusion).eval()

    before, after = backbone(tokens), backbone(tokens._replace(values=other))

    assert torch.equal(before.values, after.values)
    assert torch.equal(before.loss, after.loss)
    assert not before.values[~tokens.present].any()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("missing", [[0], [1], [0, 1], [2], [0, 1, 2]], ids=str)
def test_missing_modalities(fusion: FusionName, missing: list[int]) -> None:
    tokens = tokens_of()
    tokens.present[:, torch.isin(tokens.modality, torch.tensor(missing))] = False
    tokens.values.requires_grad_()
    backbone = backbone_of(fusion)

    fused = backbone(tokens)
    (fused.values.square().sum() + fused.loss).backward()

    assert torch.isfinite(fused.values).all()
    assert torch.isfinite(tokens.values.grad).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in backbone.parameters())
    if fused.shares is not None:
        assert not fused.shares[..., missing].any()
        torch.testing.assert_close(fused.shares.sum(-1), torch.full(fused.shares.shape[:2], float(len(missing) < 3)))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_windows_do_not_read_each_other(fusion: FusionName) -> None:
    tokens = tokens_of()
    backbone = backbone_of(fusion).eval()
    one = Tokens(tokens.values[[1]], tokens.modality, tokens.present[[1]], tokens.segment[[1]])

    torch.testing.assert_close(backbone(one).values, backbone(tokens).values[[1]])


def test_at_first_attention_fusion_is_a_plain_transformer() -> None:
    tokens = tokens_of()
    fusing, plain = backbone_of("attention").eval(), backbone_of("plain").eval()
    rest = plain.load_state_dict(fusing.state_dict(), strict=False)
    assert {name.rsplit(".", 1)[0] for name in rest.unexpected_keys} == {"layers.0.gate"}

    found, expected = fusing(tokens), plain(tokens)

    assert (found.values - expected.values).abs().max() < 1e-6
    assert found.shares is not None
    assert expected.shares is None


@pytest.mark.parametrize("fusion", ["attention", "cross-attention", "gating"])
def test_shares_sum_to_one(fusion: FusionName) -> None:
    tokens = tokens_of()

    shares = backbone_of(fusion)(tokens).shares

    assert shares is not None
    assert shares.shape == (*tokens.present.shape, 3)
    torch.testing.assert_close(shares.sum(-1), torch.ones(tokens.present.shape))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_bfloat16(fusion: FusionName) -> None:
    tokens = tokens_of()
    exact = backbone_of(fusion).eval()
    half = backbone_of(fusion).eval().bfloat16()

    found = half(tokens._replace(values=tokens.values.bfloat16()))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = backbone_of(fusion).eval()(tokens)

    expected = exact(tokens).values
    assert found.values.dtype == torch.bfloat16
    assert (found.values.float() - expected).abs().mean() < 0.05
    assert (mixed.values.float() - expected).abs().mean() < 0.05


def test_a_layer_is_the_transformer_layer_of_torch() -> None:
    tokens = tokens_of()
    layer = Layer(WIDTH, 4, 0.0)
    reference = torch.nn.TransformerEncoderLayer(
        WIDTH, 4, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    reference.load_state_dict(
        {
            "self_attn.in_proj_weight": layer.qkv.weight,
            "self_attn.in_proj_bias": layer.qkv.bias,
            "self_attn.out_proj.weight": layer.out.weight,
            "self_attn.out_proj.bias": layer.out.bias,
            "norm1.weight": layer.norm.weight,
            "norm1.bias": layer.norm.bias,
            "norm2.weight": layer.mlp[0].weight,
            "norm2.bias": layer.mlp[0].bias,
            "linear1.weight": layer.mlp[1].weight,
            "linear1.bias": layer.mlp[1].bias,
            "linear2.weight": layer.mlp[3].weight,
            "linear2.bias": layer.mlp[3].bias,
        }
    )

    found, shares = layer(tokens, torch.eye(SEGMENTS))

    torch.testing.assert_close(found, reference(tokens.values, src_key_padding_mask=~tokens.present))
    assert shares is None


def test_parameters_stay_within_their_class() -> None:
    def count(name: str, fusion: FusionName) -> int:
        return sum(p.numel() for p in backbone_of(fusion, BACKBONES[name]).parameters())

    assert all(count("pico", fusion) < 1_000_000 for fusion in FUSIONS)
    assert all(7_500_000 < count("nano", fusion) < 9_500_000 for fusion in FUSIONS)
    assert count("pico", "attention") - count("pico", "plain") == 4 * (3 * 32 + 3 + 3 + 1)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(UsageError, match="5 heads do not divide a width of 32") as caught:
        backbone_of("plain", BackboneConfig(width=32, heads=5))
    assert "35" in caught.value.hint
