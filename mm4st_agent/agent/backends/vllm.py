"""Chat models on an OpenAI-compatible server, vLLM first."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import openai
from langchain_core.exceptions import ModelAPIError
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from pydantic import ValidationError

from mm4st_agent.agent.backends.wire import Placement, strict_tool, to_wire
from mm4st_agent.agent.chat import ChatModel
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.settings import Settings
from mm4st_agent.toolspec import Json, ToolSpec

_URL_HINT = "MM4ST_VLLM_URL is the root of an OpenAI-compatible server and should end in /v1."
_LOG_HINT = "The server's log says why."
_START_HINT = "Start one with `make serve-vlm`, or set MM4ST_VLLM_URL to one that runs."
_BLIND_HINT = (
    "Serve a vision-language model whose chat template shows pictures, change MM4ST_VLLM_TOOL_IMAGES,"
    " or do without pictures: MM4ST_VLLM_MAX_IMAGES=0."
)
_CONNECT_S = 5.0
_MIN_PICTURE_TOKENS = 16
"""Fewer prompt tokens than any vision encoder in use spends on a picture; a printed placeholder takes less."""
_NO_MARK = "prompt replacement for mm_items"


class ServerBusyError(ServerError, ModelAPIError):
    """The server answers, but not this call now (429, 5xx): another attempt may work."""


class ServerChatModel(ChatOpenAI):
    """`ChatOpenAI` whose failures are ours: `ServerError`, `ServerBusyError`, `UsageError`."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        with self._our_errors():
            return super()._generate(*args, **kwargs)

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        with self._our_errors():
            return await super()._agenerate(*args, **kwargs)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        with self._our_errors():
            yield from super()._stream(*args, **kwargs)

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        with self._our_errors():
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        with _our_errors(self.openai_api_base or ""):
            yield


def served_chat_model(
    settings: Settings, tools: Sequence[ToolSpec[Any, Any, Any]], images: Callable[[str], bytes]
) -> ChatModel:
    """The served model as the agent uses it; two short calls check that it sees pictures.

    Args:
        settings: The address, the model, and how many pictures it gets where; with none it is not checked.
        tools: What it may call.
        images: Gives the PNG of an image id.

    Raises:
        ServerError: nobody answers.
        UsageError: as `vllm_chat_model`, or the model does not see pictures.
    """
    chat = vllm_chat_model(settings)
    model = bind(chat, [tool.to_json() for tool in tools])
    placement, limit = settings.vllm_tool_images, settings.vllm_max_images
    if limit:
        probe_images(model, placement=placement)
    return ChatModel(
        f"vllm/{chat.model_name}", model, partial(to_wire, images=images, placement=placement, limit=limit)
    )


def vllm_chat_model(settings: Settings) -> ServerChatModel:
    """The chat model that `settings` name; it is asked nothing yet, but an unnamed one is looked up.

    Raises:
        ServerError: nobody answers at `vllm_url`.
        UsageError: something else answers there, or `vllm_model` has to choose among several models.
    """
    url = str(settings.vllm_url).rstrip("/")
    # A connection kept for the next call would belong to this call's event loop, which may be gone by then.
    limits = httpx2.Limits(max_keepalive_connections=0)
    return ServerChatModel(
        model=settings.vllm_model or served_model(settings).name,
        base_url=url,
        api_key=settings.vllm_api_key,
        temperature=0,
        seed=settings.seed,
        max_tokens=settings.vllm_max_tokens,
        timeout=openai.Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s)),
        stream_chunk_timeout=settings.timeout_s,
        http_client=openai.DefaultHttpxClient(limits=limits),
        http_async_client=openai.DefaultAsyncHttpxClient(limits=limits),
        max_retries=0,  # the graph retries
        use_responses_api=False,
        stream_usage=True,
    )


