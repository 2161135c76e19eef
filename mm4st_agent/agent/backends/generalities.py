"""Whether a question is about how things are in general: "why does a bottleneck let fewer cars through?"."""

from __future__ import annotations

import re

_SAID = re.compile(
    r"\b(?:in general|generally(?: speaking)?|as a (?:general )?rule|in theory|in principle|by definition"
    r"|the (?:concept|idea|meaning|definition|theory|principle|physics) (?:of|behind))\b",
    re.IGNORECASE,
)
_MEANS = re.compile(
    r"\bwhat (?:do(?:es)?|is|are)\s+(?!(?:it|that|this|those|these|they)\b).{1,50}\b(?:mean|means|meant by"
    r"|stands? for)\b"
    r"(?!\s+(?:for|to)\b)"
    r"|\bmeaning of\b|\bdefin(?:e|ition)\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\b(?:codes?|terms?|words?|abbreviations?|acronyms?|phrases?)\b.{0,40}\b(?:mean|means|stands? for)\b"
    r"|\bmeaning of (?:code |number )?\d{3,4}\b|\bwhat do(?:es)? \d{3,4}\b.{0,30}\b(?:mean|stand for)"
    r"|\bmeaning of (?:the )?(?:codes?|terms?|words?|abbreviations?|acronyms?|phrases?)\b",
    re.IGNORECASE,
)
_IS = re.compile(
    r"\bwhat(?:['’]s| is| are)\s+an?\s+(?!(?:good|typical|normal|usual)\b)\w+"
    r"|\bis there an? (?:\w+ ){0,2}?(?:law|rule|relation\w*|formula|diagram|theory)\b",
    re.IGNORECASE,
)
_SUBJECT = (
    r"(?!(?:the|this|that|these|those|it|they|there|you|your|we|our|us|i|my|he|she|his|her|their|its|all|both|each"
    r"|every"
    r"|things|one|\w*\d\w*|any(?:one|body|thing)|some(?:one|body|thing)|people|traffic (?:look|get|go|be|do|move))\b)"
)
_HOW_OR_WHY = re.compile(
    rf"^\W*(?:(?:and|but|so|ok(?:ay)?|please|tell me|explain(?: to me)?|can you explain|could you explain|do you know"
    rf"|i (?:wonder|would like to know))\W+)*(?:how|why)\s+(?:do(?:es)?|can|are|is|might|may)\s+{_SUBJECT}",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\b(?:we|us|our|my|me|i|i'm|here|your|now|today|tonight|tomorrow|yesterday|currently|right now|at the moment"
    r"|last|next"
    r"|this (?:morning|afternoon|evening|week)|ago|the (?:station|sensor|forecast|service|data))\b",
    re.IGNORECASE,
)
"""Words of a question about these data, or about what the person has to do."""


def decodes(question: str) -> bool:
    """Whether a question asks for the meaning of a code or a word that it calls so.

    >>> decodes("What does code 1183 mean in the log?"), decodes("What does S039 mean for me?")
    (True, False)
    """
    return _CODE.search(question) is not None


def explains_words(question: str) -> bool:
    """Whether a question asks what a word or a code means, whatever it names beside it.

    >>> explains_words("What does code 1183 mean in the log?"), explains_words("What does that mean for S039?")
    (True, False)
    """
    return _MEANS.search(question) is not None


def general(question: str) -> bool:
    """Whether a question asks how something is in general, or what a word means.

    >>> general("How does an autoscaler decide how many replicas to run?")
    True
    >>> general("How do we scale the service?"), general("Why is it slow at the station?")
    (False, False)
    """
    if _SAID.search(question) or explains_words(question):
        return True
    if _OWN.search(question):
        return False
    return _IS.search(question) is not None or _HOW_OR_WHY.match(question) is not None
