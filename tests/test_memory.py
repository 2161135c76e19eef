"""A server's process gives memory back, and its networks take one core each."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, resource, psutil
from mm4st_agent.memory import give_back, settle
settle()
me = psutil.Process()
small = [bytes(1000) for _ in range(200_000)]
kept = small[::1000]
full = me.memory_info().rss
del small
give_back()
freed = full - me.memory_info().rss
before = me.memory_info().rss
for n in range(20):
    cycle = {"array": bytearray(5_000_000)}
    cycle["itself"] = cycle
del cycle
give_back()
print(os.environ["OMP_NUM_THREADS"], freed, me.memory_info().rss - before)
"""


def test_what_is_free_goes_back_to_the_system_and_so_do_reference_cycles() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=120)

    threads, freed, left_by_cycles = done.stdout.split()
    assert threads == "1"
    assert int(freed) > 50e6
    assert int(left_by_cycles) < 20e6
