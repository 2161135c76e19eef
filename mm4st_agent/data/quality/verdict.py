"""At most five sentences about a data set, the most important first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality.report import ChannelQuality, Completeness, Fault, What
from mm4st_agent.data.quality.sentences import enumerated, percent, plural, ranked

MOST = 5
MOST_ALIKE = 2
"""So many different shares of the channels are said one by one."""
UNEVEN = 3.0
"""Hours differ where the least complete lacks so many times the share of the day."""
WORTH = 0.01
"""A smaller share is not worth a sentence of its own."""

_KINDS: dict[What, str] = {
    "out of range": "with readings that cannot be",
    "duplicate": "that are copies of another",
    "wrong clock": "whose day runs early or late",
    "stuck": "that stood still for longer than chance allows",
    "contradiction": "that contradict a neighbour",
    "level shift": "whose level changed for good",
    "spike": "with isolated jumps",
}


def verdict(panel: Panel, channels: Sequence[ChannelQuality]) -> tuple[str, ...]:
    """What a person should know first: completeness, then the gravest faults, then the next ones in numbers."""
    counted = [channel.completeness for channel in channels]
    complete = completeness_sentences(panel, counted)
    faults = [*_lines(channels), *_faults(panel, channels)]
    first = complete[: MOST - min(len(faults), 3)]
    return tuple([*first, *faults, *hour_sentences(panel, counted)][:MOST])


def completeness_sentences(panel: Panel, channels: Sequence[Completeness]) -> list[str]:
    """How complete the channels are, the whole first, then nodes that were never measured.

    Channels that lack the same cells share their sentences.
    """
    groups = _alike(channels)
    sentences = [_shares(same[0], _of(panel, same)) for same in groups]
    if len(groups) > MOST_ALIKE:
        sentences = [_range(channels, groups)]
    never: dict[tuple[str, ...], list[Completeness]] = {}
    for channel in channels:
        if channel.never_measured:
            never.setdefault(channel.never_measured, []).append(channel)
    for nodes, same in never.items():
        who = enumerated(panel.card.place_word, nodes)
        verb = "have" if len(nodes) > 1 else "has"
        sentences.append(f"{who[:1].upper()}{who[1:]} {verb} no measured reading{_of(panel, same)} at all.")
    return sentences


def hour_sentences(panel: Panel, channels: Sequence[Completeness]) -> list[str]:
    """At which hour of the day much more is missing than at others, where there is one."""
    return [sentence for same in _alike(channels) for sentence in _hours(same[0], _of(panel, same))]


def _alike(channels: Sequence[Completeness]) -> list[list[Completeness]]:
    """Channels that lack the same cells together, those that lack most first."""
    return [list(group) for _, group in groupby(sorted(channels, key=_lack, reverse=True), key=_lack)]


def _of(panel: Panel, same: Sequence[Completeness]) -> str:
    """Which channels a sentence is about, where there are others."""
    return f" of {_listed([channel.title for channel in same])}" if len(panel.card.channels) > 1 else ""


def _range(channels: Sequence[Completeness], groups: Sequence[Sequence[Completeness]]) -> str:
    """The main channel, and the least and most complete one."""
    main, worst, best = channels[0], groups[0][0], groups[-1][0]
    said = [f"{worst.title} lacks most ({percent(_lost(worst))})"] if worst is not main else []
    said += [f"{best.title} {'lacks ' if not said else ''}least ({percent(_lost(best))})"] if best is not main else []
    whole = f"{percent(_lost(main))} of the readings of {main.title} are missing or filled in"
    return f"{whole}; {', '.join(said)}."


def _lost(channel: Completeness) -> float:
    return channel.missing_share + channel.imputed_share


def _lack(channel: Completeness) -> tuple[float, float, tuple[str, ...]]:
    return _lost(channel), channel.missing_share, channel.never_measured


def _shares(one: Completeness, of: str) -> str:
    if not one.missing and not one.imputed:
        return f"Every reading{of} is there, and none is marked as filled in."
    parts = []
    if one.missing:
        parts.append(f"{percent(one.missing_share)} of the readings{of} are missing")
    if one.imputed:
        whole = "" if one.missing else f" of the readings{of}"
        parts.append(f"{percent(one.imputed_share)}{whole} were filled in by the source without a measurement")
    return f"{'; '.join(parts)}{'' if one.missing else '; none is missing'}."


def _hours(one: Completeness, of: str) -> list[str]:
    lost = [hour.missing_share + hour.imputed_share for hour in one.by_hour]
    mean = _lost(one)
    if not lost or mean < WORTH or max(lost) < UNEVEN * mean:
        return []
    worst = one.by_hour[lost.index(max(lost))].slot
    return [f"Most gaps{of} are at {worst:02d}:00, where {percent(max(lost))} is not measured."]


def _lines(channels: Sequence[ChannelQuality]) -> list[str]:
    sentences = []
    for channel in channels:
        part = channel.straight_line_share
        if part is not None and part >= WORTH:
            sentences.append(
                f"At least {percent(part)} of the readings of {channel.completeness.title} lie on straight lines: "
                "they were filled in linearly, most likely, and nothing marks them."
            )
    return sentences


def _faults(panel: Panel, channels: Sequence[ChannelQuality]) -> list[str]:
    """The gravest fault of each kind as it stands, with how many there are; or that there is none."""
    found: dict[What, list[Fault]] = {}
    total: dict[What, int] = {}
    for channel in channels:
        for fault in channel.faults:
            if fault.what in _KINDS:
                found.setdefault(fault.what, []).append(fault)
        for what, count in channel.counts.items():
            total[what] = total.get(what, 0) + count
    if not found:
        return ["No stuck sensor, jump, level shift, impossible or contradictory reading was found."]
    sentences = []
    for fault in ranked(ranked(faults)[0] for faults in found.values()):
        more = total[fault.what] - 1
        together = sum(other.start == fault.start for other in found[fault.what]) - 1
        tail = _more(panel, fault.what, more, len(channels) > 1)
        if more and fault.what == "level shift" and together:
            tail += f", {'all' if together == more else together} of them on the same day"
        tail += "." if more else ""
        sentences.append(fault.sentence + tail)
    return sentences


def _more(panel: Panel, what: What, count: int, several: bool) -> str:
    if not count:
        return ""
    are = "is" if count == 1 else "are"
    if several or what in ("contradiction", "duplicate"):
        where = " in all channels" if several else ""
        return f" There {are} {count:,} more {plural('finding', count)} of this kind{where}"
    return f" There {are} {count:,} more {plural(panel.card.place_word, count)} {_KINDS[what]}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
