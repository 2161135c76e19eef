"""What the agent relies on, asked of a real vLLM.

The weights are random: sampling is near uniform, so whatever is well formed was held to it by the
server's grammar. That also makes the model call no tool by itself; a bias opens a call where needed.
"""

from __future__ import annotations

import asyncio
import io
import socket
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.runnables import Runnable
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from mm4st_agent.agent.backends.vllm import (
    ServerChatModel,
    bind,
    probe_images,
    served_chat_model,
    vllm_chat_model,
)
from mm4st_agent.agent.backends.wire import strict_tool, to_wire
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings
from mm4st_agent.toolspec import ToolIn, ToolOut, ToolSpec
from tools import ALL_TOOLS

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

CALLS = [ToolCall(name="render_series", args={"node": n}, id=f"call-{n}") for n in range(2)]


class Circle(ToolIn):
    """Around the node."""

    radius_km: float = Field(1.0, ge=0, le=9, multiple_of=0.5)


class DrawIn(ToolIn):
    """Draw one sensor's recent history."""

    dataset: Literal["demo", "los-loop"] = Field(description="Registered data set name.")
    steps: int = Field(288, ge=2, le=2048, description="How many of the latest steps to draw.")
    nodes: list[Literal["N1", "N2", "N3"]] = Field(min_length=1, max_length=3)
    around: Circle = Circle()


class NoteIn(ToolIn):
    """Write something down."""

    text: str = Field(min_length=1, max_length=20)
    after: str | None = None


class Done(ToolOut):
    done: bool = True


DRAW = ToolSpec("draw", DrawIn, Done, lambda args, context: Done())
NOTE = ToolSpec("note", NoteIn, Done, lambda args, context: Done())


@pytest.fixture
def settings(served: Any) -> Settings:
    return Settings(vllm_url=served.url, vllm_max_images=served.max_images, timeout_s=120)


@pytest.fixture
def chat(settings: Settings) -> ServerChatModel:
    return vllm_chat_model(settings)


def _png(colour: str = "grey") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 200), colour).save(file, "PNG")
    return file.getvalue()


def _drawn(call_id: str, image_id: str) -> ToolMessage:
    picture = {"image_id": image_id, "title": "Last hour", "alt": "a line that rises"}
    return ToolMessage('{"steps": 12}', tool_call_id=call_id, artifact={"images": [picture]})


def _conversation(turns: int) -> list[AnyMessage]:
    """Turns in which two tools ran side by side and drew a picture each."""
    turn = [
        HumanMessage("And now?"),
        AIMessage("", tool_calls=CALLS),
        _drawn("call-0", "red"),
        _drawn("call-1", "blue"),
    ]
    return turn * turns


def _prompt_tokens(model: Runnable[LanguageModelInput, AIMessage], messages: list[AnyMessage]) -> int:
    usage = model.bind(max_tokens=1).invoke(messages).usage_metadata
    assert usage is not None
    return usage["input_tokens"]


def _sampled(model: Any, **options: Any) -> Runnable[LanguageModelInput, AIMessage]:
    """Draw tokens near uniformly: greedy decoding would repeat one white space for ever."""
    return model.bind(max_tokens=2000, temperature=1, **options)


def _check_draw(args: dict[str, Any]) -> None:
    """All is there and within its limits, but for the steps of a half, which no grammar can hold."""
    assert set(args) == set(DrawIn.model_fields)
    DrawIn.model_validate({**args, "around": {k: round(v * 2) / 2 for k, v in args["around"].items()}})


def test_the_served_model_is_found(chat: ServerChatModel, served: Any) -> None:
    assert chat.model_name == served.model


def test_a_picture_adds_its_tokens(chat: ServerChatModel, served: Any) -> None:
    [_, message] = to_wire([_drawn("call-0", "red")], lambda _: _png(), placement="user", limit=1)
    [label, _] = message.content

    tokens = [_prompt_tokens(chat, [HumanMessage([label])]), _prompt_tokens(chat, [message])]

    assert tokens[1] - tokens[0] == served.picture_tokens


def test_the_pixels_reach_the_model(chat: ServerChatModel) -> None:
    def first_logprobs(colour: str) -> list[float]:
        messages = to_wire([_drawn("call-0", colour)], _png, placement="user", limit=1)[1:]
        reply = chat.bind(max_tokens=1, logprobs=True, top_logprobs=5).invoke(messages)
        return [token["logprob"] for token in reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]]

    assert first_logprobs("red") == pytest.approx(first_logprobs("red"), abs=1e-3)
    assert first_logprobs("red") != pytest.approx(first_logprobs("white"), abs=1e-3)


