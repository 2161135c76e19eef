"""`open(...)` gives a `Session`: one data set at one clock, with a method for each tool."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from mm4st_agent.api.background import awaited, result_of, started
from mm4st_agent.api.calls import ARGUMENTS, METHODS, PLACES, Moment
from mm4st_agent.api.deciding import Deciding
from mm4st_agent.api.foreseeing import Foreseeing
from mm4st_agent.api.looking import Looking
from mm4st_agent.api.results import Result
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import ChatModelName, Settings, load_settings

if TYPE_CHECKING:
    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.agent.run_events import RunEvent
    from mm4st_agent.agent.tool_export import LangChainTools
    from mm4st_agent.toolspec import Json, ToolSpec

_SUGGESTED = 5


def open(
    dataset: str | None = None,
    *,
    as_of: Moment | None = None,
    chat_model: ChatModelName | None = None,
    **settings: Any,
) -> Session:
    """Open a data set at a clock. Sessions of one process with the same settings share what was loaded.

    Args:
        dataset: A registered data set; None is the settings' one, the demo unless they say otherwise.
        as_of: The clock; nothing later is visible. Without a zone it is local time of the data, "end" is their end,
            None their own `now`.
        chat_model: Who answers `ask`: "embedded" or "vllm".
        **settings: Any other setting by its name, such as `home` or `data_dir`.

    Raises:
        UsageError: an unknown data set or setting, or a clock outside the data.
        DataError: the data set's files are missing or broken.

    >>> import mm4st_agent as mm4st
    >>> session = mm4st.open("demo", as_of="2025-09-20T12:00")
    >>> session.query("S022").as_of.isoformat()
    '2025-09-20T12:00:00+01:00'
    """
    return Session(_runtime(load_settings(chat_model=chat_model, **settings)), dataset, as_of=as_of)


class Session(Looking, Foreseeing, Deciding):
    """One data set at one clock. Threads may share it; each method has an awaited twin, `aforecast` of `forecast`.

    Args:
        runtime: What makes the calls; `open` gives the one of the settings.
        dataset: As for `open`.
        as_of: As for `open`.

    Attributes:
        dataset: Its name.
        as_of: The clock, in the zone of the data.
    """

    def __init__(self, runtime: Runtime, dataset: str | None = None, *, as_of: Moment | None = None) -> None:
        self.runtime = runtime
        whole = runtime.registry.open(dataset or runtime.settings.dataset)
        self.dataset = whole.name
        self.as_of = whole.moment(as_of or whole.now)
        self.panel: Panel = whole.until(self.as_of)
        self._ids = frozenset(self.panel.node_ids)
        self._clock = self.as_of.isoformat(timespec="microseconds")
        runtime.tool_context()  # so that no two threads make its parts at once

    def __repr__(self) -> str:
        return f"<session on {self.dataset} as of {self.as_of:%Y-%m-%dT%H:%M%z}>"

    def at(self, as_of: Moment) -> Session:
        """The same at another clock."""
        return Session(self.runtime, self.dataset, as_of=as_of)

    # -- readings -----------------------------------------------------------------------------

    def readings(
        self, *nodes: str | int, channel: str | None = None, hours: float = 24, measured_only: bool = False
    ) -> pd.DataFrame:
        """The readings themselves, up to the clock.

        Args:
            *nodes: The places; none are all that measure the channel.
            channel: The quantity; None is the data set's main one.
            hours: How far back.
            measured_only: Leave out what the source filled in.

        Returns:
            A row a time step, aware times in the zone of the data, and a column a place, by its id. NaN is missing.
            `attrs["units"]` names the unit of each column.

        Raises:
            UsageError: no such place or channel, or a span that is not positive.
        """
        if not hours > 0:
            raise UsageError(f"hours is {hours!r}.", "Give a positive number.")
        chosen = self.panel.channel(channel)
        ids = [self._place("node", node) for node in nodes] or self.panel.nodes_of(chosen.name)
        steps = math.ceil(min(hours * 3600 / self.panel.step_s, len(self.panel.times)))
        recent = self.panel.only(ids)
        values = recent.observed(chosen.name) if measured_only else recent.values(chosen.name)
        frame = pd.DataFrame(values[-steps:], index=self.panel.times[-steps:].rename("time"), columns=ids)
        frame.attrs["units"] = dict.fromkeys(ids, chosen.unit)
        return frame

    areadings = awaited(readings)

    # -- questions ----------------------------------------------------------------------------

    def ask(
        self, question: str, *, thread: str | None = None, on_event: Callable[[RunEvent], None] | None = None
    ) -> Answer:
        """Ask in plain language; every number of the answer points to its evidence.

        Works in a notebook, too, where an event loop runs already.

        Args:
            question: In plain English; or the reply to what the thread's last answer asked.
            thread: Goes on with an earlier conversation, `Answer.thread`; None starts a new one.
            on_event: Is told each step, from another thread.

        Raises:
            UsageError: an empty question, or a thread that is in use.
            ServerError: the chat model's server does not answer.
            AgentError: the chat model did not come to an answer.
        """
        return result_of(self._answer(question, thread, on_event))

    async def aask(
        self, question: str, *, thread: str | None = None, on_event: Callable[[RunEvent], None] | None = None
    ) -> Answer:
        """Await `ask`; cancelling it stops the answering."""
        return await asyncio.wrap_future(started(self._answer(question, thread, on_event)))

    async def _answer(self, question: str, thread: str | None, on_event: Callable[[RunEvent], None] | None) -> Answer:
        from mm4st_agent.api.display import shown

        answer = await self.runtime.ask(
            question, on_event=on_event, dataset=self.dataset, as_of=self._clock, thread=thread
        )
        return shown(answer)

    # -- for other agents ---------------------------------------------------------------------

    def call(self, name: str, args: Mapping[str, Any] | str = "{}") -> Result[Any]:
        """Call a tool by its name, as a chat model asks for it.

        Args:
            name: Of the tool, such as "render_series".
            args: Its arguments, or the JSON text of them; without the data set, which is this session's.

        Raises:
            UsageError: no such tool, no such place, or another data set.
            ToolError: bad arguments, or a known failure inside the tool.
        """
        given = _arguments(args)
        self._spec(name)
        if (asked := given.pop("dataset", self.dataset)) != self.dataset:
            raise UsageError(
                f"This session is on {self.dataset!r}, not on {asked!r}.", "Leave the argument dataset out."
            )
        return self._call(name, given)

    acall = awaited(call)

    def openai_functions(self) -> list[Json]:
        """The tools as strict OpenAI functions, for `tools=` of a chat completion; `call` runs what comes back.

        The data set and the clock are the session's, so no model sets them.
        """
        from mm4st_agent.agent.tool_export import openai_functions

        return openai_functions(self.runtime.tools.values())

    def langchain_tools(self) -> LangChainTools:
        """The tools as LangChain tools, for `bind_tools` or any LangGraph agent.

        The content of a reply is JSON without pixels; its artifact is the `Result`. A known failure becomes a reply
        with the status "error", which the model reads.
        """
        from mm4st_agent.agent.tool_export import langchain_tools

        return langchain_tools(self.runtime.tools.values(), self.call, self.acall)

    # -- calls --------------------------------------------------------------------------------

    def _run(self, tool: str, **given: Any) -> Result[Any]:
        return self._call(tool, {ARGUMENTS.get(name, name): value for name, value in given.items()}, given)

    def _call(self, tool: str, args: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> Result[Any]:
        plain = {name: self._with_ids(name, value) for name, value in args.items() if value is not None}
        whole = {"dataset": self.dataset, **plain}
        if parameters is not None:
            _check(self._spec(tool), whole, parameters)
        out = self.runtime.tool(tool, whole, self._clock)
        return Result(out, tool, whole, self.dataset, self.as_of, self.runtime.images)

    def _spec(self, tool: str) -> ToolSpec[Any, Any, Any]:
        if tool not in self.runtime.tools:
            raise UsageError(f"There is no tool {tool!r}.", f"Known: {', '.join(self.runtime.tools)}.")
        return self.runtime.tools[tool]

    def _with_ids(self, name: str, value: Any) -> Any:
        """An argument as JSON has it, with the ids of the places in it."""
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, Mapping):
            return {key: self._with_ids(key, part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._with_ids(name, part) for part in value]
        return self._place(name, value) if name in PLACES and isinstance(value, (str, int)) else value

    def _place(self, argument: str, place: str | int) -> str:
        """The id of a place that is given by its id or in words.

        Raises:
            UsageError: it is no place, or may be several.
        """
        text = str(place).strip()
        if text in self._ids:
            return text
        matches = []
        if text:
            found = self.runtime.tool("find_places", {"dataset": self.dataset, "query": text[:500]}, self._clock)
            matches = cast(Any, found).matches
        exact = [match for match in matches if match.exact]
        if len(exact) == 1:
            return str(exact[0].id)
        suggested = ", ".join(f"{m.id} ({m.name})" if m.name != m.id else m.id for m in matches[:_SUGGESTED])
        ids = self.panel.node_ids
        raise UsageError(
            f"{argument}: {text!r} may be several places of {self.dataset!r}."
            if exact
            else f"{argument}: {self.dataset!r} has no {self.panel.card.place_word} {text!r}.",
            f"Perhaps {suggested}." if suggested else f"It has {len(ids)}, such as {', '.join(ids[:3])}.",
        )


def _arguments(args: Mapping[str, Any] | str) -> dict[str, Any]:
    if not isinstance(args, str):
        return dict(args)
    try:
        given = json.loads(args or "{}")
    except ValueError as err:
        raise UsageError(f"The arguments are not JSON: {err}.", 'Write them as {"node": "S039"}.') from err
    if not isinstance(given, dict):
        raise UsageError(f"The arguments are {args}, not a JSON object.", 'Write them as {"node": "S039"}.')
    return given


def _check(spec: ToolSpec[Any, Any, Any], args: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Refuse bad values by the names that the method gives them.

    Raises:
        UsageError: a value is of the wrong type, or out of range.
    """
    try:
        spec.input_model.model_validate(args)
    except ValidationError as err:
        names = {ARGUMENTS.get(name, name): name for name in parameters}
        said = "; ".join(
            f"{'.'.join(names.get(str(part), str(part)) for part in item['loc'])}: "
            f"{item['msg']} (got {item['input']!r})"
            for item in err.errors()
        )
        method = METHODS.get(spec.name, spec.name)
        raise UsageError(f"Bad arguments for {method}: {said}.", f"It takes {', '.join(parameters)}.") from err


_runtimes: dict[Settings, Runtime] = {}
_making = threading.Lock()


def _runtime(settings: Settings) -> Runtime:
    """The one of these settings: what it has loaded serves every session."""
    with _making:
        if settings not in _runtimes:
            _runtimes[settings] = Runtime(settings)
        return _runtimes[settings]
