"""What a model wrote, compared with what it was given; what the sources do not bear out is cut.

The unit is the sentence. A sentence goes if it names something (an identifier, a number, an errno) or claims something
(locks, contexts) that is not in the evidence, if it holds markup, or if it repeats itself. What is left is plain ASCII
text without characters that mean something in Markdown or HTML. A kept sentence can still be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: Must be increased when a function here keeps another text for the same input: checked texts are cached.
CHECK_VERSION = 3

_MAX_INPUT_CHARS = 8_000
_MAX_SENTENCE_CHARS = 320
_MAX_SUMMARY_CHARS = 140
_MIN_SUMMARY_WORDS = 2
_MIN_SENTENCE_WORDS = 3
_REPEATED_WORDS = 3  # as many words in the same order, twice in a sentence, are a loop

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
#: Tokens that frame the turns of a chat. What follows one is another turn.
_MARKER = re.compile(r"<\|.*|</?s>.*|\[/?INST\].*|<</?SYS>>.*|<(?:start|end)_of_turn>.*", re.S)
_FENCED = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S)
_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": ".", "\xa0": " "})
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]+")
_LIST_MARK = re.compile(r"[ ]*(?:[-*+]|\d{1,2}[.)])[ ]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\b[eE]\.g\.)(?<!\b[iI]\.e\.)(?<!\betc\.)(?<!\bvs\.)\s+")
_NOT_PLAIN = re.compile(r"[^ !\"%&'()+,\-./:;=?@\w]|[^\x20-\x7e]")
_ADDRESS = re.compile(r":/|\bwww\b|\w@\w|&#?\w+;", re.I)
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ECHO = re.compile(
    r"\s*(?:summari[sz]e in|explain in|describe each|file:|code:|like:|fact:|summary:?$|user\b|assistant\b|system\b|"
    r"you explain|note:|certainly|sure\b|sorry|"
    r"(?:the|this) (?:code|function|macro) is (?:concise|summari|a mix|a function)|here(?:'s| is)\b)",
    re.I,
)
_FIRST_PERSON = re.compile(r"\b(?:I|AI|[Ll]anguage model)\b")

#: (words that make a claim, the parts of names one of which must be in the evidence)
_CLAIMS = (
    (
        re.compile(r"\b(?:un)?lock(?:s|ed|ing|less)?\b|\bmutex|spin-?lock|semaphore|\bhold(?:s|ing)?\b|\bheld\b", re.I),
        re.compile(r"\w*lock\w*|mutex|r?w?sem|semaphore|rcu|guard|held|hold"),
    ),
    (re.compile(r"\bsleep\w*|\bblocks\b|\bblocking\b", re.I), re.compile(r"\w*sleep\w*|waits?|gfp|block\w*|schedule")),
    (re.compile(r"\batomic", re.I), re.compile(r"atomic\w*")),
    (re.compile(r"\binterrupt", re.I), re.compile(r"h?irqs?|interrupts?|isr|nmi|intr")),
    (re.compile(r"\bpreempt", re.I), re.compile(r"preempt\w*")),
    (re.compile(r"\bprocess context|\bthread[- ]?safe|\bre-?entran", re.I), re.compile(r"context|safe|reentrant")),
    (re.compile(r"\berrno\b|\berror[- ]?codes?\b|\bnegative error", re.I), re.compile(r"err|error|errno|e[a-z]{3,}")),
    (re.compile(r"\bdeprecated|\bobsolete", re.I), re.compile(r"deprecated|obsolete")),
)


class Evidence:
    """The names, parts of names and numbers of the texts that a model was given."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.words: set[str] = set()
        for text in texts:
            self.words.update(_WORD.findall(text))
        self.parts = {part.lower() for word in self.words for part in (*_PART.findall(word), word)}
        self.numbers = {_value(digits) for word in self.words for digits in _NUMBER.findall(word)}

    def bears_out(self, sentence: str) -> bool:
        """Whether all that a sentence names and claims is in the evidence."""
        return (
            all(word in self.words for word in _must_be_exact(sentence))
            and all(self._is_known(match[0]) for match in _WORD.finditer(sentence))
            and all(
                not claim.search(sentence) or any(map(support.fullmatch, self.parts)) for claim, support in _CLAIMS
            )
        )

    def _is_known(self, word: str) -> bool:
        if word in self.words:
            return True
        if word.isdecimal() or _NUMBER.fullmatch(word):
            return _value(word) in self.numbers
        if "_" in word or any(char.isdecimal() for char in word):
            return False
        if word[1:].islower() or len(word) == 1:
            return True  # an ordinary word
        lower = word.lower()  # an acronym: "IRQ" where the code says ``irq``
        return lower in self.parts or lower.removesuffix("s") in self.parts


