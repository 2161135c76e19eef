"""Two prompts that a person can choose in a host; their texts are templates in `prompts/`."""

from __future__ import annotations

from collections.abc import Mapping

import mcp_types as types

import prompts
from mm4st_agent.errors import UsageError

_DATASET = types.PromptArgument(name="dataset", description="A registered data set.", required=True)
_AS_OF = types.PromptArgument(
    name="as_of", description="The clock, such as 2022-01-25T07:30; left out, the data set's own now."
)

PROMPTS = (
    types.Prompt(
        name="explain_forecast",
        title="Explain this forecast",
        description="A forecast for one place: what it says, what moved it, how good such forecasts were.",
        arguments=[
            _DATASET,
            types.PromptArgument(name="place", description="A place's id or name.", required=True),
            types.PromptArgument(name="minutes", description="How far ahead, in minutes; 60 where left out."),
            _AS_OF,
        ],
    ),
    types.Prompt(
        name="morning_report",
        title="Morning report",
        description="How the data set stands: what is unusual, what was logged, what comes, where to look.",
        arguments=[_DATASET, _AS_OF],
    ),
)
_DEFAULTS = {"minutes": "60", "as_of": ""}
_LONGEST = 200


def rendered(name: str, given: Mapping[str, str]) -> types.GetPromptResult:
    """The text of a prompt with its arguments filled in.

    Raises:
        UsageError: there is no such prompt, or an argument is missing, unknown or too long.
    """
    prompt = next((prompt for prompt in PROMPTS if prompt.name == name), None)
    if prompt is None:
        raise UsageError(f"There is no prompt {name[:100]!r}.", f"Known: {', '.join(p.name for p in PROMPTS)}.")
    arguments = prompt.arguments or []
    known = [argument.name for argument in arguments]
    takes = f"It takes {', '.join(a.name if a.required else f'{a.name}?' for a in arguments)}."
    for argument in arguments:
        if argument.required and not given.get(argument.name, "").strip():
            raise UsageError(f"The prompt {name!r} lacks {argument.name!r}.", takes)
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"The prompt {name!r} has no argument {key[:100]!r}.", takes)
        if len(value) > _LONGEST:
            raise UsageError(f"{key} has {len(value)} characters; at most {_LONGEST} are taken.", takes)
    values = {**_DEFAULTS, **given}
    text = prompts.load(f"mcp_{name}").render(**{key: values[key].strip() for key in known})
    message = types.PromptMessage(role="user", content=types.TextContent(text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])
