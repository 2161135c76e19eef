"""A new test half takes the place of the present one, whose sentences go to the development half.

`python -m eval.claims.adopt NEW.jsonl`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from eval.bench.claims import CLAIMS, Sentence, load_sentences
from mm4st_agent.errors import DataError, UsageError


def adopt(new: Path, folder: Path = CLAIMS) -> tuple[int, int]:
    """Append the test half to the development half, and put `new` in its place.

    Args:
        new: The new test half, one sentence a line.
        folder: With `dev.jsonl` and `test.jsonl`.

    Returns:
        How many sentences the development and the test half have now.

    Raises:
        DataError: A line of `new` is no sentence, or one of its sentences or ids is in the other halves.
    """
    sentences = load_sentences("test", new.parent, new.name)
    used = [*load_sentences("dev", folder), *load_sentences("test", folder)]
    for what, known in (("text", {one.text for one in used}), ("id", {one.id for one in used})):
        if twice := [one.id for one in sentences if getattr(one, what) in known]:
            raise DataError(f"{new} has a {what} that is in use: {', '.join(twice[:5])}.", "Write it anew.")
    _write(folder / "dev.jsonl", [one.model_copy(update={"half": "dev"}) for one in used])
    _write(folder / "test.jsonl", sentences)
    return len(used), len(sentences)


def _write(path: Path, sentences: list[Sentence]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(
        "".join(f"{json.dumps(one.model_dump(), ensure_ascii=False)}\n" for one in sentences), encoding="utf-8"
    )
    partial.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != len(("program", "file")):
        raise UsageError("One file is expected.", "python -m eval.claims.adopt NEW.jsonl")
    sizes = adopt(Path(sys.argv[1]))
    sys.stdout.write(f"development {sizes[0]}, test {sizes[1]}\n")