def _value(digits: str) -> int:
    return int(digits, 16) if digits[:2].lower() == "0x" else int(digits[:20])


_MARK = re.compile(r"[@%&]+(?=\w)")
_CALLED = re.compile(r"(\w+)\s?\((?!s\))")
_MARKED = re.compile(r"[@%&](\w+)|\b([A-Za-z_]\w*)[.](?=[A-Za-z_])|(?<=[\w][.])([A-Za-z_]\w*)")


_ARROW = re.compile(r"(?<=\w)->(?=[A-Za-z_])")


def _must_be_exact(sentence: str) -> Iterator[str]:
    """Words that the characters beside them mark as code: ``foo()``, ``@foo``, ``foo.bar``."""
    sentence = re.sub(r"\b(?:e\.g|i\.e)\.", "", _ARROW.sub(".", sentence), flags=re.I)
    for match in _CALLED.finditer(sentence):
        if match[0].endswith(" ("):  # prose in brackets, unless it is empty or one word
            inside = sentence[match.end() : sentence.find(")", match.end())]
            if inside.strip():
                continue
        yield match[1]
    for match in _MARKED.finditer(sentence):
        yield match[1] or match[2] or match[3]


def sentences(text: str) -> Iterator[str]:
    """The sentences of what a model wrote, without list marks, emphasis and control characters.

    Fenced code, headings, and all after a marker of another turn are left out.
    """
    paragraph = ""
    for line in [*_cleaned(text).split("\n"), ""]:
        stripped = line.strip()
        mark = _LIST_MARK.match(line)
        if mark or not stripped or stripped.startswith("#"):
            yield from _split(paragraph)
            paragraph = ""
        if not stripped.startswith("#"):
            paragraph += " " + (line[mark.end() :] if mark else line)
    yield from _split(paragraph)


def _cleaned(text: str) -> str:
    text = _THOUGHT.sub(" ", text[:_MAX_INPUT_CHARS].translate(_TYPOGRAPHIC))
    text = _FENCED.sub("\n", _MARKER.sub("", text))
    return _CONTROL.sub(" ", text.replace("\r", "\n"))


def _split(paragraph: str) -> Iterator[str]:
    for sentence in _SENTENCE_END.split(paragraph.strip()):
        text = " ".join(sentence.replace("`", "").replace("*", "").split())
        if text:
            yield text


def finished_part(text: str) -> str:
    """A text that is still being written, up to the end of its last whole sentence."""
    end = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
    return text[:end]


def supported_sentences(text: str, evidence: Evidence) -> list[str]:
    """The sentences that may be shown, each once."""
    found: dict[str, str] = {}
    for sentence in sentences(text):
        if _is_clean(sentence) and evidence.bears_out(sentence):
            found.setdefault(sentence.lower(), _without_marks(sentence))
    return list(found.values())


def _without_marks(sentence: str) -> str:
    """Without kernel-doc's marks of parameters, constants and types."""
    return _MARK.sub("", sentence)


