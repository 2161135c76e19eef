from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.checkpoint import CARD_FILE, WEIGHTS_FILE, load, read_card, save


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / trained.name))


def edit_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps({**card, **changes}))


def edit_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = load_file(folder / WEIGHTS_FILE) | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / WEIGHTS_FILE)


def test_what_is_saved_is_loaded(trained: Path, tmp_path: Path) -> None:
    checkpoint = load(trained)

    save(checkpoint, tmp_path / "again")
    again = load(tmp_path / "again")

    assert again.card == checkpoint.card
    assert (tmp_path / "again" / WEIGHTS_FILE).read_bytes() == (trained / WEIGHTS_FILE).read_bytes()
    assert sorted(path.name for path in trained.iterdir()) == [CARD_FILE, WEIGHTS_FILE]


def test_saving_replaces_the_old_one_whole(copy: Path) -> None:
    checkpoint = load(copy)
    (copy / "leftover").write_text("of an older version")

    save(checkpoint, copy)

    assert sorted(path.name for path in copy.iterdir()) == [CARD_FILE, WEIGHTS_FILE]
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith(".tiny")] == []


def test_a_missing_tensor_is_named(copy: Path) -> None:
    edit_weights(copy, **{"network.head.bias": None})

    with pytest.raises(DataError, match=r"lacks network\.head\.bias.*mm4st train --dataset tiny --channel flow"):
        load(copy)


def test_an_unknown_tensor_is_named(copy: Path) -> None:
    edit_weights(copy, **{"network.extra": torch.zeros(2)})

    with pytest.raises(DataError, match=r"has unknown network\.extra"):
        load(copy)


def test_a_tensor_of_another_shape_is_named(copy: Path) -> None:
    edit_weights(copy, profile=torch.zeros(7, 4))

    with pytest.raises(DataError, match=r"profile has the shape \(7, 4\), not \(None, 5\)"):
        load(copy)


def test_weights_that_are_no_safetensors(copy: Path) -> None:
    (copy / WEIGHTS_FILE).write_bytes(b"\x80\x04not safetensors")

    with pytest.raises(DataError, match="cannot be read"):
        load(copy)


def test_a_newer_format_asks_for_an_update(copy: Path) -> None:
    edit_card(copy, format=2)

    with pytest.raises(DataError, match=r"has format 2, this version reads 1.*Update mm4st"):
        read_card(copy)


def test_an_invalid_card_names_the_field(copy: Path) -> None:
    edit_card(copy, step_s="soon")
    with pytest.raises(DataError, match="invalid at step_s"):
        read_card(copy)

    edit_card(copy, step_s=1800, surprise=1)
    with pytest.raises(DataError, match="invalid at surprise"):
        read_card(copy)

    (copy / CARD_FILE).write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        read_card(copy)

    (copy / CARD_FILE).unlink()
    with pytest.raises(DataError, match="There is no checkpoint in"):
        load(copy)


def test_the_card_is_json_without_nan(trained: Path) -> None:
    text = (trained / CARD_FILE).read_text()

    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the card"))
