"""Texts from outside, fenced: what a log or a notice says is data, whatever it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, ToolMessage

from prompts import quotable

OPEN, CLOSE = "<untrusted>", "</untrusted>"
_PASSAGE = {"doc_id", "text", "source"}
"""What tells a passage in a tool's reply."""


def fenced(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages with each passage of a tool's reply between `<untrusted>` and `</untrusted>`.

    No text can end its fence: angle brackets in it become guillemets, as they do in quotations.
    """
    return [_fenced(message) if isinstance(message, ToolMessage) else message for message in messages]


def _fenced(message: ToolMessage) -> ToolMessage:
    inside = json.dumps(_with_fences(json.loads(message.text)), ensure_ascii=False)
    return message.model_copy(update={"content": inside})


def _with_fences(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_fences(child) for child in node]
    if not isinstance(node, dict):
        return node
    inside = {name: _with_fences(child) for name, child in node.items()}
    if node.keys() >= _PASSAGE:
        inside["text"] = f"{OPEN}{quotable(str(node['text']))}{CLOSE}"
    return inside
