"""Which profile a model gets, and what it tells vLLM. vLLM's own parser reads the flags in tests/vllm."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mm4st_agent.agent.backends.profiles import GENERIC, PROFILES, fitted, profile_for, profile_named
from mm4st_agent.errors import UsageError


def _checkpoint(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen3-VL-4B-Instruct", "qwen3-vl"),
        ("Qwen/Qwen3-VL-235B-A22B-Instruct-FP8", "qwen3-vl"),
        ("Qwen/Qwen3-VL-8B-Thinking", "qwen3-vl-thinking"),
        ("Qwen/Qwen2.5-VL-3B-Instruct-AWQ", "qwen2.5-vl"),
        ("unsloth/qwen2_5-vl-7b", "qwen2.5-vl"),
        ("HuggingFaceTB/SmolVLM-256M-Instruct", "smolvlm"),
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "smolvlm"),
        ("HuggingFaceM4/Idefics3-8B-Llama3", "smolvlm"),
        ("OpenGVLab/InternVL3_5-8B-HF", "internvl"),
        ("OpenGVLab/InternVL3-8B", "internvl-chat"),
        ("google/gemma-3-27b-it", "gemma3"),
        ("google/gemma-4-31B-it", "gemma4"),
        ("google/gemma-3-1b-it", None),
        ("google/gemma-3-270m-it", None),
        ("Qwen/Qwen3-8B", None),
        ("google/gemma-2-9b-it", None),
    ],
)
def test_a_name_tells_its_family(model: str, name: str | None) -> None:
    found = profile_for(model)

    assert (found.name if found else None) == name


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_each_profile_is_whole(profile) -> None:
    found = profile_for(profile.example)
    flags = " ".join(profile.flags())

    assert found == profile
    assert profile_named(profile.name) is profile
    assert profile.verified
    assert profile.documented
    assert profile.template_path is None or profile.template_path.is_file()
    assert f"--enable-auto-tool-choice --tool-call-parser {profile.tool_parser}" in flags
    assert re.search(r'--limit-mm-per-prompt \{"image": \d, "video": 0\}', flags)
    assert f"--max-model-len {profile.max_model_len}" in flags
    assert profile.processor or profile.name == "gemma3"  # which has a fixed size of pictures


@pytest.mark.parametrize(
    ("folder", "model_type", "name"),
    [
        ("my-finetune", "qwen2_5_vl", "qwen2.5-vl"),
        ("my-finetune", "qwen3_vl_moe", "qwen3-vl"),
        ("my-qwen3-vl-thinking", "qwen3_vl", "qwen3-vl-thinking"),
        ("gemma-3-4b", "idefics3", "smolvlm"),
        ("a", "internvl", "internvl"),
        ("a", "internvl_chat", "internvl-chat"),
        ("a", "gemma4", "gemma4"),
        ("Qwen3-VL-4B", "llama", None),
    ],
)
def test_the_config_of_a_folder_tells_its_family(
    tmp_path: Path, folder: str, model_type: str, name: str | None
) -> None:
    found = profile_for(_checkpoint(tmp_path / folder, model_type=model_type))

    assert (found.name if found else None) == name


def test_a_checkpoint_with_a_short_context_keeps_it(tmp_path: Path) -> None:
    short = _checkpoint(tmp_path / "short", model_type="idefics3", text_config={"max_position_embeddings": 2048})
    long = _checkpoint(tmp_path / "long", model_type="qwen2_5_vl", max_position_embeddings=128000)

    assert fitted(profile_named("smolvlm"), short).max_model_len == 2048
    assert fitted(profile_named("qwen2.5-vl"), long).max_model_len == 32768
    assert fitted(GENERIC, short).max_model_len is None
    assert fitted(profile_named("gemma3"), "google/gemma-3-4b-it") == profile_named("gemma3")


def test_what_is_given_takes_the_profiles_place(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages }}")

    flags = " ".join(
        profile_named("internvl").flags(chat_template=own, tool_parser="internlm", max_images=2, max_model_len=4096)
    )

    assert f"--chat-template {own}" in flags
    assert "--tool-call-parser internlm" in flags
    assert '{"image": 2, "video": 0}' in flags
    assert "--max-model-len 4096" in flags
    assert "--interleave-mm-strings" not in flags


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no profile 'qwen'.*qwen3-vl, "):
        profile_named("qwen")
    with pytest.raises(UsageError, match=r"none\.jinja is not a file"):
        GENERIC.flags(chat_template=tmp_path / "none.jinja")
    with pytest.raises(UsageError, match=r"has no config\.json"):
        profile_for(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config\.json cannot be read"):
        profile_for(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UsageError, match="is no JSON object"):
        profile_for(tmp_path)


@pytest.mark.parametrize("profile", [*PROFILES, GENERIC], ids=lambda profile: profile.name)
def test_the_docs_say_the_same(profile) -> None:
    text = (Path(__file__).parents[3] / "docs/serving.md").read_text(encoding="utf-8")
    [row] = [line for line in text.splitlines() if line.startswith(f"| `{profile.name}` |") and line.count("|") == 9]
    _, _, _, tools, reasoning, template, held, pictures, context, _ = (cell.strip() for cell in row.split("|"))

    assert tools == profile.tool_parser
    assert reasoning == (profile.reasoning_parser or "-")
    assert template.startswith(f"`{profile.chat_template}`" if profile.chat_template else "the checkpoint's")
    assert ("interleaved" in template) == profile.interleave
    assert held == ("yes" if profile.strict == "parameter" else "no")
    assert pictures.startswith(f"{profile.max_images}, ")
    assert context == (f"{profile.max_model_len:,}" if profile.max_model_len else "the checkpoint's")
