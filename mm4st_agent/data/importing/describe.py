"""Names and units of channels and covariates: as stated, as the file says, by convention, or unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from mm4st_agent.data.card import Channel
from mm4st_agent.data.importing.draft import Block, Finding, Source
from mm4st_agent.data.importing.grid import in_short
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.plainnames import MAX_NAME, plain_name
from mm4st_agent.data.importing.quantities import quantity, split_unit
from mm4st_agent.data.importing.records import RecordSource
from mm4st_agent.data.panel import KNOWN_FUTURE
from mm4st_agent.errors import UsageError

RESERVED = ("time", "node", "name", "kind", "lat", "lon", "imputed")


def selected(source: Source, options: ImportOptions) -> tuple[Source, tuple[Finding, ...]]:
    """The source with the channels that are wanted, in the wanted order and under their new names.

    Raises:
        UsageError: there is no such channel, or a name cannot be used.
    """
    renamed: dict[str, str] = {}
    found: tuple[Finding, ...] = ()
    channels = source.channels
    if options.channels is not None:
        by_name = {channel.name: channel for channel in channels}
        chosen = []
        for wanted in options.channels:
            name = wanted if wanted in by_name else split_unit(wanted)[0]
            if name not in by_name:
                raise UsageError(f"{source.path} has no channel {wanted!r}.", f"It has {', '.join(by_name)}.")
            chosen.append(by_name[name])
        rest = [channel.name for channel in channels if channel not in chosen]
        if rest:
            found = (Finding("left out", ", ".join(rest), "They are not among the stated channels.", "stated"),)
        channels = tuple(chosen)
    if options.channel is not None and options.channel not in (channel.name for channel in channels):
        if len(channels) > 1:
            raise UsageError(
                f"--channel {options.channel} names one channel, but {source.path} has {len(channels)}: "
                f"{', '.join(channel.name for channel in channels)}.",
                "Choose among them with --channels.",
            )
        renamed[channels[0].name] = options.channel
        channels = (dataclasses.replace(channels[0], name=options.channel),)
    for channel in channels:
        if (clean := _clean(channel.name)) != channel.name:
            original = next((old for old, new in renamed.items() if new == channel.name), channel.name)
            renamed[original] = clean
            found += (_called(channel.name, clean),)
    channels = tuple(dataclasses.replace(c, name=_clean(c.name)) for c in channels)
    beside = {str(name): _clean(str(name)) for name in source.covariates.data_vars}
    found += tuple(_called(name, clean) for name, clean in beside.items() if clean != name)
    _check_names(source, [channel.name for channel in channels], list(beside.values()))
    source = dataclasses.replace(source, covariates=source.covariates.rename_vars(beside))
    if not renamed:
        return dataclasses.replace(source, channels=channels), found
    before = source.blocks

    def blocks() -> Iterator[Block]:
        for block in before():
            yield {renamed.get(name, name): values for name, values in block.items()}

    return dataclasses.replace(source, channels=channels, blocks=blocks), found


def _clean(name: str) -> str:
    """The name as a variable on disk and a word in a sentence can have it."""
    return plain_name(name).replace("/", "-") or name


def _called(name: str, clean: str) -> Finding:
    return Finding("name", clean, f"It is {name!r} in the file, which cannot be stored so.", "mended")


def _check_names(source: Source, channels: list[str], covariates: list[str]) -> None:
    seen: set[str] = set()
    for name in (*channels, *covariates):
        reserved = RESERVED if name in channels else RESERVED[:2]
        if not name.strip() or len(name) > MAX_NAME or name.lower() in reserved or name.startswith("."):
            raise UsageError(
                f"{name[:60]!r} cannot name what was measured in {source.path}.",
                f"Use a word such as 'speed'; not one of {', '.join(RESERVED)}.",
            )
        if name in seen:
            raise UsageError(f"{source.path} has {name!r} twice.", "Choose one with --channels.")
        seen.add(name)


def channels_of(source: Source, options: ImportOptions, step_ns: int, findings: list[Finding]) -> tuple[Channel, ...]:
    """The card's entries of the channels.

    Raises:
        UsageError: a unit is stated for what is not there.
    """
    known = {channel.name for channel in source.channels} | {str(name) for name in source.covariates.data_vars}
    for name in options.units:
        if name not in known:
            raise UsageError(f"There is no channel or covariate {name!r} to have a unit.", f"Known: {_list(known)}.")
    step = in_short(step_ns)
    found = []
    for channel in source.channels:
        meant = quantity(channel.name)
        convention = meant.unit.format(step=step) if meant is not None and meant.unit is not None else None
        unit, said = _unit(channel.name, channel.unit, convention, options)
        findings.append(said)
        summed = (meant is not None and meant.aggregation == "sum") or isinstance(source, RecordSource)
        # A rate over another time than the step, such as vehicles/h, does not add up over steps.
        summed = summed and ("/" not in unit or unit.endswith(f"/{step}"))
        found.append(
            Channel(
                name=channel.name,
                unit=unit,
                title=channel.title or (meant.title if meant is not None else ""),
                aggregation="sum" if summed else "mean",
                total_unit=(unit.split("/")[0] or None) if summed else None,
                kinds=channel.kinds,
            )
        )
    return tuple(found)


def covariate_attrs(
    name: str, attrs: dict[str, Any], options: ImportOptions, step_ns: int
) -> tuple[dict[str, Any], Finding]:
    """The attributes of a covariate: its unit, and whether it is known ahead."""
    meant = quantity(name)
    convention = meant.unit.format(step=in_short(step_ns)) if meant is not None and meant.unit is not None else None
    unit, said = _unit(name, attrs.get("units"), convention, options)
    kept = {**attrs, "units": unit}
    if meant is not None and meant.ahead:
        kept[KNOWN_FUTURE] = True
    return kept, said


def _unit(name: str, of_file: str | None, convention: str | None, options: ImportOptions) -> tuple[str, Finding]:
    what = f"unit of {name}"
    if name in options.units:
        return options.units[name], Finding(what, options.units[name] or "none", "As stated.", "stated")
    if of_file is not None:
        return of_file, Finding(what, of_file or "none", "The file says so.", "stated")
    if convention is not None:
        return convention, Finding(what, convention or "none", "It is the usual one; the file has none.", "assumed")
    why = f"Nothing says it; state it with --unit {name}=UNIT."
    return "", Finding(what, "unknown", why, "assumed")


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)[:12])
