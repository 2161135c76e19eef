"""What survives `kill -9` and Ctrl-C: the last epoch's state, written whole or not at all, by one training alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import lightning
import numpy as np
import torch
from filelock import FileLock, Timeout
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError

_ARGUMENTS = "arguments.json"
LAST = "last.ckpt"
BEST = "best.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames, so that no half file is ever seen."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with _whole(Path(path)) as file:
            torch.save(checkpoint, file)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with _whole(target) as file:
        file.write(content)


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class Workspace:
    """A hidden folder beside the checkpoint, kept until the training is finished.

    It belongs to one set of arguments: another set starts anew, the same set goes on.
    """

    def __init__(self, out: Path, arguments: dict[str, Any]) -> None:
        self.folder = out.with_name(f".{out.name}.training")
        self._arguments = json.dumps(arguments, sort_keys=True, allow_nan=False)

    def open(self) -> None:
        """Make the folder ready; it is empty unless the same training was interrupted."""
        record = self.folder / _ARGUMENTS
        if not record.is_file() or record.read_text(encoding="utf-8") != self._arguments:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            record.write_text(self._arguments, encoding="utf-8")

    def close(self) -> None:
        """Forget it; the checkpoint is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def only_training(out: Path) -> Iterator[None]:
    """Hold `out` for one training; a lock of a process that died is free again.

    Raises:
        UsageError: another training holds it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.with_name(f".{out.name}.lock"), timeout=0):
            yield
    except Timeout as err:
        raise UsageError(
            f"Another training of {out.name!r} is running.", "Wait until it is done, or stop it; then train again."
        ) from err


@contextmanager
def interruptible(trainer: lightning.Trainer) -> Iterator[None]:
    """Ctrl-C stays a `KeyboardInterrupt`: Lightning makes it an exit with code 1, and ignores any later one."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as err:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from err


def array_sha256(array: NDArray[Any]) -> str:
    """Hash of an array's bytes: other readings make another training."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
