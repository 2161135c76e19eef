"""Our flags and chat templates in vLLM's own hands; nothing is served."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mm4st_agent.agent.backends.profiles import GENERIC, PROFILES
from mm4st_agent.agent.backends.serve import ENVIRONMENT, server_command
from mm4st_agent.agent.backends.wire import strict_tool
from tools import ALL_TOOLS

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

TURNS = {
    "chatml.jinja": ("<|im_start|>assistant\n", "<|im_end|>"),
    "smolvlm.jinja": ("Assistant:", "<end_of_utterance>"),
    "gemma3.jinja": ("<start_of_turn>model\n", "<end_of_turn>"),
}
MARKS = {
    "chatml.jinja": "<|vision_start|><|image_pad|><|vision_end|>",
    "smolvlm.jinja": "<image>",
    "gemma3.jinja": "<start_of_image>",
}
CALLS = [["render_series", {"dataset": "demo", "hours": 2.5, "node": None, "note": 'a "b" <c> é\n'}], ["list", {}]]


def _in_vllm(**asked: Any) -> Any:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{ENVIRONMENT.name} does not exist; `make test-vllm` makes it")
    done = subprocess.run(
        [python, Path(__file__).parent / "in_vllm.py"],
        input=json.dumps(asked),
        env={**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def read() -> dict[str, dict[str, Any]]:
    """What vLLM reads of each profile's command, without interpreter and module."""
    commands = {p.name: server_command(p.example or "org/model", p, port=8123)[3:] for p in (*PROFILES, GENERIC)}
    return _in_vllm(do="flags", commands=commands)


@pytest.mark.parametrize("profile", [*PROFILES, GENERIC], ids=lambda profile: profile.name)
def test_vllm_reads_the_flags_as_they_are_meant(read: dict[str, dict[str, Any]], profile: Any) -> None:
    args = read[profile.name]

    assert args["model"] == (profile.example or "org/model")
    assert args["host"] == "127.0.0.1"
    assert args["allowed_media_domains"] == ["media.invalid"]
    assert args["limit_mm_per_prompt"] == {"image": profile.max_images, "video": 0}
    assert args["mm_processor_kwargs"] == (dict(profile.processor) or None)
    assert args["max_model_len"] == profile.max_model_len
    assert args["enable_auto_tool_choice"]
    assert args["interleave_mm_strings"] == profile.interleave
    assert args["chat_template_content_format"] == ("string" if profile.interleave else "auto")
    assert ("reasoning" in args) == (profile.reasoning_parser is not None)
    # Only a parser with a grammar can hold calls to their schema.
    assert args["tool_strict_level"] == profile.strict
    assert args["constrains"] == (profile.strict == "parameter")


def _picture(colour: str) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "PNG")
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()},
    }


@pytest.fixture(scope="module")
def rendered(tiny_checkpoint: Path) -> dict[str, Any]:
    """A conversation as vLLM renders it with each of our templates."""
    calls = [
        {"type": "function", "id": f"c{n}", "function": {"name": name, "arguments": json.dumps(args)}}
        for n, (name, args) in enumerate(CALLS)
    ]
    messages = [
        {"role": "system", "content": "RULES"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "BEFORE"}, _picture("red"), {"type": "text", "text": "AFTER"}],
        },
        {"role": "assistant", "content": "Let me look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c0", "content": "FIRST"},
        {"role": "tool", "tool_call_id": "c1", "content": "SECOND"},
        {"role": "user", "content": [{"type": "text", "text": "LABEL"}, _picture("blue")]},
    ]
    return _in_vllm(
        do="render",
        checkpoint=str(tiny_checkpoint),
        templates={p.chat_template: str(p.template_path) for p in PROFILES if p.chat_template},
        messages=messages,
        tools=[strict_tool(tool.to_json()) for tool in ALL_TOOLS],
        turns=TURNS,
    )


@pytest.mark.parametrize("name", TURNS)
def test_vllm_takes_parts_of_messages_to_the_template(rendered: dict[str, Any], name: str) -> None:
    assert rendered[name]["detected"] == "openai"


@pytest.mark.parametrize("name", TURNS)
def test_vllm_renders_pictures_tools_and_replies_in_order(rendered: dict[str, Any], name: str) -> None:
    found = rendered[name]["openai"]
    text = found["text"]

    assert found["pictures"] == 2
    assert text.count(MARKS[name]) == 2
    order = ["RULES", '"render_series"', "</tools>", "BEFORE", MARKS[name], "AFTER", "FIRST", "SECOND", "LABEL"]
    at = -1
    for word in order:
        at = text.index(word, at + 1)
    assert text.index(MARKS[name], at) > at
    assert text.endswith(TURNS[name][0])


def test_vllm_writes_the_marks_itself_where_texts_are_interleaved(rendered: dict[str, Any]) -> None:
    """As InternVL is served; the mark is that of the checkpoint here, an Idefics3."""
    text = rendered["chatml.jinja"]["string"]["text"]

    assert text.count("<image>") == 2
    assert text.index("BEFORE") < text.index("<image>") < text.index("AFTER") < text.index("LABEL")
    assert text.rindex("<image>") > text.index("LABEL")
    assert MARKS["chatml.jinja"] not in text


@pytest.mark.parametrize("name", TURNS)
def test_vllms_parser_reads_back_the_calls_that_the_template_wrote(rendered: dict[str, Any], name: str) -> None:
    found = rendered[name]["openai"]

    assert found["calls"] == [CALLS, []]  # the second turn is the one to come
    assert found["words"][0].strip() == "Let me look."
