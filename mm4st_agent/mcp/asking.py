"""The tool `ask`: a question in plain words, and an answer whose claims were checked."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import mcp_types as types
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mm4st_agent.agent.answer import Answer, Citation, Claim
from mm4st_agent.agent.run_events import Answered, ToolStarted
from mm4st_agent.errors import ToolError
from mm4st_agent.mcp.addresses import address
from mm4st_agent.mcp.calls import AS_OF, Report, beating, result
from mm4st_agent.mcp.sizes import WholeReplies
from mm4st_agent.runtime import Runtime
from mm4st_agent.toolspec import ImageHandle, Json

ASK = "ask"


class AskIn(BaseModel):
    """Answer a question about a data set in plain words; every number in the answer is checked against evidence."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(description="In plain English, or the reply to what the thread's last answer asked.")
    dataset: str | None = Field(None, description="A registered data set; left out, the one of the settings.")
    as_of: str | None = Field(None, description=AS_OF["description"])
    thread: str | None = Field(None, description="Goes on with an earlier conversation; an answer names its thread.")


class AskOut(BaseModel):
    """The answer, what it claims and how each claim was checked, and what it stands on."""

    answer: str
    claims: list[Claim]
    citations: list[Citation]
    figures: list[ImageHandle]
    warnings: list[str]
    choices: list[str] = Field(description="What may be meant, where the answer asks back; ask again in its thread.")
    chat_model: str
    dataset: str
    as_of: str
    thread: str
    turn: int
    seconds: float
    manifest: str | None = Field(description="Address of the run manifest, with the whole evidence.")


def described_ask() -> types.Tool:
    """`ask` as a host sees it. It keeps a conversation, so it does not only read."""
    return types.Tool(
        name=ASK,
        title="Ask",
        description=" ".join((AskIn.__doc__ or "").split()),
        input_schema=AskIn.model_json_schema(),
        output_schema=AskOut.model_json_schema(mode="serialization"),
        annotations=types.ToolAnnotations(
            read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
        ),
    )


async def ask(runtime: Runtime, replies: WholeReplies, arguments: Json, report: Report) -> types.CallToolResult:
    """Answer a question; each step of the agent is progress.

    Raises:
        MM4STError: bad arguments, or what `Runtime.stream` raises.
    """
    try:
        asked = AskIn.model_validate(arguments)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(map(str, first["loc"])) or "arguments"
        raise ToolError(
            f"Bad arguments for {ASK}: {where}: {first['msg']}.", "It takes question, dataset?, as_of?, thread?."
        ) from err
    started = time.monotonic()
    async with beating(report, "Answering"):
        options = asked.model_dump(exclude={"question"})
        async with aclosing(runtime.stream(asked.question, **options)) as events:  # who cancels stops the run
            async for event in events:
                if isinstance(event, ToolStarted):
                    await report(time.monotonic() - started, event.title)
                elif isinstance(event, Answered):
                    told = _told(event.answer)
    return await asyncio.to_thread(result, runtime, replies, told.model_dump(mode="json"), told.figures)


def _told(answer: Answer) -> AskOut:
    """What a host gets of an answer: no paths of this machine, and the evidence by the manifest's address."""
    shared = {name: getattr(answer, name) for name in AskOut.model_fields if name not in ("figures", "manifest")}
    figures = [ImageHandle(image_id=f.image_id, title=f.title, alt=f.alt) for f in answer.figures]
    manifest = None if answer.manifest is None else manifest_address(Path(answer.manifest))
    return AskOut(**shared, figures=figures, manifest=manifest)


def manifest_address(file: Path) -> str:
    """Address of a run manifest: its day and its name."""
    return address("manifest", f"{file.parent.name}/{file.stem}")
