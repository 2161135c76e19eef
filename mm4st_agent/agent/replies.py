"""A tool's reply as the chat model gets it: JSON of a bounded length."""

from __future__ import annotations

import json
from typing import Any

MOST_CHARS = 40_000
"""The longest reply that a chat model gets, about 10,000 tokens; the ledger keeps what is cut."""
_KEPT = (256, 64, 16, 4, 1)
"""So many items of each list are kept, the first number whose text is short enough."""
_KEPT_CHARS = 1000
"""Of a text inside a reply that must be cut."""


def reply_text(evidence: str, reply: dict[str, Any], most_chars: int = MOST_CHARS) -> str:
    """The reply as JSON with its evidence id, cut where it is too long, with a note where it is cut or empty.

    Args:
        evidence: Id of its ledger entry.
        reply: JSON values only.
        most_chars: The longest text.
    """
    whole = _text({"evidence": evidence, **reply})
    if not any(value not in (None, "", [], {}) for value in reply.values()):
        return _text({"evidence": evidence, **reply, "note": "The reply is empty: nothing of what was asked for."})
    if len(whole) <= most_chars:
        return whole
    note = (
        f"This reply has {len(whole):,} characters and is cut: lists and texts show their beginnings only. "
        "Ask for less to see the rest."
    )
    for items in _KEPT:
        text = _text({"evidence": evidence, "note": note, **_cut(reply, items)})
        if len(text) <= most_chars:
            return text
    return _text({"evidence": evidence, "note": note})


def _cut(node: Any, items: int) -> Any:
    if isinstance(node, dict):
        return {name: _cut(child, items) for name, child in list(node.items())[:256]}
    if isinstance(node, list):
        return [_cut(child, items) for child in node[:items]]
    if isinstance(node, str) and len(node) > _KEPT_CHARS:
        return f"{node[:_KEPT_CHARS]}..."
    return node


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, allow_nan=False, ensure_ascii=False)