def _is_clean(sentence: str) -> bool:
    bare = _ARROW.sub(".", sentence)
    return not (
        len(sentence) > _MAX_SENTENCE_CHARS
        or _NOT_PLAIN.search(bare)
        or _ADDRESS.search(bare)
        or _ECHO.match(sentence)
        or _FIRST_PERSON.search(sentence)
        or not any(char.isalpha() for char in sentence)
        or _repeats(sentence)
    )


def _repeats(sentence: str) -> bool:
    """True for the same word twice running, or ``_REPEATED_WORDS`` words that occur twice."""
    words = _WORD.findall(sentence.lower())
    if any(words[at] == words[at + 1] for at in range(len(words) - 1)):
        return True
    runs = [tuple(words[at : at + _REPEATED_WORDS]) for at in range(len(words) - _REPEATED_WORDS + 1)]
    return len(set(runs)) < len(runs)


def checked_text(text: str, evidence: Evidence, max_sentences: int, max_chars: int) -> str:
    """The first sentences of an explanation that may be shown; "" if none may."""
    kept: list[str] = []
    for sentence in supported_sentences(text, evidence)[:max_sentences]:
        whole = sentence if sentence.endswith((".", "!", "?")) else f"{sentence.rstrip(':;,')}."
        if len(_WORD.findall(whole)) < _MIN_SENTENCE_WORDS:
            continue
        if sum(map(len, kept)) + len(whole) > max_chars:
            break
        kept.append(_capitalised(whole, evidence))
    return " ".join(kept)


_LEAD = re.compile(
    r"(?:This|The|A|An) (?:static |inline |helper )*(?:function|macro|structure|struct|code)"
    r"(?: is (?:used|designed|intended|responsible) to| will|) (?!is\b|are\b|was\b)(?=[a-z])"
)


def summary_line(text: str, name: str) -> str:
    """The first sentence of an answer, without the words that only lead to it; not checked."""
    lead = re.compile(rf"(?:summary|{re.escape(name)})(?:\(\))?\s*[-:]+\s*", re.I)
    first = next(sentences(_cleaned(text).strip().partition("\n")[0]), "")
    return _LEAD.sub("", lead.sub("", _unquoted(first), count=1), count=1)


def checked_summary(text: str, evidence: Evidence, name: str, code: str, briefs: Iterable[str] = ()) -> str:
    """The summary line of ``name`` that may be shown, without a full stop; "" if none may.

    Nothing is left of a summary that says the name, the code or one of the ``briefs`` of other functions again.
    """
    first = summary_line(text, name)
    if not first or not _is_clean(first) or not evidence.bears_out(first):
        return ""
    line = _unquoted(_without_marks(first).rstrip(".:;, "))
    words = _plain_words(line)
    if len(words) < _MIN_SUMMARY_WORDS or len(line) > _MAX_SUMMARY_CHARS:
        return ""
    if "".join(words) == "".join(_plain_words(name)) or "".join(line.split()) in "".join(code.split()):
        return ""
    if any(words == _plain_words(brief) for brief in briefs):
        return ""
    return _capitalised(line, evidence)


_PLAIN_START = re.compile(r"[a-z]{2,}(?![\w(]|->|\.\w)")


def _capitalised(text: str, evidence: Evidence) -> str:
    """With a capital, unless the text begins with a name of the code, or with one the evidence would not bear out."""
    first = _WORD.match(text)
    is_name = first is not None and first[0] in evidence.words and not _PLAIN_START.match(text)
    capital = text[:1].upper() + text[1:]
    return text if is_name or not evidence.bears_out(capital) else capital


def _unquoted(text: str) -> str:
    for quote in "\"'":
        if len(text) > 1 and text[0] == text[-1] == quote and text.count(quote) == 2:
            return text[1:-1].strip()
    return text


def _plain_words(text: str) -> list[str]:
    """Lower-case words without articles; an identifier counts as its parts."""
    return [part for part in re.findall(r"[a-z0-9]+", text.lower()) if part not in ("a", "an", "the", "function")]
