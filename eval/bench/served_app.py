"""`mm4st app` as a process of its own with an empty home, and the memory that it holds."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil  # type: ignore[import-untyped]

from mm4st_agent.errors import ServerError

STARTS_WITHIN_S = 120.0
_KEPT = {"MM4ST_DATA_DIR"}
_READ_EACH_S, _LEVEL_READINGS, _MOST_READINGS = 0.25, 8, 120


@dataclass(frozen=True)
class ServedApp:
    """A running app.

    Attributes:
        url: Ends with a slash.
        cold_start_s: From the start of the process to the first page, whole.
    """

    url: str
    cold_start_s: float
    process: psutil.Process
    log: Path

    def memory_mb(self) -> float:
        """Resident memory of the process and all that it started."""
        return self._summed(lambda process: process.memory_info().rss / 2**20)

    async def resting_mb(self) -> float:
        """Its memory once that stays the same; where it never does, that after half a minute."""
        latest: deque[float] = deque(maxlen=_LEVEL_READINGS)
        for _ in range(_MOST_READINGS):
            latest.append(self.memory_mb())
            if len(latest) == _LEVEL_READINGS and max(latest) - min(latest) < 1.0:
                break
            await asyncio.sleep(_READ_EACH_S)
        return latest[-1]

    def cpu_s(self) -> float:
        """Processor time of the process and all that it started and that still runs."""
        return self._summed(lambda process: sum(process.cpu_times()[:2]))

    def _summed(self, figure: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # it has ended since
                total += figure(process)
        return total


@contextmanager
def served_app() -> Iterator[ServedApp]:
    """Serve the demo city with the embedded chat model on a free port of loopback, until the block is left.

    Of the person's settings only the folder of the data sets holds; other environment variables do.

    Raises:
        ServerError: the app ends, or serves no page in time; with the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="mm4st-app-") as folder:
        home, log = Path(folder) / "home", Path(folder) / "app.log"
        port = _free_port()
        given = {"HOME": str(home), "HOST": "127.0.0.1", "PORT": str(port), "CHAT_MODEL": "embedded", "DATASET": "demo"}
        env = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_") or name in _KEPT}
        env |= {f"MM4ST_{name}": value for name, value in given.items()}
        command = [sys.executable, "-c", "from mm4st_agent.cli import main; main()", "app"]
        url = f"http://127.0.0.1:{port}/"
        with (
            log.open("w") as stderr,
            subprocess.Popen(command, stdout=stderr, stderr=stderr, env=env, cwd=folder) as process,
        ):
            started = time.perf_counter()
            try:
                _wait_for_page(url, process, log)
                yield ServedApp(url, time.perf_counter() - started, psutil.Process(process.pid), log)
            finally:
                process.terminate()


def processor_times() -> dict[str, float]:
    """Seconds of all cores since the machine's start, by what they were spent on."""
    return dict(psutil.cpu_times()._asdict())


def stolen_between(before: dict[str, float], after: dict[str, float]) -> float | None:
    """Percent of the wanted processor time that other virtual machines got; None where the system does not tell.

    Args:
        before: From `processor_times`.
        after: Later.
    """
    spent = {
        name: after[name] - before[name]
        for name in ("user", "nice", "system", "irq", "softirq", "steal")
        if name in after
    }
    wanted = sum(spent.values())
    return 100 * spent["steal"] / wanted if "steal" in spent and wanted else None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_for_page(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    with httpx2.Client(timeout=STARTS_WITHIN_S) as http:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if http.get(url).is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
    raise ServerError("The app served no page.", f"The end of its log: {log.read_text()[-2000:]}")
