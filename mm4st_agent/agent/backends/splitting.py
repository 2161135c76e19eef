"""The questions of one message: "How busy is it now, and will it get worse by nine? Any incidents nearby?"."""

from __future__ import annotations

import re

from mm4st_agent.agent.backends.suppositions import supposition

MOST = 4
"""So many questions of one message are read; what follows belongs to the last of them."""
SHORT = 5
"""Fewer words before a colon only lead over to a question."""

_ASKING = (
    r"(?:what|how|which|who|whom|whose|when|where|why|is|isn't|are|aren't|was|were|will|won't|would|do|does|did|has"
    r"|have"
    r"|had|can|could|should|may|any|show|tell|give|list|draw|plot|forecast|predict|compare|find|explain|rank|check|name"
    r"|describe|display|estimate|justify|contrast|map|look (?:for|up)|let me know|i(?:'d| would) like"
    r"|i (?:want|need)|whether|what's|how's|where's|who's|when's)"
)
_FIRST = (
    r"(?:(?:and|but|also|so|then|plus|or|oh|ok|okay|well|please|pls|hi|hello|hey|hiya|good morning|morning"
    r"|thanks|thank you"
    r"|great|sorry|excuse me|now|next|first|second|finally|lastly|secondly"
    r"|thirdly|by the way|btw|additionally|moreover)\b[\s,:-]*)*"
)
_ASKS = re.compile(rf"\W*{_FIRST}{_ASKING}\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[?!;])\s+(?=\S)|(?<=[^\W\d_]{2}\.)\s+(?=[A-Z])|(?<=\d\.)\s+(?=[A-Z])|\s*\n+\s*")
_AND = re.compile(
    r"(?:\s*(?:[,;:]|\s[-–—]+(?=\s))\s*(?:(?:and|but|plus|or)\s+)?(?:(?:also|then|please)[\s,]+)?"
    r"|\s+(?:and|but|plus)\s+(?:(?:also|then|please)[\s,]+)?)"
    r"(?=(?:what(?:'s|'re)?|how(?!\s+come)(?:'s)?|which|who(?:'s)?|when(?=(?:'s)?\s+(?:is|was|were|are|did"
    r"|do|does|will|can|could|should|has|had|exactly|precisely)\b)|where(?:'s)?|is (?:it|there|that|this|the"
    r"|any\w*|some\w+|[A-Z])"
    r"|is (?:traffic|speed|flow)|are (?:there|they|the|you|we|any)|whether|was (?:it|there|that|the)|were (?:there"
    r"|they|the|you)|will|did|does|do (?:you"
    r"|they|i|we)"
    r"|has (?:it|there)|have (?:there|you)|can (?:you|i|we)|could (?:you|i)|should (?:i|we)|any\s+\w|show|tell me"
    r"|give me"
    r"|list|draw|plot|forecast|predict|compare|find|explain|justify|rank|describe|display|look (?:for|up)"
    r"|(?:a|the)\s+(?:map|chart|plot|graph|picture|heatmap|forecast|prediction|names?|list|ranking)\s+of"
    r"|the\s+(?:predicted|forecast|expected|foreseen|present|current)\s+\w+)\b(?!'))",
    re.IGNORECASE,
)
"""Where a sentence goes on with another question; "and why?" goes on with the same one."""
_ALTERNATIVE = re.compile(r"(?:is|was|are|were|does|did|do|will|has|have) (?:it|that|this|they)\b", re.IGNORECASE)
"""What stands so behind "or" belongs to the same question: "is it the crash, or is it just the time of day?"."""
_GOING_ON = re.compile(
    r"\W*(?:and |but |so |or )?(?:why(?:\s+(?:is|was|that|not|so)\b.{0,12})?|how come|how (?:sure|certain"
    r"|confident) are you"
    r"(?: (?:about|of) (?:that|this|it))?|(?:is|are) (?:it|that|this|they) (?:\w+ )?(?:normal|usual|unusual|true|right)"
    r"|should (?:i|we) (?:be )?(?:worr\w+|concerned)|(?:please )?(?:show|tell|explain)(?: (?:me|us|why|it|that))*"
    r"|(?:please )?(?:show|prove|tell)(?: (?:me|us|it|why|that|your|the|track|record|numbers|figures|proof))*"
    r"|(?:please )?(?:show|put|draw|mark|plot) (?:it|that|this|them) (?:on|in|to) (?:a|the) (?:city )?map(?: please)?"
    r"|(?:and )?what(?:'s| is| lies) behind (?:it|that|this)"
    r"|(?:and )?(?:did|have) you (?:test|check|verif)\w* (?:it|that|this)"
    r"|(?:and )?(?:at )?(?:when|what time|which time)(?: was (?:it|that))?|do you think(?: so)?|don't you think"
    r"|what do you (?:think|say|expect)|what(?:'s| is) (?:the|your) (?:reason|forecast|outlook)"
    r"|can you (?:tell|show|help)(?: me| us)?|do you know|any idea|which (?:one|is it)"
    r"|(?:by )?how (?:often|much|long|far|strongly|many)(?: (?:of it|of that|did you|was|were|is|are)(?: \w+){0,3})?"
    r"|how (?:did|does|do) (?:it|they|that|things) (?:go on|end|continue|develop)"
    r"(?: .{0,15})?|what (?:followed|happened (?:next|then|afterwards?)|came (?:next|after|of it))(?: .{0,15})?"
    r"|(?:by )?how many (?:minutes|hours|steps)(?: (?:later|after|behind|before|ahead))?"
    r"|(?:i|we) (?:need|have|want) to (?:know|decide|find out) (?:whether|if) (?:to|i|we)\b.*"
    r"|(?:what|when|where) (?:is|was|were|are) (?:it|that|they|those)|why use (?:it|them)|what does (?:it"
    r"|that) mean)\W*",
    re.IGNORECASE,
)
"""Words that belong to the question before, or the next."""
_LISTED = re.compile(
    r"\W*(?:(?:please |can you |could you )*(?:i have |i've got |i need |i want |(?:tell|give|show)(?: me| us)? ))?"
    r"(?:two|three|four|a few|several|some|\d) (?:quick )?(?:things?|questions?|points|requests?|numbers|figures)"
    r"(?: for you| please| to know)?(?:,? (?:about|on|for|of) (?P<about>[^:?!;]{1,60}?))?\s*[:,-]\s*",
    re.IGNORECASE,
)
"""What follows is a list of what is asked for, in any form."""
_NOTES = re.compile(
    r"(?!.*\b(?:i|we|my|our|you|he|she|they|it|is|are|was|were|am|has|have|had|does|do|did|will|would|can"
    r"|because|so)\b)"
    r"\W*(?:\w\S*\s+){1,9}\w\S*\W*",
    re.IGNORECASE,
)
"""A few words without a verb: between semicolons they ask for what they name."""
_ALSO = re.compile(
    r"\b(?:and|plus|also)\s+(?:also\s+)?(?:(?:a|the)\s+(?:map|chart|plot|graph|picture|heatmap|forecast"
    r"|prediction|names?|list|ranking)\s+of"
    r"|the\s+(?:predicted|forecast|expected|foreseen|present|current)\s+\w+|(?:if|with|without|suppos\w+|assuming)\b)",
    re.IGNORECASE,
)
"""A second wish, beside which a few words are one too: "S079 against S080 - plus a map of all speeds"."""
_AND_SUPPOSING = re.compile(
    r"\s*[,:;-]\s*(?:as (?:it|things|they) (?:is|are|stands?)|as (?:of )?now)?\s*,?\s*and\s+"
    r"(?=(?:if|with|without|suppos\w+|assuming|in case|had)\b)",
    re.IGNORECASE,
)
"""Where the same is asked once more under a supposition: "as it is, and with 4 mm/h of rain?"."""
_SUPPOSING = re.compile(
    r"\b(?:what if|(?<!\w )if|had\b.{0,60}\b(?:not|never|no)|suppos\w+|assum\w+|imagine|pretend|what would)\b",
    re.IGNORECASE,
)
_TELLING = re.compile(
    r"\b(?:tell me|know|wonder\w*|see|check|sure|say|ask|understand|find out|curious)\W*$", re.IGNORECASE
)
_THEN_SUPPOSING = re.compile(
    r"[,;]?\s+(?:and|but|plus|then)\s+(?:then\s+)?(?=(?:what|how|which|where|would)\b)", re.IGNORECASE
)
"""Where a plain question goes on with the same under a supposition: "..., and what would it be without the crash?"."""
_NOW_AND_NEXT = re.compile(
    r"(?<=\w)(?P<now>\s+(?:(?:right )?now|currently|at (?:present|the moment)))\s*"
    r"(?:,\s*(?:and|then|plus)?|\+|&|/|\band\b|\bthen\b|\bplus\b)\s*(?:then\s+)?"
    r"(?=(?:\S+\s+){0,3}?(?:(?:for |over |in |during )?(?:the )?(?:next|coming"
    r"|following)\s+(?:\w+\s+){0,2}?(?:min\w*|h|hrs?|hours?"
    r"|half|day|\d+)\b|in (?:an?|half|\d|\w+ min)"
    r"|tomorrow|later)\b)",
    re.IGNORECASE,
)
"""Between what is and what will be, asked for in one breath: "speed at S003 now and in 30 min"."""
_NUMBERED = re.compile(
    r"(?:^|(?<=[\s,;:.?!]))\(?(?P<mark>[1-9]|[a-f]|i{1,3}|iv)\)\s*|(?:^|(?<=\n))\s*(?:[-*•]|\d\.)\s+"
)
_ORDINALS = re.compile(
    r"(?:^\W*|[,;:.?!]\s+(?:and\s+|then\s+)?)(?P<mark>first(?:ly)?|second(?:ly)?|third(?:ly)?|fourth(?:ly)?"
    r"|lastly|finally)"
    r"(?:\s*[,:]\s*|\s+(?=(?:of all,?\s+)?(?:the|what|how|which|is|are|tell|give|show|any\w*|some\w*|plot|draw"
    r"|list|will|a|an|i)\b))(?:of all,?\s+)?",
    re.IGNORECASE,
)
_FIRST_MARKS = {"1", "a", "i", None}
_DICTATED = re.compile(
    r"(?<=\w)\s+(?:and\s+|also\s+|then\s+)*"
    r"(?=(?:what(?:'s| is| was| will)|how(?:'s| busy| fast| many| much| is| are| was| full| clean)|is there|are there"
    r"|will (?:it|there)|any (?:incidents?|accidents?|crash\w*|gaps|road ?works|closures?)|show me|give me|tell me"
    r"|where(?:'s| is| are))\b)",
    re.IGNORECASE,
)
_ENDS_A_QUESTION = re.compile(
    r"(?:\b(?:now|today|moment|present|hours?|minutes?|min|yesterday|tomorrow|morning|afternoon|evening|night"
    r"|week|there|please"
    r"|northbound|southbound|eastbound|westbound)|\w*\d)$",
    re.IGNORECASE,
)
"""Words behind which the next question of a message without punctuation may begin."""
_INJECTION = re.compile(r"\b(?:ignore|forget|disregard)\b.{0,30}\b(?:instructions|prompt|rules)\b", re.IGNORECASE)


