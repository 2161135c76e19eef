"""The claim checker: what an answer states, against the evidence ledger.

Rules, in order; characters that one rule has read are not read by the next (one module a kind of claim):

1. `copied`: evidence marks such as `[E2]` point to entries that exist; a quotation stands, word for word, in a text of
   the ledger; an id, and a name with digits, is one that a tool gave.
2. `moments`: a date or time is one of the ledger, to the precision written, and that of the extreme or event that it is
   said of.
3. `sides`, `comparisons`, `baselines`, `rankings`, `consistency`, `directions`, `existence`: recomputed from the
   ledger.
4. `numbers`, `shares`, `counts`, `durations`: a number is a value of the ledger, or the difference or ratio of
   two, in the same or a convertible unit, rounded as written, and nothing around it speaks of another
   place, quantity, time, or role.
5. `inventions`: a name, a cause and a turn of events stand in the words of the ledger.

Where a sentence points to entries, one of those must support its claims; where it does not, an entry of the present
question must. What the sentence leaves no doubt about, and is only slightly off, is corrected; what nothing supports is
marked in the text itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.claims import (
    baselines,
    comparisons,
    consistency,
    copied,
    directions,
    durations,
    existence,
    inventions,
    moments,
    numbers,
    rankings,
    sides,
)
from mm4st_agent.agent.claims.as_read import AsRead
from mm4st_agent.agent.claims.reader import Judged, Reader, units_of
from mm4st_agent.agent.ledger import Evidence

MARK = " [unsupported]"


@dataclass(frozen=True)
class Checked:
    """An answer after the check: its text with corrections and marks, and its claims with their spans in that text.

    Attributes:
        reasons: For each claim, why nothing supports it; "" for the others.
    """

    text: str
    claims: list[Claim]
    reasons: tuple[str, ...] = ()


def check(text: str, ledger: Sequence[Evidence], first: int = 0) -> Checked:
    """Read every claim of `text`, judge it by `ledger`, correct what is slightly off and mark what nothing supports.

    Args:
        text: An answer, possibly with evidence marks such as `[E1]`.
        ledger: The entries of the thread, oldest first; later entries are preferred.
        first: Position of the first entry of the present question; earlier ones must be pointed to.
    """
    said = AsRead(text, lambda: units_of(ledger))
    reader = Reader(said.text, list(reversed(ledger)), {entry.id for entry in ledger[first:]})
    copied.read_pointers(reader)
    copied.skip_list_numbers(reader)
    copied.read_quotes(reader)
    copied.read_names(reader)
    copied.read_ids(reader)
    copied.note_places(reader)
    moments.read(reader)
    sides.read(reader)
    comparisons.read(reader)
    baselines.read(reader)
    rankings.read(reader)
    consistency.read(reader)
    directions.read(reader)
    existence.read(reader)
    durations.read_words(reader)
    numbers.read(reader)
    inventions.read(reader)
    written = (_as_written(judged, text, said) for judged in reader.judged)
    return _marked(text, sorted((one for one in written if one is not None), key=lambda one: one.claim.span))


def _as_written(judged: Judged, text: str, said: AsRead) -> Judged | None:
    """A claim with the words and the place that it has in the answer; None of words that are only read there."""
    claim, (start, end) = judged.claim, said.back(judged.claim.span)
    if start == end:
        return None
    words = text[start:end]
    if claim.status == "corrected":
        words = claim.text.removesuffix(said.put_in(judged.claim.span))
    return replace(judged, claim=claim.model_copy(update={"span": (start, end), "text": words}))


def faults(checked: Checked) -> list[str]:
    """Each unsupported claim as a short sentence with its reason, for a round of repair."""
    pairs = zip(checked.claims, checked.reasons, strict=True)
    return [f"{claim.text} - {why}" for claim, why in pairs if claim.status == "unsupported"]


def _marked(text: str, judged: Iterable[Judged]) -> Checked:
    """Put corrections in, and the mark behind each unsupported claim, and move the spans along."""
    pieces: list[str] = []
    moved: list[Claim] = []
    reasons: list[str] = []
    read = shift = 0
    for one in judged:
        claim, (start, end) = one.claim, one.claim.span
        moved.append(claim.model_copy(update={"span": (start + shift, start + shift + len(claim.text))}))
        reasons.append(one.why)
        pieces.append(text[read:start] + claim.text if start >= read else text[read:end])
        shift += len(claim.text) - (end - start)
        read = max(read, end)
        if claim.status == "unsupported":
            pieces.append(MARK)
            shift += len(MARK)
    pieces.append(text[read:])
    return Checked("".join(pieces), moved, tuple(reasons))