def bind(model: BaseChatModel, tools: Sequence[Json]) -> Runnable[LanguageModelInput, AIMessage]:
    """Offer `tools` (`ToolSpec.to_json()` of each): at most one call a turn, its arguments held to the schema."""
    return model.bind_tools([strict_tool(tool) for tool in tools], parallel_tool_calls=False)


def probe_images(
    model: Runnable[LanguageModelInput, AIMessage],
    *,
    placement: Placement,
    count: int = 1,
    size: tuple[int, int] = (224, 224),
) -> int:
    """Ask the same thing with and without pictures that a tool drew, and compare how long the prompt was.

    A chat template can drop pictures silently, and servers use another template when tools
    are offered: give the model as the agent uses it, tools bound.

    Args:
        model: The served model.
        placement: Where the pictures go.
        count: How many, in one reply of a tool.
        size: Width and height of each in pixels.

    Returns:
        The prompt tokens that one of the pictures takes.

    Raises:
        ServerError: nobody answers.
        UsageError: the model does not see the pictures.
    """
    call = ToolCall(name="render_series", args={}, id="probe")
    picture = {"image_id": "probe", "title": "a grey square", "alt": "a grey square"}
    asked: list[AnyMessage] = [
        HumanMessage("What does the picture show?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("drawn", tool_call_id="probe", artifact={"images": [picture] * count}),
    ]
    shown = to_wire(asked, lambda _: _grey_png(size), placement=placement, limit=count)
    return _picture_tokens(model, shown, f"placement {placement!r}", count)


def probe_question(model: Runnable[LanguageModelInput, AIMessage]) -> int:
    """As `probe_images`, for one picture of 224 x 224 pixels in a question, no tools."""
    drawn = ToolMessage("", tool_call_id="", artifact={"images": [{"image_id": "probe", "title": "A", "alt": "A"}]})
    question = to_wire([drawn], lambda _: _grey_png(), placement="user", limit=1)[1:]
    return _picture_tokens(model, question, "in a question", 1)


def prompt_tokens(model: Runnable[LanguageModelInput, AIMessage], messages: Sequence[AnyMessage]) -> int:
    """How many tokens these messages take as a prompt, by the server's own count.

    Raises:
        ServerError: the server does not tell, or nobody answers.
    """
    usage = model.bind(max_tokens=1).invoke(messages).usage_metadata
    if usage is None:
        raise ServerError("The server does not say how many tokens a prompt had, so pictures cannot be checked.")
    return usage["input_tokens"]


@dataclass(frozen=True)
class ServedModel:
    """What a server says of itself.

    Attributes:
        name: Of the model.
        context: In tokens, None where it does not say.
        version: Of vLLM; None for other servers.
    """

    name: str
    context: int | None
    version: str | None

    @property
    def software(self) -> str:
        """What serves it."""
        return "an OpenAI-compatible server" if self.version is None else f"vLLM {self.version}"


def served_model(settings: Settings) -> ServedModel:
    """What is served at `vllm_url`: `vllm_model`, or the only model there is.

    Raises:
        ServerError: nobody answers there.
        UsageError: something else answers, or `vllm_model` has to choose among several models or is not served.
    """
    url = str(settings.vllm_url).rstrip("/")
    with (
        _our_errors(url),
        openai.OpenAI(
            base_url=url, api_key=settings.vllm_api_key.get_secret_value(), max_retries=0, timeout=_CONNECT_S
        ) as client,
    ):
        reply = client.models.with_raw_response.list().http_response
        version = _version(url)
    try:
        served = {str(model["id"]): model for model in reply.json()["data"]}
    except (ValueError, TypeError, KeyError) as err:
        raise UsageError(f"What answers at {url} is no OpenAI-compatible server.", _URL_HINT) from err
    if settings.vllm_model is None and len(served) != 1:
        raise UsageError(
            f"The server at {url} serves {len(served)} models.", f"Set MM4ST_VLLM_MODEL to one of {[*served]}."
        )
    name = settings.vllm_model or next(iter(served))
    if name not in served:
        raise UsageError(
            f"The server at {url} does not serve {name!r}.", f"Set MM4ST_VLLM_MODEL to one of {[*served]}."
        )
    context = served[name].get("max_model_len")
    return ServedModel(name, context if isinstance(context, int) else None, version)


def _version(url: str) -> str | None:
    """The version of vLLM; other servers do not have this route."""
    try:
        said = httpx2.get(f"{url.removesuffix('/v1')}/version", timeout=_CONNECT_S).json()
    except (httpx2.HTTPError, ValueError):
        return None
    version = said.get("version") if isinstance(said, Mapping) else None
    return version if isinstance(version, str) else None


@contextmanager
def _our_errors(url: str) -> Iterator[None]:
    """Turn the client's errors into ours; LangChain's are subclasses of the client's."""
    try:
        yield
    except (openai.APIConnectionError, TimeoutError) as err:
        if _was_connected(err):
            timed_out = isinstance(err, (openai.APITimeoutError, TimeoutError))
            raise ServerError(
                f"The chat model server at {url} {'took too long' if timed_out else 'broke off its answer'}.",
                "Raise MM4ST_TIMEOUT_S, or ask for less." if timed_out else _LOG_HINT,
            ) from err
        raise ServerError(f"No chat model server answers at {url}.", _START_HINT) from err
    except (openai.RateLimitError, openai.InternalServerError) as err:
        raise ServerBusyError(
            f"The chat model server at {url} failed with status {err.status_code}: {_detail(err)}",
            f"Try again. {_LOG_HINT}",
        ) from err
    except (openai.AuthenticationError, openai.PermissionDeniedError) as err:
        raise UsageError(f"The chat model server at {url} refused the key.", "Set MM4ST_VLLM_API_KEY.") from err
    except openai.NotFoundError as err:
        raise UsageError(
            f"The chat model server at {url} does not have that: {_detail(err)}",
            f"{_URL_HINT} MM4ST_VLLM_MODEL names a model that it serves.",
        ) from err
    except openai.APIStatusError as err:
        raise UsageError(f"The chat model server at {url} refused the request: {_detail(err)}") from err
    except openai.APIError as err:
        raise ServerError(f"The chat model server at {url} broke off its answer: {_detail(err)}", _LOG_HINT) from err
    except ValidationError as err:
        raise ServerError(
            f"The chat model at {url} sent a tool call that is none: {err.errors()[0]['input']!r} for its arguments.",
            "Serve it with a tool parser that constrains calls, such as hermes.",
        ) from err


def _was_connected(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
            return False
        error = error.__cause__
    return True


def _detail(error: openai.APIError) -> str:
    """The server's own words as a sentence, without the client's wrapping."""
    body = error.body
    words = body.get("message") if isinstance(body, Mapping) else None
    return f"{words or error.message}".rstrip(". ") + "."


def _picture_tokens(
    model: Runnable[LanguageModelInput, AIMessage], seeing: Sequence[AnyMessage], where: str, count: int
) -> int:
    blind = [message.model_copy(update={"content": _without_pictures(message.content)}) for message in seeing]
    blind_tokens = prompt_tokens(model, blind)
    try:
        tokens = (prompt_tokens(model, seeing) - blind_tokens) // count
    except (UsageError, ServerBusyError) as err:
        # vLLM fails with status 500 where the chat template wrote no mark for a picture that came.
        if isinstance(err, ServerBusyError) and _NO_MARK not in err.message:
            raise
        raise UsageError(f"The served model takes no pictures. {err.message}", _BLIND_HINT) from err
    if tokens < _MIN_PICTURE_TOKENS:
        raise UsageError(
            f"The served model ignores pictures: one added {tokens} tokens to the prompt ({where}).", _BLIND_HINT
        )
    return tokens


def _without_pictures(content: Any) -> Any:
    return content if isinstance(content, str) else [part for part in content if part["type"] == "text"]


def _grey_png(size: tuple[int, int] = (224, 224)) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", size, "grey").save(file, "PNG")
    return file.getvalue()
