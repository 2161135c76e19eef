"""Run by the interpreter that has vLLM: what vLLM itself makes of our flags and chat templates, no model loaded.

One JSON object on stdin, one on the last line of stdout.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any


def parsed_flags(commands: dict[str, list[str]]) -> dict[str, Any]:
    """What vLLM's own argument parser reads, by name."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    wanted = (
        "model", "host", "allowed_media_domains", "limit_mm_per_prompt", "mm_processor_kwargs", "max_model_len",
        "tool_call_parser", "tool_strict_level", "enable_auto_tool_choice", "interleave_mm_strings",
        "chat_template_content_format",
    )  # fmt: skip
    parser = make_arg_parser(FlexibleArgumentParser())
    read = {}
    for name, command in commands.items():
        args = parser.parse_args(command)
        validate_parsed_serve_args(args)
        read[name] = {key: getattr(args, key) for key in wanted}
        tools = ToolParserManager.get_tool_parser(args.tool_call_parser)
        read[name]["constrains"] = tools.structural_tag_model is not None
        reasoning = args.structured_outputs_config.reasoning_parser or args.reasoning_parser
        if reasoning:
            read[name]["reasoning"] = ReasoningParserManager.get_reasoning_parser(reasoning).__name__
    return read


def rendered(
    checkpoint: str, templates: dict[str, str], messages: list[Any], tools: list[Any], turns: dict[str, list[str]]
) -> dict[str, Any]:
    """By template: the conversation as vLLM renders it, and the calls that its parser reads back from it."""
    from transformers import AutoTokenizer
    from vllm.config import ModelConfig
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.renderers.chat_utils import parse_chat_messages
    from vllm.renderers.hf import _detect_content_format, safe_apply_chat_template
    from vllm.tool_parsers import ToolParserManager

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    parser = ToolParserManager.get_tool_parser("hermes")(tokenizer)
    request = ChatCompletionRequest(messages=messages, model="x")
    found: dict[str, Any] = {}
    for name, path in templates.items():
        template = Path(path).read_text()
        found[name] = {"detected": _detect_content_format(template, default="string")}
        for content_format in ("openai", "string"):
            config = ModelConfig(
                checkpoint, dtype="float32", interleave_mm_strings=content_format == "string",
                limit_mm_per_prompt={"image": 8},
            )  # fmt: skip
            conversation, data, _ = parse_chat_messages(copy.deepcopy(messages), config, content_format)
            text = safe_apply_chat_template(
                config, tokenizer, conversation, tools=tools, chat_template=template, tokenize=False,
                add_generation_prompt=True,
            )  # fmt: skip
            begin, end = turns[name]
            said = [part.split(end)[0] for part in text.split(begin)[1:]]
            calls = [parser.extract_tool_calls(part, request) for part in said]
            found[name][content_format] = {
                "text": text,
                "pictures": len((data or {}).get("image", [])),
                "calls": [
                    [[call.function.name, json.loads(call.function.arguments)] for call in each.tool_calls]
                    for each in calls
                ],
                "words": [each.content for each in calls],
            }
    return found


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    result = {"flags": parsed_flags, "render": rendered}[asked.pop("do")](**asked)
    print(json.dumps(result))  # noqa: T201