def asks(sentence: str) -> bool:
    """Whether a sentence asks or requests something by its first words or its last mark.

    >>> asks("Please give me the flow."), asks("We open at nine.")
    (True, False)
    """
    return _ASKS.match(sentence) is not None or sentence.rstrip().endswith("?")


def questions_of(message: str) -> list[str]:
    """The questions that a message holds, in order, each with the words around it that ask nothing by themselves.

    >>> questions_of("How busy is S039 now, and will it get worse by nine? Any incidents nearby?")
    ['How busy is S039 now', 'will it get worse by nine?', 'Any incidents nearby?']
    >>> questions_of("I have to drive past Castle Hill at nine, should I worry?")
    ['I have to drive past Castle Hill at nine, should I worry?']
    >>> questions_of("How much will S039 carry over the next hour, and why?")
    ['How much will S039 carry over the next hour, and why?']
    """
    if _INJECTION.search(message):
        return [message]
    if len(numbered := _numbered(message)) > 1:
        return numbered[:MOST]
    if (join := _NOW_AND_NEXT.search(message)) and message[: join.start()].strip() and not _SUPPOSING.search(message):
        return [*questions_of(message[: join.end("now")]), *questions_of(message[join.end() :])][:MOST]
    pieces = [
        piece
        for said in _SENTENCE.split(message)
        for sentence in _undictated(said)
        for piece in _clauses(sentence)
        if re.search(r"\w", piece)
    ]
    if _LISTED.match(message) and len(pieces) > 1:
        return pieces[:MOST]
    noted = _ALSO.search(message) or sum(_NOTES.fullmatch(part) is not None for part in re.split(r";\s", message)) > 1
    found: list[str] = []
    waiting = ""
    for piece in pieces:
        asks = _ASKS.match(piece) is not None or (piece.rstrip().endswith("?") and len(piece.split()) > 1)
        asks = asks or bool(noted and _NOTES.fullmatch(piece))
        going_on = _GOING_ON.fullmatch(piece) is not None
        if found and not waiting and (going_on or not asks or len(found) == MOST):
            found[-1] += f"{'' if found[-1].rstrip()[-1] in '.?!;' else ','} {piece}"
        elif not asks or (going_on and not found):
            waiting = f"{waiting} {piece}".strip()
        else:
            found.append(f"{waiting} {piece}".strip())
            waiting = ""
    if waiting:
        found.append(waiting)
    return found or [message]


