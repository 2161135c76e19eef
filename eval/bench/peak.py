"""`python -m eval.bench.peak SIDE METHOD NODES`: the memory that drawing takes at most, in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from eval.bench.imaging import drawing, drawn_size, example_series
from eval.bench.peers import PEERS


def main(side: str, name: str, nodes: str) -> None:
    """Print `{"peak_mb": ...}`: by how much drawing raises the peak above that of drawing one series."""
    draw = drawing(name, drawn_size(name)) if side == "ours" else PEERS[name].load()
    series = example_series(int(nodes))
    kept = draw(series[:1])
    before = _peak_kb()
    kept = draw(series)
    after = _peak_kb()
    del kept
    sys.stdout.write(json.dumps({"peak_mb": (after - before) / 1024}))


def _peak_kb() -> int:
    # Not `getrusage`: its peak outlives `exec`, so it would be that of the process which started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
