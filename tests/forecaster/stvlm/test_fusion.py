from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional

from mm4st_agent.forecaster.stvlm.fusion import ModalityGate, modality_attention, segment_overlap
from mm4st_agent.forecaster.stvlm.fusions import FOLDS, Fold
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, Tokens

TEXT, SEGMENTS, HEADS, WIDTH = 5, 4, 2, 16
COUNTS = {Modality.TEXT: TEXT, Modality.VISION: SEGMENTS, Modality.SERIES: SEGMENTS}
COMBINATIONS = [set(c) for n in range(4) for c in itertools.combinations(Modality, n)]
ZEROS = {
    "w": torch.zeros(HEADS, 3, WIDTH // HEADS),
    "kappa": torch.zeros(HEADS, 3),
    "b": torch.zeros(HEADS, 3),
    "mu": torch.zeros(HEADS),
}


def tokens_of(*, windows: int = 3, missing: set[Modality] = frozenset(), seed: int = 0) -> Tokens:  # type: ignore[assignment]
    """Windows with 5, 3 and 4 of 5 text tokens; the second text token is about segment 1."""
    generator = torch.Generator().manual_seed(seed)
    modality = torch.tensor([m for m in Modality for _ in range(COUNTS[m])])
    present = torch.ones(windows, len(modality), dtype=torch.bool)
    for window in range(windows):
        present[window, [5, 3, 4][window % 3] : TEXT] = False
    for m in missing:
        present[:, modality == m] = False
    text = [EVERYWHERE, 1, *[EVERYWHERE] * (TEXT - 2)]
    segment = torch.tensor([*text, *range(SEGMENTS), *range(SEGMENTS)]).expand(windows, -1)
    values = torch.randn(windows, len(modality), WIDTH, generator=generator)
    return Tokens(values.masked_fill(~present[..., None], 0), modality, present, segment)


def affinity_of(size: int = SEGMENTS) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(size, size, generator=generator)
    return ((x + x.T) / 2).fill_diagonal_(1)


def qkv(tokens: Tokens, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    windows, length, _ = tokens.values.shape
    q, k, v = torch.randn(3, windows, HEADS, length, WIDTH // HEADS, generator=generator)
    return q, k, v


def gates(seed: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(zero.shape, generator=generator) for name, zero in ZEROS.items()}


def attend(tokens: Tokens, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **kwargs: object):  # type: ignore[no-untyped-def]
    return modality_attention(
        q,
        k,
        v,
        modality=tokens.modality,
        present=tokens.present,
        segment=tokens.segment,
        affinity=affinity_of().to(q.dtype),
        **kwargs,  # type: ignore[arg-type]
    )


def visible_keys(tokens: Tokens, causal: bool) -> torch.Tensor:
    length = len(tokens.modality)
    order = torch.ones(length, length, dtype=torch.bool)
    return tokens.present[:, None, None] & (order.tril() if causal else order)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("missing", COMBINATIONS[:-1], ids=str)
def test_without_gates_it_is_ordinary_attention(missing: set[Modality], causal: bool) -> None:
    tokens = tokens_of(missing=missing)
    q, k, v = qkv(tokens)
    visible = visible_keys(tokens, causal)
    some = visible.any(-1, keepdim=True)

    o, g = attend(tokens, q, k, v, **ZEROS, causal=causal)

    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible | ~some)
    assert (o - expected.masked_fill(~some, 0)).abs().max() < 1e-6
    weight = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~visible, -math.inf).softmax(-1).nan_to_num(0)
    mass = torch.stack([weight[..., tokens.modality == m].sum(-1) for m in Modality], -1)
    assert (g - mass).abs().max() < 1e-6
    double, _ = attend(tokens, q.double(), k.double(), v.double(), **ZEROS, causal=causal)
    exact = functional.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=visible | ~some)
    assert (double - exact.masked_fill(~some, 0)).abs().max() < 1e-14