@pytest.mark.parametrize("placement", ["user", "native"])
def test_the_probe_sees_the_picture(chat: ServerChatModel, served: Any, placement: Literal["user", "native"]) -> None:
    tokens = probe_images(bind(chat, [DRAW.to_json()]), placement=placement)

    # The text on both sides of a missing picture may join into one token less.
    assert tokens in {served.picture_tokens - 1, served.picture_tokens}


@pytest.mark.parametrize("seed", range(3))
def test_a_required_call_has_valid_arguments(chat: ServerChatModel, seed: int) -> None:
    reply = _sampled(bind(chat, [DRAW.to_json()]), tool_choice="required", seed=seed).invoke("Draw it.")

    [call] = reply.tool_calls
    assert call["name"] == "draw"
    _check_draw(call["args"])


@pytest.mark.parametrize("seed", range(6))
def test_free_text_in_a_call_is_valid_json(chat: ServerChatModel, seed: int) -> None:
    """With a length in the schema, the grammar lets control characters through in about half of these."""
    reply = _sampled(bind(chat, [NOTE.to_json()]), tool_choice="required", seed=seed).invoke("Note it.")

    [call] = reply.tool_calls
    assert set(call["args"]) == {"text", "after"}


@pytest.mark.parametrize("seed", range(3))
def test_a_call_of_free_choice_is_single_and_has_valid_arguments(chat: ServerChatModel, served: Any, seed: int) -> None:
    model = _sampled(bind(chat, [DRAW.to_json()]), logit_bias={served.tool_call_token: 100.0}, seed=seed)

    reply = model.invoke("Draw it.")

    [call] = reply.tool_calls
    assert reply.response_metadata["finish_reason"] == "tool_calls"
    _check_draw(call["args"])


@pytest.mark.parametrize("seed", range(3))
def test_the_server_holds_calls_to_their_schema_unasked(chat: ServerChatModel, served: Any, seed: int) -> None:
    """The profile sees to it (`--tool-strict-level`), also for clients that do not say `strict`."""
    tool = strict_tool(DRAW.to_json())
    del tool["function"]["strict"]

    model = chat.bind_tools([tool], parallel_tool_calls=False)  # which alone holds a call's form, not its arguments

    reply = _sampled(model, logit_bias={served.tool_call_token: 100.0}, seed=seed).invoke("Draw it.")

    [call] = reply.tool_calls
    _check_draw(call["args"])


@pytest.mark.parametrize("seed", range(3))
def test_pictures_and_strict_calls_go_together(chat: ServerChatModel, served: Any, seed: int) -> None:
    """The turn that matters most: tools offered, a call and its reply behind it, two pictures in front of it."""
    model = bind(chat, [DRAW.to_json()])
    state = _conversation(turns=1)

    shown = to_wire(state, _png, placement="user", limit=2)
    reply = _sampled(model, logit_bias={served.tool_call_token: 100.0}, seed=seed).invoke(shown)
    told = _prompt_tokens(model, to_wire(state, _png, placement="user", limit=0))

    assert reply.usage_metadata is not None
    assert reply.usage_metadata["input_tokens"] - told > served.picture_tokens
    [call] = reply.tool_calls
    _check_draw(call["args"])


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_the_server_can_constrain_calls_of_each_tool(chat: ServerChatModel, tool: Any) -> None:
    reply = bind(chat, [tool.to_json()]).bind(max_tokens=1, tool_choice="required").invoke("Go.")

    assert reply.response_metadata["finish_reason"] == "length"


def test_a_reply_keeps_to_a_json_schema(chat: ServerChatModel) -> None:
    class Verdict(BaseModel):
        model_config = ConfigDict(extra="forbid")

        level: Literal["low", "high"]
        share: int = Field(ge=0, le=100)

    schema = {"name": "verdict", "strict": True, "schema": Verdict.model_json_schema()}

    reply = _sampled(chat, response_format={"type": "json_schema", "json_schema": schema}).invoke("Is it high?")

    Verdict.model_validate_json(reply.text)


def test_a_streamed_reply_comes_in_pieces_and_with_its_usage(chat: ServerChatModel) -> None:
    async def collect() -> list[AIMessageChunk]:
        return [chunk async for chunk in chat.bind(max_tokens=12).astream("Hello.")]

    chunks = asyncio.run(collect())

    assert len([chunk for chunk in chunks if chunk.text]) > 3
    [usage] = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert usage["output_tokens"] == 12


