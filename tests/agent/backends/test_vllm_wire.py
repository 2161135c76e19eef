"""What goes to a server."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from pydantic import Field

from mm4st_agent.agent.backends.wire import strict_tool, to_wire
from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import ToolIn, ToolOut, ToolSpec

# --- messages -------------------------------------------------------------------------------------------------


def _images(image_id: str) -> bytes:
    return f"png of {image_id}".encode()


def _url(image_id: str) -> str:
    return "data:image/png;base64," + base64.b64encode(_images(image_id)).decode()


def _drawn(call_id: str, *image_ids: str) -> ToolMessage:
    pictures = [{"image_id": name, "title": f"title {name}", "alt": f"alt {name}"} for name in image_ids]
    return ToolMessage(f"reply {call_id}", tool_call_id=call_id, artifact={"images": pictures})


def _calls(*call_ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(name="render", args={}, id=call_id) for call_id in call_ids])


CONVERSATION = [
    SystemMessage("rules"),
    HumanMessage("first question"),
    _calls("a", "b"),
    _drawn("a", "img-one-long-hash"),
    _drawn("b", "img-two"),
    AIMessage("first answer"),
    HumanMessage("second question"),
    _calls("c"),
    _drawn("c", "img-three"),
]


def test_pictures_follow_the_last_reply_of_their_batch() -> None:
    wire = to_wire(CONVERSATION, _images, placement="user", limit=4)

    assert [m.type for m in wire] == [
        *("system", "human", "ai", "tool", "tool", "human", "ai"),
        *("human", "ai", "tool", "human"),
    ]
    assert wire[5].content == [
        {"type": "text", "text": "Picture img-one-: title img-one-long-hash\n"},
        {"type": "image_url", "image_url": {"url": _url("img-one-long-hash")}},
        {"type": "text", "text": "Picture img-two: title img-two\n"},
        {"type": "image_url", "image_url": {"url": _url("img-two")}},
    ]
    assert wire[10].content[1]["image_url"]["url"] == _url("img-three")


def test_only_the_latest_pictures_are_shown() -> None:
    asked: list[str] = []

    def images(image_id: str) -> bytes:
        asked.append(image_id)
        return _images(image_id)

    wire = to_wire(CONVERSATION, images, placement="user", limit=2)

    assert asked == ["img-two", "img-three"]
    assert wire[5].content[0] == {"type": "text", "text": "Picture img-one-, no longer shown: alt img-one-long-hash\n"}
    assert wire[5].content[2]["image_url"]["url"] == _url("img-two")


def test_no_pictures_are_read_when_none_are_wanted() -> None:
    def images(image_id: str) -> bytes:
        raise AssertionError(image_id)

    wire = to_wire(CONVERSATION, images, placement="user", limit=0)

    assert all(part["type"] == "text" for part in [*wire[5].content, *wire[10].content])


def test_native_pictures_stay_in_their_tool_reply() -> None:
    wire = to_wire(CONVERSATION, _images, placement="native", limit=4)

    assert [m.type for m in wire] == [m.type for m in CONVERSATION]
    assert wire[3].content == [
        {"type": "text", "text": "reply a\n"},
        {"type": "text", "text": "Picture img-one-: title img-one-long-hash\n"},
        {"type": "image_url", "image_url": {"url": _url("img-one-long-hash")}},
    ]
    assert wire[3].tool_call_id == "a"


@pytest.mark.parametrize("placement", ["user", "native"])
def test_the_conversation_itself_keeps_no_pixels(placement: Literal["user", "native"]) -> None:
    before = [m.model_dump_json() for m in CONVERSATION]

    to_wire(CONVERSATION, _images, placement=placement, limit=4)

    assert [m.model_dump_json() for m in CONVERSATION] == before


@pytest.mark.parametrize("artifact", [None, {"images": []}, {}])
def test_replies_without_pictures_pass_unchanged(artifact: Any) -> None:
    messages = [HumanMessage("q"), _calls("a"), ToolMessage("42", tool_call_id="a", artifact=artifact)]

    assert to_wire(messages, _images, placement="user", limit=4) == messages


# --- tools ----------------------------------------------------------------------------------------------------


class Area(ToolIn):
    """A circle."""

    radius_km: float = Field(1.0, multiple_of=0.5, description="How far.")


class LookIn(ToolIn):
    """Look at
    some places."""

    dataset: str = Field(description="Its name.")
    default: int = Field(3, ge=1, le=9)
    method: Literal["line", "heat"] = "line"
    at: datetime | None = Field(None, description="When.")
    nodes: set[str] = Field(default_factory=set, max_length=4)
    note: str = Field("", max_length=20)
    area: Area = Area()


class LookOut(ToolOut):
    ok: bool


def _spec(input_model: type[ToolIn]) -> ToolSpec[Any, Any, Any]:
    return ToolSpec("look", input_model, LookOut, lambda args, context: LookOut(ok=True))


def test_a_strict_tool_requires_every_field_and_tells_its_defaults() -> None:
    given = _spec(LookIn).to_json()
    before = json.dumps(given)

    tool = strict_tool(given)

    assert tool == {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Look at some places.",
            "strict": True,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "required": ["dataset", "default", "method", "at", "nodes", "note", "area"],
                "properties": {
                    "dataset": {"type": "string", "description": "Its name."},
                    "default": {"type": "integer", "minimum": 1, "maximum": 9, "description": "default: 3."},
                    "method": {"type": "string", "enum": ["line", "heat"], "description": 'default: "line".'},
                    "at": {
                        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
                        "description": "When. default: null.",
                    },
                    "nodes": {
                        "type": "array",
                        "items": {"type": "string"},
                        "maxItems": 4,
                        "description": "uniqueItems: true.",
                    },
                    "note": {"type": "string", "description": 'default: "". maxLength: 20.'},
                    "area": {"$ref": "#/$defs/Area", "description": 'default: {"radius_km": 1.0}.'},
                },
                "$defs": {
                    "Area": {
                        "type": "object",
                        "description": "A circle.",
                        "additionalProperties": False,
                        "required": ["radius_km"],
                        "properties": {
                            "radius_km": {"type": "number", "description": "How far. default: 1.0. multipleOf: 0.5."}
                        },
                    }
                },
            },
        },
    }
    assert json.dumps(given) == before


class OpenMapping(ToolIn):
    """No."""

    options: dict[str, int]


class OpenValue(ToolIn):
    """No."""

    options: list[Any]


@pytest.mark.parametrize(("model", "path"), [(OpenMapping, "options"), (OpenValue, "options[]")])
def test_an_argument_that_accepts_anything_is_refused(model: type[ToolIn], path: str) -> None:
    with pytest.raises(UsageError) as caught:
        strict_tool(_spec(model).to_json())

    assert f"Argument {path!r} of tool 'look'" in caught.value.message