@pytest.mark.parametrize("causal", [False, True])
def test_the_equations(causal: bool) -> None:
    """Against loops over windows, heads, queries and modalities, in float64."""
    tokens = tokens_of(windows=2)
    q, k, v = (x.double() for x in qkv(tokens))
    gate = {name: value.double() for name, value in gates().items()}
    affinity = affinity_of().double()
    visible = visible_keys(tokens, causal)[:, 0]

    o, g = attend(tokens, q, k, v, **gate, causal=causal)

    for window, head, i in itertools.product(range(2), range(HEADS), range(len(tokens.modality))):
        logits, reads = torch.full((3,), -math.inf, dtype=torch.float64), torch.zeros(3, WIDTH // HEADS).double()
        for m in Modality:
            js = [j for j in range(len(tokens.modality)) if tokens.modality[j] == m and visible[window, i, j]]
            if not js:
                continue
            s = torch.stack([q[window, head, i] @ k[window, head, j] / math.sqrt(WIDTH // HEADS) for j in js])
            for at, j in enumerate(js):
                places = tokens.segment[window, i], tokens.segment[window, j]
                series = (tokens.modality[i] == Modality.SERIES) != (m == Modality.SERIES)
                if series and EVERYWHERE not in places:
                    s[at] += gate["mu"][head] * torch.log((0.01 + affinity[places]) / 0.01)
            p = s.softmax(0)
            spread = -(p * p.log()).sum() / math.log(len(js)) if len(js) > 1 else 0
            logits[m] = (
                s.logsumexp(0)
                + gate["w"][head, m] @ q[window, head, i]
                - gate["kappa"][head, m] * spread
                + gate["b"][head, m]
            )
            reads[m] = p @ v[window, head, js]
        share = logits.softmax(0)
        torch.testing.assert_close(g[window, head, i], share)
        torch.testing.assert_close(o[window, head, i], share @ reads)


@pytest.mark.parametrize("missing", COMBINATIONS, ids=str)
def test_shares_and_gradients_whatever_is_missing(missing: set[Modality]) -> None:
    tokens = tokens_of(missing=missing)
    gate = ModalityGate(HEADS, WIDTH // HEADS)
    gate.load_state_dict(gates())
    q, k, v = (x.requires_grad_() for x in qkv(tokens))

    o, g = gate(q, k, v, tokens, affinity_of())
    (o.square().sum() + g.square().sum()).backward()

    assert torch.isfinite(o).all()
    assert not g[..., list(missing)].any()
    torch.testing.assert_close(g.sum(-1), torch.full(g.shape[:-1], float(len(missing) < 3)))
    for x in (q, k, v, *gate.parameters()):
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
    if not missing:
        assert all(p.grad.abs().min() > 0 for p in gate.parameters())


def test_gradients_are_those_of_the_function() -> None:
    tokens = tokens_of(windows=2)
    tokens.present[1, tokens.modality == Modality.VISION] = False
    inputs = [x.double().requires_grad_() for x in (*qkv(tokens), *gates().values())]

    def run(*x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return attend(tokens, *x[:3], **dict(zip(ZEROS, x[3:], strict=True)), causal=True)

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def test_a_mask_may_be_boolean_or_additive() -> None:
    tokens = tokens_of()
    q, k, v = qkv(tokens)
    gate = gates()
    seen = torch.ones(len(tokens.modality), len(tokens.modality), dtype=torch.bool).tril()[None, None]

    expected, shares = attend(tokens, q, k, v, **gate, causal=True)

    for mask in (
        seen,
        torch.zeros(seen.shape).masked_fill(~seen, -math.inf),
        torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min),
        torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill(~seen, torch.finfo(torch.bfloat16).min),
    ):
        o, g = attend(tokens, q, k, v, **gate, mask=mask)
        torch.testing.assert_close(o, expected)
        torch.testing.assert_close(g, shares)
    slope = torch.arange(len(tokens.modality)) * 0.1
    biased, _ = attend(tokens, q, k, v, **ZEROS, mask=slope.expand(1, 1, len(slope), -1))
    every = tokens.present[:, None, None].expand(-1, -1, len(slope), -1)
    reference = functional.scaled_dot_product_attention(q, k, v, attn_mask=slope.masked_fill(~every, -math.inf))
    torch.testing.assert_close(biased, reference)


def test_the_scale_is_that_of_the_layer() -> None:
    tokens = tokens_of()
    q, k, v = qkv(tokens)

    o, _ = attend(tokens, q, k, v, **ZEROS, scale=0.7)

    mask = tokens.present[:, None, None]
    torch.testing.assert_close(o, functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.7))


def test_what_each_parameter_does() -> None:
    tokens = tokens_of(windows=1)
    q, k, v = qkv(tokens)
    _, before = attend(tokens, q, k, v, **ZEROS)

    def share(**changed: torch.Tensor) -> torch.Tensor:
        return attend(tokens, q, k, v, **{**ZEROS, **changed})[1]  # type: ignore[no-any-return]

    towards_vision = torch.zeros(HEADS, 3)
    towards_vision[:, Modality.VISION] = 1
    assert (share(b=towards_vision) > before)[..., Modality.VISION].all()
    assert (share(kappa=towards_vision) < before)[..., Modality.VISION].all()
    # With mu, a series token reads the vision token of its own segment more than the one of a weakly linked segment.
    affinity = torch.eye(SEGMENTS)
    parts = {"modality": tokens.modality, "present": tokens.present, "segment": tokens.segment, "affinity": affinity}
    ones = torch.eye(len(tokens.modality)).expand(1, HEADS, -1, -1)
    flat = torch.zeros(1, HEADS, len(tokens.modality), 3)
    zeros = {**ZEROS, "w": torch.zeros(HEADS, 3, 3)}
    weight, _ = modality_attention(flat, flat, ones, **parts, **{**zeros, "mu": torch.ones(HEADS)})
    first = TEXT + SEGMENTS
    to_vision = weight[0, 0, first:, TEXT:first]
    torch.testing.assert_close(to_vision / to_vision.amin(-1, keepdim=True), 1 + 100 * torch.eye(SEGMENTS))
    torch.testing.assert_close(weight[0, 0, first + 1, 1] / weight[0, 0, first + 1, 0], torch.tensor(101.0))
    torch.testing.assert_close(weight[0, 0, first, 1], weight[0, 0, first, 0])


def test_overlap_is_between_the_series_and_the_others() -> None:
    tokens = tokens_of(windows=1)

    found = segment_overlap(tokens.modality, tokens.segment, affinity_of())[0]

    vision, series = slice(TEXT, TEXT + SEGMENTS), slice(TEXT + SEGMENTS, None)
    torch.testing.assert_close(found[series, vision], affinity_of())
    torch.testing.assert_close(found[vision, series], affinity_of())
    torch.testing.assert_close(found[1, series], affinity_of()[1])
    torch.testing.assert_close(found[series, 1], affinity_of()[1])
    found[series, vision] = found[vision, series] = 0
    found[1, series] = found[series, 1] = 0
    assert not found.any()


@pytest.mark.parametrize("counts", [(0, 4, 4), (5, 0, 4), (0, 0, 4), (1, 1, 1)])
def test_a_modality_may_have_no_position_or_a_single_one(counts: tuple[int, int, int]) -> None:
    modality = torch.tensor([m for m in Modality for _ in range(counts[m])])
    length = len(modality)
    tokens = Tokens(
        torch.zeros(2, length, WIDTH), modality, torch.ones(2, length, dtype=torch.bool), torch.zeros(2, length).long()
    )
    q, k, v = (x.requires_grad_() for x in qkv(tokens))

    o, _ = attend(tokens, q, k, v, **ZEROS)
    _, g = attend(tokens, q, k, v, **gates())
    (o.sum() + g.square().sum()).backward()

    torch.testing.assert_close(o, functional.scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(g.sum(-1), torch.ones(g.shape[:-1]))
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v))


def test_bfloat16_keeps_its_dtype_and_exact_shares() -> None:
    tokens = tokens_of()
    q, k, v = (x.bfloat16() for x in qkv(tokens))
    gate = {name: value.bfloat16() for name, value in gates().items()}

    o, g = attend(tokens, q, k, v, **gate)
    exact, shares = attend(tokens, *qkv(tokens), **gates())

    assert (o.dtype, g.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(g.sum(-1), torch.ones(g.shape[:-1]))
    assert (g - shares).abs().max() < 0.05
    assert (o.float() - exact).abs().max() < 0.1


def make(name: str) -> Fold:
    torch.manual_seed(7)
    return FOLDS[name](WIDTH, HEADS)  # type: ignore[index]


@pytest.mark.parametrize("missing", COMBINATIONS, ids=str)
@pytest.mark.parametrize("name", FOLDS)
def test_folds_whatever_is_missing(name: str, missing: set[Modality]) -> None:
    tokens = tokens_of(missing=missing)
    tokens.values.requires_grad_()
    fold = make(name)

    fused = fold(tokens, affinity_of())
    (fused.values.square().sum() + fused.loss).backward()

    series = tokens.modality == Modality.SERIES
    assert fused.values.shape == tokens.values.shape
    assert torch.isfinite(fused.values).all()
    assert not fused.values[:, ~series].any()
    assert fused.loss.shape == ()
    assert torch.isfinite(fused.loss)
    assert torch.isfinite(tokens.values.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in fold.parameters())
    if fused.shares is not None:
        assert fused.shares.shape == (*tokens.values.shape[:2], 3)
        assert (fused.shares >= 0).all()
        assert not fused.shares[..., list(missing)].any()
        torch.testing.assert_close(fused.shares.sum(-1), torch.full(tokens.values.shape[:2], float(len(missing) < 3)))
    if not missing:
        assert all(p.grad.abs().max() > 0 for p in fold.parameters())
        assert (tokens.values.grad.abs().amax(-1)[tokens.present] > 0).all()


def test_which_folds_have_shares_and_a_loss() -> None:
    found = {name: make(name)(tokens_of(), affinity_of()) for name in FOLDS}

    assert {name for name, fused in found.items() if fused.shares is not None} == {"cross-attention", "gating"}
    assert {name for name, fused in found.items() if fused.loss != 0} == {"contrastive"}


@pytest.mark.parametrize("missing", [{Modality.TEXT}, {Modality.VISION}, {Modality.TEXT, Modality.VISION}], ids=str)
@pytest.mark.parametrize("name", FOLDS)
def test_a_fold_reads_a_missing_modality_as_if_it_had_no_positions(name: str, missing: set[Modality]) -> None:
    full = tokens_of(missing=missing)
    kept = ~torch.isin(full.modality, torch.tensor([int(m) for m in missing]))
    short = Tokens(full.values[:, kept], full.modality[kept], full.present[:, kept], full.segment[:, kept])
    fold = make(name)

    with_positions, without = fold(full, affinity_of()), fold(short, affinity_of())

    torch.testing.assert_close(with_positions.values[:, kept], without.values)
    torch.testing.assert_close(with_positions.loss, without.loss)


def test_addition_and_its_neighbourhoods() -> None:
    """Text about segment 1 reaches only the series token of segment 1; text about everywhere reaches all."""
    tokens = tokens_of(windows=1)
    text, vision, series = (tokens.values[0, tokens.modality == m] for m in Modality)

    found = make("addition")(tokens, affinity_of()).values[0, TEXT + SEGMENTS :]

    everywhere = [0, 2, 3, 4]
    torch.testing.assert_close(found[0], series[0] + vision[0] + text[everywhere].mean(0))
    torch.testing.assert_close(found[1], series[1] + vision[1] + text.mean(0))


def test_graph_messages_follow_the_affinity() -> None:
    tokens = tokens_of(windows=1)
    fold = make("graph")
    islands = torch.eye(SEGMENTS)
    bridge = islands.clone()
    bridge[0, 1] = bridge[1, 0] = 0.5

    def shifted(affinity: torch.Tensor) -> torch.Tensor:
        moved = tokens.values.clone()
        moved[0, TEXT] += 1  # the vision token of segment 0
        change = fold(tokens._replace(values=moved), affinity).values - fold(tokens, affinity).values
        return change[0, TEXT + SEGMENTS :].abs().amax(-1) > 0

    assert shifted(islands).tolist() == [True, False, False, False]
    assert shifted(bridge).tolist() == [True, True, False, False]


def test_the_contrastive_loss_falls_when_the_pairs_match() -> None:
    tokens = tokens_of()
    fold = make("contrastive")
    fold.series.load_state_dict(fold.vision.state_dict())
    matching = tokens.values.clone()
    matching[:, TEXT : TEXT + SEGMENTS] = matching[:, TEXT + SEGMENTS :]
    swapped = matching.clone()
    swapped[:, TEXT : TEXT + SEGMENTS] = matching[:, TEXT + SEGMENTS :].roll(1, 1)

    losses = [fold(tokens._replace(values=x), affinity_of()).loss.item() for x in (matching, tokens.values, swapped)]

    assert losses[0] < 0.1 < losses[1] < losses[2]


def test_windows_without_vision_add_nothing_to_the_contrastive_loss() -> None:
    tokens = tokens_of()
    fold = make("contrastive")
    alone = [
        fold(Tokens(tokens.values[[i]], tokens.modality, tokens.present[[i]], tokens.segment[[i]]), affinity_of())
        for i in range(3)
    ]
    tokens.present[1, tokens.modality == Modality.VISION] = False

    found = fold(tokens, affinity_of()).loss

    torch.testing.assert_close(found, (alone[0].loss + alone[2].loss) / 2)
