"""One HTML file that shows how far a data set can be trusted: sentences, key figures, pictures, a table of faults."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality.report import ChannelQuality, Fault, QualityReport
from mm4st_agent.data.quality.sentences import percent, plural, ranked
from mm4st_agent.imaging.figure import Picture, unit_name
from mm4st_agent.imaging.quality_pictures import draw_availability, draw_fault, draw_hours, draw_worst_nodes

MOST_ROWS = 20
MOST_OF_A_KIND = 4
"""Of each kind in the table, before others fill it up."""
MOST_DRAWN = 4
UNLIKE = 0.01
"""A second channel gets a picture where it lacks so much more than the main one."""

_SHARED = ("outage", "never measured", "duplicate")
"""Faults that several channels of a node often have together; the table shows them once."""
_CLOSED = ("spike", "stuck", "straight line", "level shift", "out of range", "contradiction", "wrong clock")
_STYLE = """
:root { --ground: #ffffff; --ink: #1c1c1c; --soft: #5c5c5c; --line: #d8d8d8; --card: #f5f6f7;
  --high: #b34700; --medium: #8a6100; --low: #5c5c5c; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181a; --ink: #ececec; --soft: #a8adb2; --line: #3a3f44;
  --card: #212427; --high: #ff9a5c; --medium: #f0c04a; --low: #a8adb2; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 36px 0 8px; }
p.about { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
ul.verdict { margin: 0 0 24px; padding-left: 1.2em; font-size: 1.1rem; }
ul.verdict li { margin-bottom: 6px; overflow-wrap: anywhere; }
dl.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 0; }
dl.figures div { background: var(--card); border-radius: 8px; padding: 10px 14px; }
dl.figures dt { color: var(--soft); font-size: 0.85rem; }
dl.figures dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
figure { margin: 12px 0 20px; }
figure img { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 6px; overflow-wrap: anywhere; }
div.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 0 16px; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
th, td { text-align: left; vertical-align: top; padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; white-space: nowrap; }
td { overflow-wrap: anywhere; }
td.kind { white-space: nowrap; }
.high { color: var(--high); font-weight: 600; } .medium { color: var(--medium); font-weight: 600; }
.low { color: var(--low); }
.synthetic { color: var(--high); font-weight: 600; }
@media (max-width: 600px) { figure { overflow-x: auto; } figure img { min-width: 640px; } }
@media (max-width: 600px) { table.faults thead { display: none; } table.faults td { display: inline; border: 0; }
  table.faults td:last-child { display: block; } table.faults tr { display: block; padding: 8px 0;
  border-bottom: 1px solid var(--line); } }
"""


def quality_page(panel: Panel, report: QualityReport) -> str:
    """The report as one self-contained page: no script, no other file, light and dark, for phones and screens.

    Args:
        panel: The one that the report is about, cut at the same time. Nodes are read a few at a time.
        report: Of `assess`.

    Returns:
        HTML. Names of data sets, channels and nodes are escaped; nothing in them is markup.
    """
    channels = report.channels
    parts = [
        f"<h1>{escape(report.title)}: data quality</h1>",
        f'<p class="about">{_about(report)}</p>',
        f'<ul class="verdict">{"".join(f"<li>{escape(sentence)}</li>" for sentence in report.verdict)}</ul>',
        _figures(report),
    ]
    if len(channels) > 1:
        parts += ["<h2>Channels</h2>", _channel_table(channels)]
    parts += _completeness(panel, channels)
    faults = _distinct(channels)
    parts += _drawn(panel, faults)
    parts += _fault_table(channels, faults)
    untested = sorted({sentence for channel in channels for sentence in channel.not_tested})
    if untested:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in untested)
        parts += ["<h2>Not tested</h2>", f"<ul>{items}</ul>"]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.dataset)}: data quality</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _about(report: QualityReport) -> str:
    mark = '<span class="synthetic">Synthetic data: no real place.</span> ' if report.synthetic else ""
    span = f"{report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M}, {report.time_zone}"
    places = f"{report.nodes:,} {plural(report.place_word, report.nodes)}"
    return f"{mark}{escape(f'{report.dataset}: {places}, {span}, one step is {_step(report.step_s)}.')}"


def _step(seconds: int) -> str:
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {plural(word, count)}"
    return f"{seconds} s"


def _figures(report: QualityReport) -> str:
    """The main numbers, over all channels."""
    counted = [channel.completeness for channel in report.channels]
    cells = sum(one.cells for one in counted)
    faults = sum(sum(channel.counts.values()) for channel in report.channels)
    never = {node for one in counted for node in one.never_measured}
    rows = [
        (f"{report.place_word}s", f"{report.nodes:,}"),
        ("readings", f"{cells:,}"),
        ("missing", percent(sum(one.missing for one in counted) / cells if cells else 0.0)),
        ("filled in by the source", percent(sum(one.imputed for one in counted) / cells if cells else 0.0)),
        ("never measured", f"{len(never):,} {plural(report.place_word, len(never))}"),
        ("findings", f"{faults:,}"),
    ]
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    return f'<dl class="figures">{items}</dl>'


def _channel_table(channels: Sequence[ChannelQuality]) -> str:
    head = "<tr><th>Channel</th><th>Unit</th>" + "".join(
        f'<th class="number">{name}</th>' for name in ("Missing", "Filled in", "On straight lines", "Findings")
    )
    rows = []
    for channel in channels:
        one = channel.completeness
        lines = "–" if channel.straight_line_share is None else percent(channel.straight_line_share)
        numbers = [percent(one.missing_share), percent(one.imputed_share), lines, f"{sum(channel.counts.values()):,}"]
        cells = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
        rows.append(f"<tr><td>{escape(one.title)}</td><td>{escape(unit_name(one.unit))}</td>{cells}</tr>")
    return f'<div class="wide"><table><thead>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _completeness(panel: Panel, channels: Sequence[ChannelQuality]) -> list[str]:
    """When and where nothing was measured, of the main channel and of a worse one."""
    main = channels[0]
    worst = max(channels, key=_lost)
    parts = ["<h2>What was measured, and when</h2>"]
    for channel in [main] if _lost(worst) - _lost(main) <= UNLIKE else [main, worst]:
        one = channel.completeness
        if not _lost(channel) and not channel.straight_line_share:
            parts.append(f"<p>Every reading of {escape(one.title)} is there, and none is marked as filled in.</p>")
            continue
        parts.append(_figure(draw_availability(panel, one)))
        if _lost(channel):
            beside = [draw_hours(panel, one)] if one.by_hour else []
            beside += [draw_worst_nodes(panel, one)] if one.worst_nodes else []
            parts.append(f'<div class="pair">{"".join(_figure(picture) for picture in beside)}</div>')
    return parts


def _lost(channel: ChannelQuality) -> float:
    return channel.completeness.missing_share + channel.completeness.imputed_share


def _distinct(channels: Sequence[ChannelQuality]) -> list[tuple[str, Fault, list[str]]]:
    """Channel name, fault, and the titles of further channels that have the same; the gravest first."""
    seen: dict[tuple[object, ...], tuple[str, Fault, list[str]]] = {}
    for channel in channels:
        for number, fault in enumerate(channel.faults):
            key: tuple[object, ...] = (fault.what, fault.nodes, fault.start, fault.end)
            if fault.what not in _SHARED:
                key = (channel.completeness.name, number)
            if key in seen:
                seen[key][2].append(channel.completeness.title)
            else:
                seen[key] = (channel.completeness.name, fault, [])
    places = {id(fault): rank for rank, fault in enumerate(ranked(fault for _, fault, _ in seen.values()))}
    return sorted(seen.values(), key=lambda row: places[id(row[1])])


def _drawn(panel: Panel, faults: Sequence[tuple[str, Fault, list[str]]]) -> list[str]:
    """The gravest fault of each kind that can be drawn."""
    first: dict[str, tuple[str, Fault]] = {}
    for channel, fault, _ in faults:
        if fault.what in _CLOSED:
            first.setdefault(fault.what, (channel, fault))
    chosen = list(first.values())[:MOST_DRAWN]
    if not chosen:
        return []
    pictures = "".join(_figure(draw_fault(panel, channel, fault), fault.sentence) for channel, fault in chosen)
    return ["<h2>The gravest of each kind</h2>", f'<div class="pair">{pictures}</div>']


def _fault_table(channels: Sequence[ChannelQuality], faults: Sequence[tuple[str, Fault, list[str]]]) -> list[str]:
    if not faults:
        return []
    shown = _chosen(faults)
    merged = sum(len(others) for _, _, others in faults)
    more = sum(sum(channel.counts.values()) for channel in channels) - merged - len(shown)
    rows = []
    for _, fault, others in shown:
        also = f" The same holds for {', '.join(others)}." if others else ""
        rows.append(
            f'<tr><td class="{fault.severity}">{fault.severity}</td><td class="kind">{escape(fault.what)}</td>'
            f"<td>{escape(fault.sentence + also)}</td></tr>"
        )
    table = (
        '<table class="faults"><thead><tr><th>Severity</th><th>Kind</th><th>Finding</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return ["<h2>Findings</h2>", table, *([f"<p>And {more:,} more.</p>"] if more > 0 else [])]


def _chosen(faults: Sequence[tuple[str, Fault, list[str]]]) -> list[tuple[str, Fault, list[str]]]:
    """At most `MOST_ROWS`, some of every kind, in their order."""
    count: dict[str, int] = {}
    first: list[int] = []
    rest: list[int] = []
    for index, (_, fault, _) in enumerate(faults):
        count[fault.what] = count.get(fault.what, 0) + 1
        (first if count[fault.what] <= MOST_OF_A_KIND else rest).append(index)
    return [faults[index] for index in sorted([*first, *rest][:MOST_ROWS])]


def _figure(picture: Picture, caption: str = "") -> str:
    png = base64.b64encode(picture.png).decode("ascii")
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="data:image/png;base64,{png}" alt="{escape(picture.alt)}">{words}</figure>'
