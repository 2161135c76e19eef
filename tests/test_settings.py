"""Precedence, and no silent misspelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.settings import load_settings


def test_argument_beats_environment_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 7860
    monkeypatch.setenv("MM4ST_PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=7860).port == 7860  # equal to the default, still the argument


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MM4ST_DATASETS", "demo")

    with pytest.raises(UsageError, match=r"MM4ST_DATASETS.*Did you mean MM4ST_DATASET\?"):
        load_settings()


def test_a_bad_value_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MM4ST_CHAT_MODEL", "gpt")

    with pytest.raises(UsageError, match=r"'chat_model' \(MM4ST_CHAT_MODEL\) cannot be 'gpt'.*embedded"):
        load_settings()


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings(data_dir=Path("data")).data_dir == tmp_path / "data"
