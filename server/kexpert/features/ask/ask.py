"""``ask``: the numbered sources for a question, and the answer where facts are one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from kexpert.core.retrieval.words import STOP_WORDS, query_stems, stems
from kexpert.features.ask.fact_sources import FoundSource, fact_sources
from kexpert.features.ask.named_sources import named_sources
from kexpert.features.ask.question import NAMED, Question, Topic, read_question
from kexpert.features.ask.search_sources import search_sources
from kexpert.features.ask.spoken import spoken_conditions
from kexpert.view import View

MAX_SOURCES = 6
_MAX_FACTS = 6
#: Facts that answer a question by themselves; more of them would be a list, not an answer.
_MAX_ANSWER_FACTS = 6
#: Of these the first ones are an answer, with how many there are.
_LISTED = (Topic.CALLERS, Topic.IMPLEMENTS)
_CODE = re.compile(r"[A-Za-z_]\w*|-?\d\w*|[<>=!]=?|&&|\|\|")
_ERRNO = re.compile(r"-E[A-Z][A-Z0-9]+")
_VALUE = re.compile(
    r"\breturns?\s+(?:the\s+)?(-?[A-Z0-9]\w*|true|false|ERR_PTR\(-\w+\))|\b(?:get|with)\s+(NULL|0|true|false)\b|\b(NULL)\b"
)
_CALLED_BY = " is called by "
#: Words of a question that are in many conditions too.
_ASKING = STOP_WORDS | {"return", "returns", "set", "zero", "a", "i", "value", "error", "code"}

#: "facts": the program's own sentences; "model": written by a model, checked; "sources": there is no answer.
AnswerOrigin = Literal["facts", "model", "sources"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered source; lines are 0-based."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose ``[n]`` are the numbers of ``citations``, from 1. Without an answer all sources are citations."""

    question: str
    text: str
    origin: AnswerOrigin
    citations: tuple[Citation, ...]
    #: Sources that the answer does not cite.
    others: tuple[Citation, ...] = ()
    #: Facts of an answer from facts that are not among them.
    more: int = 0
    model: str = ""
    adapter: str = ""

    @property
    def sources(self) -> tuple[Citation, ...]:
        return (*self.citations, *self.others)


def ask(view: View, text: str) -> Answer:
    """Sources for a question, best first, and an answer if they are facts that give it outright."""
    question = read_question(view, text)
    facts = ranked([*named_sources(view, question), *fact_sources(view, question)], question)
    chosen = facts[:_MAX_FACTS]
    answering = _answering(facts, question)
    if len(chosen) < MAX_SOURCES and not answering:
        known = {(each.path, each.line) for each in chosen}
        chosen += [each for each in search_sources(view, question.text) if (each.path, each.line) not in known]
    sources = tuple(Citation(each.path, each.line, each.text) for each in chosen[:MAX_SOURCES])
    if not answering:
        return Answer(question.text, "", "sources", sources)
    cited = tuple(Citation(each.path, each.line, each.text) for each in answering)
    others = tuple(each for each in sources if each not in cited)
    more = max(0, max(each.total for each in answering) - len(answering))
    return Answer(question.text, _said(cited, more), "facts", cited, others, more)


def _said(facts: Sequence[Citation], more: int) -> str:
    """The facts as sentences; the callers of one function in one sentence. ``more``: facts that are not given."""
    numbered = list(enumerate(facts, 1))
    sentences = []
    for head, group in groupby(numbered, key=lambda each: each[1].text.partition(_CALLED_BY)[0]):
        rows = list(group)
        parts = [source.text.partition(_CALLED_BY)[2] for _, source in rows]
        names = [f"{part} [{number}]" for part, (number, _) in zip(parts, rows, strict=True)]
        if more and all(parts):
            names.append(f"{more:,} more")
            more = 0
        if len(names) > 1 and all(parts):
            sentences.append(f"{head}{_CALLED_BY}{', '.join(names[:-1])} and {names[-1]}.")
        else:
            sentences += [f"{source.text} [{number}]." for number, source in rows]
    return " ".join([*sentences, f"There are {more:,} more."] if more else sentences)


def with_fewer_sources(found: Answer, max_sources: int) -> Answer:
    """The first sources, and of an answer from facts what they say. No model has answered yet."""
    cited = found.citations[:max_sources]
    others = found.others[: max_sources - len(cited)]
    more = found.more + len(found.citations) - len(cited) if found.origin == "facts" else 0
    text = _said(cited, more) if found.origin == "facts" else found.text
    return replace(found, text=text, citations=cited, others=others, more=more)