def _numbered(message: str) -> list[str]:
    """The points of a list with numbers, letters, dashes or "first, second", each behind what the list is about."""
    marks = list(_ORDINALS.finditer(message))
    if len(marks) < 2 or not marks[0]["mark"].casefold().startswith("first"):
        marks = list(_NUMBERED.finditer(message))
        if not marks or marks[0]["mark"] not in _FIRST_MARKS:
            return []
    lead = message[: marks[0].start()].strip(" :,-\n")
    ends = [*(mark.start() for mark in marks[1:]), len(message)]
    points = [message[mark.end() : end].strip(" ,;\n") for mark, end in zip(marks, ends, strict=True)]
    about = lead if re.search(r"\b[A-Z]?\d|\b[A-Z]\w+\W*$", lead) else ""
    return [f"{about}: {point}" if about else point for point in points if re.search(r"\w", point)]


def _undictated(sentence: str) -> list[str]:
    """The questions of a sentence that was spoken, without any mark between them."""
    if re.search(r"[,;:.!?](?=\s)", sentence):
        return [sentence]
    parts, start = [], 0
    for join in _DICTATED.finditer(sentence):
        before = sentence[start : join.start()]
        if (
            len(before.split()) > 3
            and _ASKS.match(before)
            and _ENDS_A_QUESTION.search(before)
            and not _SUPPOSING.search(before)
        ):
            parts.append(before)
            start = join.end()
    return [*parts, sentence[start:]]


