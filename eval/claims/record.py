"""Record the tool replies that the labelled sentences are judged by: `python -m eval.claims.record`.

The sentences were written for the replies on file, so those stay; only calls without a reply are made. After the file
was removed, all are made anew: then read every sentence again.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from mm4st_agent.agent.ledger import Evidence, entry_id, from_reply
from mm4st_agent.runtime import Runtime

EVIDENCE = Path(__file__).parent / "evidence.json"

EVENING = "2025-10-20T17:00:00+01:00"
MORNING = "2022-01-25T07:30:00-08:00"

CALLS: tuple[tuple[str, dict[str, Any], str | None], ...] = (
    ("query_series", {"dataset": "demo", "node": "S039", "channel": "speed"}, None),
    ("forecast", {"dataset": "demo", "node": "S039", "channel": "speed"}, None),
    ("forecast", {"dataset": "demo", "node": "S039", "channel": "flow"}, None),
    ("query_series", {"dataset": "demo", "node": "S096", "channel": "speed"}, None),
    ("rank_places", {"dataset": "demo", "channel": "speed", "by": "usual", "order": "lowest"}, None),
    ("retrieve_context", {"dataset": "demo", "query": "incidents", "node": "S039", "kind": "event"}, None),
    ("query_series", {"dataset": "demo", "node": "A03", "channel": "pm25"}, None),
    ("forecast", {"dataset": "demo", "node": "A03", "channel": "no2"}, None),
    ("compare_series", {"dataset": "demo", "node": "S039", "other": "S096", "channel": "speed", "hours": 6}, None),
    ("compare_series", {"dataset": "demo", "node": "S039", "channel": "flow", "back_days": 1}, None),
    ("detect_patterns", {"dataset": "demo", "node": "S039", "channel": "flow"}, None),
    ("describe_dataset", {"dataset": "demo"}, None),
    ("query_series", {"dataset": "demo", "node": "travel-info"}, None),
    (
        "what_if",
        {
            "dataset": "demo", "node": "S096", "channel": "speed",
            "changes": [{"kind": "remove_event", "event": "incident-086"}],
        },
        None,
    ),
    ("explain_forecast", {"dataset": "demo", "node": "S096", "channel": "speed"}, None),
    ("backtest", {"dataset": "demo", "node": "S039", "channel": "speed"}, None),
    ("rank_places", {"dataset": "demo", "channel": "flow", "order": "highest"}, None),
    ("rank_places", {"dataset": "demo", "channel": "speed", "by": "change", "order": "lowest"}, None),
    ("retrieve_context", {"dataset": "demo", "query": "incidents", "node": "S012", "kind": "event"}, None),
    ("render_map", {"dataset": "demo", "channel": "speed"}, None),
    ("find_analogs", {"dataset": "demo", "node": "S096", "channel": "speed"}, None),
    ("query_series", {"dataset": "demo", "node": "S075", "channel": "flow"}, EVENING),
    ("forecast", {"dataset": "demo", "node": "S075", "channel": "flow"}, EVENING),
    ("query_series", {"dataset": "pems-orange", "node": "1205330", "channel": "flow"}, MORNING),
    ("forecast", {"dataset": "pems-orange", "node": "1205330", "channel": "speed"}, MORNING),
    ("query_series", {"dataset": "pems-orange", "node": "1205330", "channel": "speed"}, MORNING),
    ("rank_forecasts", {"dataset": "demo", "channel": "flow"}, None),
    ("rank_forecasts", {"dataset": "pems-orange", "channel": "speed", "order": "lowest", "limit": 3}, MORNING),
    ("check_quality", {"dataset": "demo", "channel": "flow", "hours": 168}, None),
    ("find_places", {"dataset": "demo", "beside": "S039", "direction": "north"}, None),
    ("backtest", {"dataset": "pems-orange", "node": "1205330", "channel": "flow"}, MORNING),
)  # fmt: skip
"""Tool, arguments and clock; None is the data's own. New ones go to the end, so that the ids stay."""


def record(runtime: Runtime, first: int = 0) -> list[Evidence]:
    """Call the tools on the real data, from position `first` of `CALLS` on; its first entry is `E1`."""
    entries = []
    for position, (tool, args, as_of) in list(enumerate(CALLS))[first:]:
        panel = runtime.registry.open(args["dataset"])
        clock = as_of or panel.now.isoformat()
        started = time.perf_counter()
        reply = runtime.tool(tool, args, clock)
        seconds = time.perf_counter() - started
        entries.append(from_reply(entry_id(position), tool, args, clock, reply, seconds))
        sys.stderr.write(f"{entries[-1].id} {tool} {args['dataset']} {seconds:.1f} s\n")
    return entries


def main() -> None:
    """Append the replies that are not on file."""
    entries = json.loads(EVIDENCE.read_text(encoding="utf-8")) if EVIDENCE.exists() else []
    new = record(Runtime(), first=len(entries))
    entries += [entry.model_dump(mode="json", exclude={"images", "seconds"}) for entry in new]
    EVIDENCE.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
