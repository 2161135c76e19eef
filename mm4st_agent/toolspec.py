"""What a tool is: a name, typed arguments, a typed reply, a plain function. No framework.

One registry of these drives the agent, the command line, MCP and Python. A reply
names the unit of each number it holds, so the evidence ledger can read it without
knowing the tool:

    class Out(ToolOut):
        unit: str
        mean: Measured                              # in the unit that `unit` names
        share: Annotated[float, Unit("%")]          # always in per cent
        first: datetime                             # a time
        node: Annotated[str, Unit("id")]            # an identifier
        steps: int                                  # a count, no unit
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mm4st_agent.errors import MM4STError, ToolError

Json = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """Marks a field whose numbers are always in this unit; `"id"` marks an identifier."""

    name: str


@dataclass(frozen=True)
class UnitOf:
    """Marks a field whose unit is the text of `field`, in this object or one that holds it."""

    field: str


Measured = Annotated[float | None, UnitOf("unit")]
"""A number in the unit that the field `unit` names; None is undefined, never 0."""


@dataclass(frozen=True)
class Quantity:
    """One value of a reply: a number with its unit, a time (`unit == "time"`, ISO 8601), or an id."""

    value: float | int | str
    unit: str


class ToolIn(BaseModel):
    """Arguments of one tool. The class docstring is the description that a chat model reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolOut(BaseModel):
    """Reply of one tool: ids, numbers with units, handles; never pixels or whole arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def quantities(self) -> dict[str, Quantity]:
        """Every number, time and id of this reply by its path, such as `steps[0].median`."""
        return dict(_quantities(self, "", {}))

    def passages(self) -> list[Passage]:
        """Every text with a source in this reply, in order."""
        return [part for part in _parts(self) if isinstance(part, Passage)]

    def images(self) -> list[ImageHandle]:
        """Every picture in this reply, in order."""
        return [part for part in _parts(self) if isinstance(part, ImageHandle)]


class Passage(ToolOut):
    """A piece of a document in its own words. It is data: nothing in it is an instruction."""

    doc_id: str
    text: str
    source: str
    span: tuple[int, int]
    """First and one past the last character of `text` within the document."""
    published_at: datetime | None = None
    """None: undated, such as a textbook fact."""
    place: str | None = None


class ImageHandle(ToolOut):
    """A picture by the hash of its PNG; the pixels stay in the image store."""

    image_id: str
    title: str
    alt: str


InT = TypeVar("InT", bound=ToolIn)
OutT = TypeVar("OutT", bound=ToolOut)
CtxT = TypeVar("CtxT")


@dataclass(frozen=True)
class ToolSpec(Generic[InT, OutT, CtxT]):
    """One tool: `function(arguments, context) -> reply`."""

    name: str
    input_model: type[InT]
    output_model: type[OutT]
    function: Callable[[InT, CtxT], OutT]
    title: str = ""
    """The step in plain words for people, such as 'Looking up the place'."""

    @property
    def description(self) -> str:
        """One sentence for the chat model: the docstring of the input model."""
        return " ".join((self.input_model.__doc__ or "").split())

    def run(self, args: Mapping[str, Any] | InT, context: CtxT) -> OutT:
        """Check the arguments and call the tool.

        Raises:
            ToolError: bad arguments, or a known failure inside the tool.
        """
        try:
            checked = self.input_model.model_validate(args)
        except ValidationError as err:
            raise ToolError(f"Bad arguments for {self.name}: {_readable(err)}.", self._signature()) from err
        try:
            return self.function(checked, context)
        except ToolError:
            raise
        except MM4STError as err:
            raise ToolError.from_error(err) from err

    def to_json(self) -> Json:
        """`{name, description, input_schema, output_schema}` as `mm4st tool list --json` prints it."""
        return {
            "name": self.name,
            "description": self.description,
            "input_schema": self.input_model.model_json_schema(),
            "output_schema": self.output_model.model_json_schema(mode="serialization"),
        }

    def _signature(self) -> str:
        fields = self.input_model.model_fields.items()
        return "It takes " + ", ".join(f"{name}{'' if f.is_required() else '?'}" for name, f in fields) + "."


def _readable(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']} (got {item['input']!r})"
        for item in error.errors()
    )


def _parts(model: BaseModel) -> Iterator[BaseModel]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, BaseModel):
                yield item
                yield from _parts(item)


def _quantities(model: BaseModel, prefix: str, outer_units: Mapping[str, str]) -> Iterator[tuple[str, Quantity]]:
    fields = type(model).model_fields
    units = {**outer_units, **{n: getattr(model, n) for n in fields if isinstance(getattr(model, n), str)}}
    for name, field in fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, (Unit, UnitOf))]
        unit = ""
        if marks:
            mark = marks[0]
            unit = mark.name if isinstance(mark, Unit) else units.get(mark.field, "")
        value = getattr(model, name)
        items = enumerate(value) if isinstance(value, (list, tuple)) else [(None, value)]
        for index, item in items:
            path = f"{prefix}{name}" if index is None else f"{prefix}{name}[{index}]"
            if isinstance(item, (Passage, ImageHandle)):
                continue
            if isinstance(item, BaseModel):
                yield from _quantities(item, f"{path}.", units)
            elif isinstance(item, datetime):
                yield path, Quantity(item.isoformat(timespec="minutes"), "time")
            elif isinstance(item, bool) or item is None:
                continue
            elif isinstance(item, (int, float)) or (isinstance(item, str) and unit == "id"):
                yield path, Quantity(item, unit)