def test_a_streamed_call_is_the_same_as_a_whole_one(chat: ServerChatModel) -> None:
    model = _sampled(bind(chat, [DRAW.to_json()]), tool_choice="required")

    async def ask() -> tuple[AIMessage, AIMessageChunk]:
        whole = await model.ainvoke("Draw it.")
        [first, *rest] = [chunk async for chunk in model.astream("Draw it.")]
        return whole, sum(rest, start=first)

    whole, streamed = asyncio.run(ask())

    assert [call["args"] for call in whole.tool_calls] == [call["args"] for call in streamed.tool_calls]


def test_one_model_serves_several_event_loops(chat: ServerChatModel) -> None:
    replies = [asyncio.run(chat.bind(max_tokens=2).ainvoke("Hello.")).text for _ in range(2)]

    assert replies[0] == replies[1]


@pytest.mark.parametrize("placement", ["user", "native"])
def test_pictures_of_parallel_calls_are_taken(
    chat: ServerChatModel, served: Any, placement: Literal["user", "native"]
) -> None:
    model = bind(chat, [DRAW.to_json()])
    state = _conversation(turns=2)

    shown = _prompt_tokens(model, to_wire(state, _png, placement=placement, limit=2))
    told = _prompt_tokens(model, to_wire(state, _png, placement=placement, limit=0))

    assert shown - told > served.picture_tokens


def test_too_many_pictures_are_refused_in_clear_words(chat: ServerChatModel, served: Any) -> None:
    messages = to_wire(_conversation(turns=2), _png, placement="user", limit=served.max_images + 1)

    with pytest.raises(UsageError, match=f"At most {served.max_images} image"):
        chat.bind(max_tokens=1).invoke(messages)


def test_the_server_fetches_no_pictures(chat: ServerChatModel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/picture.png"

        with pytest.raises(UsageError, match="allowed domains"):
            chat.invoke([HumanMessage([{"type": "image_url", "image_url": {"url": url}}])])

        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_the_server_opens_no_local_files(chat: ServerChatModel) -> None:
    with pytest.raises(ServerError, match="local files"):
        chat.invoke([HumanMessage([{"type": "image_url", "image_url": {"url": "file:///etc/hostname"}}])])


def test_a_model_that_is_not_served_is_named(settings: Settings) -> None:
    with pytest.raises(UsageError, match="`another-model` does not exist"):
        vllm_chat_model(settings.model_copy(update={"vllm_model": "another-model"})).invoke("Hello.")


def test_a_conversation_too_long_is_refused_in_clear_words(chat: ServerChatModel) -> None:
    with pytest.raises(UsageError, match="maximum context length"):
        chat.invoke("traffic " * 20_000)


def test_the_agent_gets_a_model_that_sees_what_its_tools_drew(settings: Settings, served: Any) -> None:
    asked: list[str] = []

    def images(image_id: str) -> bytes:
        asked.append(image_id)
        return _png(image_id)

    model = served_chat_model(settings, [DRAW], images)
    reply = asyncio.run(model.model.bind(max_tokens=1).ainvoke(model.wire(_conversation(turns=1))))

    assert model.name == f"vllm/{served.model}"
    assert asked == ["red", "blue"]
    assert reply.usage_metadata is not None


def test_a_question_goes_through_the_whole_agent(settings: Settings, served: Any, tmp_path: Path) -> None:
    """Random weights answer nothing sensible: each message is cut off, sent back, and given up at last."""
    short = Settings(home=tmp_path, vllm_url=settings.vllm_url, vllm_max_images=0, vllm_max_tokens=16)
    runtime = Runtime(short)

    partial = asyncio.run(runtime.ask("How busy will S039 be?", chat_model="vllm", thread="random"))
    assert "messages that could not be read" in partial.answer

    answer = asyncio.run(runtime.ask("What data do you have?", thread="random"))
    assert answer.chat_model == "embedded"
    assert "149 stations" in answer.answer


def test_a_server_that_was_stopped_is_named_with_what_to_do(chat: ServerChatModel, served: Any) -> None:
    """The last test: there is no server after it."""
    served.stop()

    with pytest.raises(ServerError, match=served.url) as caught:
        asyncio.run(chat.ainvoke("Still there?"))

    assert caught.value.exit_code == 4
    assert "make serve-vlm" in caught.value.hint