def ranked(found: Sequence[FoundSource], question: Question) -> list[FoundSource]:
    """Sources by the topics of a question, then by what they share with it beside the names."""
    order = {topic: at for at, topic in enumerate(question.topics)}
    words = set(query_stems(question.text))
    code = _code_of(question)
    errnos = set(_ERRNO.findall(question.text))

    def key(each: FoundSource) -> tuple[int, int, int, int]:
        is_asked = each.topic in order if each.topic is not None else False
        shared = len(code.intersection(_CODE.findall(each.text)))
        exact = _exact(each.text, question.text)
        wanted = bool(errnos) and bool(errnos.intersection(_ERRNO.findall(each.text)))
        return (
            not is_asked, -(4 * exact + 3 * wanted + shared),
            order.get(each.topic, 99) if each.topic is not None else 99, -len(words.intersection(stems(each.text))),
        )  # fmt: skip

    best = sorted(found, key=key)
    return best if question.topics else _varied(best)


def _varied(found: Sequence[FoundSource]) -> list[FoundSource]:
    """What a name is, then one fact of each topic, then the second ones."""
    seen: dict[Topic | None, int] = {}
    rounds = []
    for each in found:
        seen[each.topic] = seen.get(each.topic, 0) + 1
        rounds.append((seen[each.topic], each.topic is not None, each))
    return [each for *_, each in sorted(rounds, key=lambda pair: pair[:2])]


def _code_of(question: Question) -> set[str]:
    """The code words of a question beside its subjects: of a condition, a value."""
    names = {*question.names, *question.options}
    return {word for word in _CODE.findall(question.text) if word not in names and word.lower() not in _ASKING}


def _exact(text: str, question: str) -> bool:
    """Return True if the question holds the condition of a fact, as code or in words."""
    condition = "".join(text.partition(" if ")[2].split())
    if not condition:
        return False
    return condition in "".join(question.split()) or any(condition == code for code in spoken_conditions(question))


def _answering(facts: Sequence[FoundSource], question: Question) -> list[FoundSource]:
    """The facts that are the answer: those of the question's first topic; of a table if no member is meant."""
    first = question.topics[:1]
    if first == (Topic.MEMBER,):
        first = (Topic.MEMBER, Topic.TABLE)
    elif first and first[0] in NAMED:
        first = question.topics
    for topic in first:
        of_topic = [each for each in facts if each.topic is topic]
        if topic is Topic.RETURN:
            of_topic = _returned(of_topic, question)
        if topic is Topic.LOCK:
            of_topic = [each for each in of_topic if " releases " not in each.text] or of_topic
        if topic is Topic.MEMBER and question.members:
            of_topic = [each for each in of_topic if _member(each.text) in question.members]
        distinct = list({each.text: each for each in reversed(of_topic)}.values())[::-1]
        if len(distinct) > _MAX_ANSWER_FACTS and topic in _LISTED:
            total = max(len(distinct), *(each.total for each in distinct))
            return [replace(each, total=total) for each in distinct[:_MAX_ANSWER_FACTS]]
        if distinct:
            return distinct if len(distinct) <= _MAX_ANSWER_FACTS else []
    return []


def _member(text: str) -> str:
    match = re.search(r" is \.(\w+)", text)
    return match[1] if match else ""


def _returned(facts: list[FoundSource], question: Question) -> list[FoundSource]:
    """Returned values: those of the condition or the value that a question gives, else all."""
    errnos = set(_ERRNO.findall(question.text))
    if errnos:
        return [each for each in facts if errnos.intersection(_ERRNO.findall(each.text))]
    value = next((match[1] or match[2] or match[3] for match in _VALUE.finditer(question.text)), "")
    if of_value := [each for each in facts if value and re.search(rf"returns {re.escape(value)}(?: |\Z)", each.text)]:
        return of_value
    if exact := [each for each in facts if _exact(each.text, question.text)]:
        return exact
    code = _code_of(question)
    shares = [len(code.intersection(_CODE.findall(each.text.partition(" if ")[2]))) for each in facts]
    best = max(shares, default=0)
    if best and shares.count(best) == 1:
        return [facts[shares.index(best)]]
    return facts if not re.search(r"\b(?:if|when)\b", question.text) else []


def with_model(found: Answer, text: str, cited: Sequence[int], model: str, adapter: str) -> Answer:
    """An answer with a checked text that cites sources by their numbers, which are made consecutive."""
    numbers = {number: at for at, number in enumerate(cited, 1)}
    text = re.sub(r"\[(\d+)\]", lambda match: f"[{numbers[int(match[1])]}]", text)
    sources = found.sources
    return replace(
        found, text=text, origin="model", model=model, adapter=adapter,
        citations=tuple(sources[number - 1] for number in cited),
        others=tuple(each for at, each in enumerate(sources, 1) if at not in numbers),
    )  # fmt: skip
