"""A BERT that gives a vector for a sentence, in plain torch.

`sentence_transformers` and `transformers` compute the same, but a process that only asks one question waits for
their import several times longer than for everything this file does; the tests compare the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

_AT_ONCE = 16
"""Texts; a long text makes all that are read with it longer, and more at once are slower on a CPU."""
_LAYER_PARTS = {
    "self_attn.out_proj": "attention.output.dense",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm1": "attention.output.LayerNorm",
    "norm2": "output.LayerNorm",
}


class SentenceEncoder(nn.Module):
    """Transformer encoder with post-norm layers; the mean over a text's word pieces, scaled to length 1.

    Args:
        config: `config.json` of a BERT checkpoint.
        tokenizer: Its tokenizer; what it cuts off is not read.

    Source:
        Devlin et al. (2019), BERT, arXiv:1810.04805; Reimers and Gurevych (2019), Sentence-BERT, arXiv:1908.10084.
    """

    def __init__(self, config: dict[str, int | float | str], tokenizer: Tokenizer) -> None:
        super().__init__()
        width, eps = int(config["hidden_size"]), float(config["layer_norm_eps"])
        self._tokenizer = tokenizer
        self.words = nn.Embedding(int(config["vocab_size"]), width)
        self.positions = nn.Embedding(int(config["max_position_embeddings"]), width)
        self.types = nn.Embedding(int(config["type_vocab_size"]), width)
        self.norm = nn.LayerNorm(width, eps=eps)
        layer = nn.TransformerEncoderLayer(
            width,
            int(config["num_attention_heads"]),
            int(config["intermediate_size"]),
            activation="gelu",
            layer_norm_eps=eps,
            batch_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, int(config["num_hidden_layers"]), enable_nested_tensor=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The encoder of a sentence-transformers checkpoint of a BERT, ready to read.

        Args:
            folder: With `config.json`, `tokenizer.json`, `sentence_bert_config.json` and `model.safetensors`.

        Raises:
            OSError: a file is missing.
            RuntimeError: the weights are not those of such a network.
        """
        config = json.loads((folder / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])
        tokenizer.enable_padding(pad_id=config["pad_token_id"])
        encoder = cls(config, tokenizer)
        weights = load_file(folder / "model.safetensors")
        encoder.load_state_dict(dict(_renamed(weights, int(config["num_hidden_layers"]))), assign=True)
        return encoder.eval().requires_grad_(False)

    def forward(self, ids: Tensor, real: Tensor) -> Tensor:
        """Vectors of texts.

        Args:
            ids: Word pieces, `(texts, pieces)`.
            real: Which of them are no padding, `(texts, pieces)`, bool.

        Returns:
            `(texts, width)`, each row of length 1.
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        read = self.norm(self.words(ids) + self.positions(places) + self.types.weight[0])
        read = self.encoder(read, src_key_padding_mask=~real)
        mean = (read * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return nn.functional.normalize(mean, dim=-1)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Vectors of texts, `(texts, width)`; texts of like length are read together."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows: list[Tensor] = [torch.empty(0)] * len(texts)
        for start in range(0, len(order), _AT_ONCE):
            part = order[start : start + _AT_ONCE]
            pieces = self._tokenizer.encode_batch([texts[i] for i in part])
            ids = torch.tensor([piece.ids for piece in pieces])
            real = torch.tensor([piece.attention_mask for piece in pieces], dtype=torch.bool)
            for i, row in zip(part, self(ids, real), strict=True):
                rows[i] = row
        return torch.stack(rows)


def _renamed(weights: dict[str, Tensor], layers: int) -> Iterator[tuple[str, Tensor]]:
    """BERT's weights under the names of torch's own layers."""
    yield "words.weight", weights["embeddings.word_embeddings.weight"]
    yield "positions.weight", weights["embeddings.position_embeddings.weight"]
    yield "types.weight", weights["embeddings.token_type_embeddings.weight"]
    for kind in ("weight", "bias"):
        yield f"norm.{kind}", weights[f"embeddings.LayerNorm.{kind}"]
        for n in range(layers):
            theirs, ours = f"encoder.layer.{n}", f"encoder.layers.{n}"
            parts = (weights[f"{theirs}.attention.self.{name}.{kind}"] for name in ("query", "key", "value"))
            yield f"{ours}.self_attn.in_proj_{kind}", torch.cat(tuple(parts))
            for mine, other in _LAYER_PARTS.items():
                yield f"{ours}.{mine}.{kind}", weights[f"{theirs}.{other}.{kind}"]