def _clauses(sentence: str) -> list[str]:
    """The questions that one sentence joins; a supposition and what is asked of it stay together."""
    if (again := _AND_SUPPOSING.search(sentence)) and supposition(sentence[: again.start()]) is None:
        return [*_clauses(sentence[: again.start()]), sentence[again.end() :]]
    if _SUPPOSING.search(sentence):
        return _before_supposing(sentence)
    if listed := _LISTED.match(sentence):
        parts = re.split(r"[,;]\s*(?:and\s+)?|\s+and\s+(?=an?\b|the\b|its\b)", sentence[listed.end() :])
        parts = [part for part in parts if part.strip()]
        return [f"{listed['about']}: {part}" if listed["about"] else part for part in parts]
    clauses, start = [], 0
    for join in _AND.finditer(sentence):
        before = sentence[start : join.start()]
        asked = _ASKS.match(before.rpartition(": ")[2]) or (_ALSO.search(sentence) and _NOTES.fullmatch(before))
        alternative = re.search(r"\bor\b", join[0]) and _ALTERNATIVE.match(sentence, join.end())
        if (
            alternative
            or not asked
            or _TELLING.search(before)
            or len(before.split()) < (SHORT if ":" in join[0] else 3)
        ):
            continue
        clauses.append(before)
        start = join.end()
    return [*clauses, sentence[start:]]


def _before_supposing(sentence: str) -> list[str]:
    """A supposition with what is asked of it, and the plain question before it, if there is one."""
    for join in _THEN_SUPPOSING.finditer(sentence):
        plain, supposed = sentence[: join.start()], sentence[join.end() :]
        if _ASKS.match(plain) and not _SUPPOSING.search(plain) and supposition(plain) is None and supposition(supposed):
            return [*_clauses(plain), supposed]
    return [sentence]
