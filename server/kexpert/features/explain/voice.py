"""What a chat model is asked about a function, macro or struct, and what its answer is checked against."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import comment_above, parse_kerneldoc
from kexpert.core.retrieval.documented import nearest_documented
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.explain.agreement import agreed_summary
from kexpert.features.explain.check import Evidence, checked_summary, checked_text, finished_part
from kexpert.features.explain.explanation import Explanation, Fact, FactKind, Location, Written
from kexpert.prompt.chat import (
    LARGE,
    MAX_FACTS,
    MAX_NEIGHBOURS,
    SMALL,
    Budget,
    Message,
    Task,
    explanation_prompt,
    summary_prompt,
)
from kexpert.view import View

_SUMMARISED = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO, Kind.STRUCT, Kind.UNION)
_FUNCTIONS = (Kind.FUNCTION, Kind.SYSCALL)
#: A longer definition is cut before it is shortened to the budget of a prompt.
_MAX_CODE_BYTES = 64 * 1024
_MIN_CODE_BYTES = 20
_MAX_NEIGHBOUR_FILES = 12  # of the same folder
_MAX_NEIGHBOUR_BYTES = 200_000  # of one of them
_MAX_BRIEFS = 400  # of one file
_SUMMARY_TOKENS = 40
_EXPLANATION_TOKENS = {SMALL: 120, LARGE: 320}
_SENTENCES = {SMALL: 3, LARGE: 6}
_MAX_EXPLANATION_CHARS = 1_200
#: The kinds of facts that a model is given, the most telling first.
_TOLD = (
    FactKind.LOCK, FactKind.ENTRY, FactKind.CONTEXT, FactKind.ALLOCATION, FactKind.STATE, FactKind.REFERENCE,
    FactKind.ERRNO, FactKind.RETURN, FactKind.CALLER,
)  # fmt: skip

Pair = tuple[str, str]


def may_explain(trained_tasks: Collection[str], budget: Budget) -> bool:
    """Whether a model is asked for sentences. A small model of others writes a passable line, but half-true sentences.

    ``trained_tasks``: of the manifest; empty for a model of others.
    """
    return Task.EXPLANATION in trained_tasks or (not trained_tasks and budget == LARGE)


def may_summarise(trained_tasks: Collection[str]) -> bool:
    """Whether a model is asked for a line."""
    return not trained_tasks or Task.SUMMARY in trained_tasks


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """What a chat model is asked about one piece of code."""

    task: Task
    messages: tuple[Message, ...]
    max_tokens: int
    name: str
    code: str  # all of it; the messages hold an excerpt
    given: tuple[str, ...]  # the other texts that an answer may speak of
    briefs: tuple[str, ...]  # of other functions
    sources: tuple[Location, ...]
    max_sentences: int = 1

    def checked(self, answer: str, *, ended: bool) -> str:
        """What may be shown of an answer. ``ended``: the model ended it, so that its last sentence is whole."""
        answer = answer if ended else finished_part(answer)
        evidence = self._evidence()
        if self.task is Task.SUMMARY:
            return checked_summary(answer, evidence, self.name, self.code, self.briefs)
        return checked_text(answer, evidence, self.max_sentences, _MAX_EXPLANATION_CHARS)

    def agreed_line(self, answers: Sequence[tuple[str, bool]]) -> str:
        """The summary line that most of several answers (text, whether it ended) agree on, if it may be shown."""
        return agreed_summary(answers, self._evidence(), self.name, self.code, self.briefs)

    def _evidence(self) -> Evidence:
        return Evidence((self.name, self.code, *self.given))

    def written(self, text: str, model: str, adapter: str) -> Written | None:
        """A checked text with its mark; None for no text."""
        return Written(text, model, adapter, self.sources) if text else None


def can_be_summarised(source: Source, symbol: Symbol) -> bool:
    """Whether a line about a symbol is worth asking for: functions, records, and macros that are no constants."""
    if symbol.kind not in _SUMMARISED or symbol.end - symbol.start < _MIN_CODE_BYTES:
        return False
    text = source.data[symbol.start : symbol.end]
    if symbol.kind is Kind.MACRO:
        return bool(symbol.flags & Flag.FUNCTION_LIKE) or b"\n" in text.rstrip()
    return b"{" in text


def undocumented_functions(view: View, source: Source) -> list[Symbol]:
    """The functions of a file that have no comment."""
    return [
        symbol
        for symbol in view.symbols_in(source.path)
        if symbol.kind in _FUNCTIONS
        and can_be_summarised(source, symbol)
        and comment_above(source.data, symbol.start) is None
    ]


def code_of(source: Source, symbol: Symbol) -> str:
    """The text of a definition as a prompt takes it."""
    return decode(source.data[symbol.start : min(symbol.end, symbol.start + _MAX_CODE_BYTES)])


def summary_question(view: View, source: Source, symbol: Symbol, budget: Budget) -> ChatPrompt:
    """Ask for one line about a definition."""
    code = code_of(source, symbol)
    likes = _neighbours(view, source, symbol)
    return ChatPrompt(
        Task.SUMMARY, tuple(summary_prompt(source.path, code, likes, budget)), _SUMMARY_TOKENS, symbol.name, code,
        (source.path, *(f"{name} {brief}" for name, brief in likes)), tuple(brief for _, brief in likes),
        (Location(source.path, source.lines.line_of(symbol.start)),),
    )  # fmt: skip


def explanation_question(source: Source, found: Explanation, budget: Budget) -> ChatPrompt | None:
    """Ask for some sentences about what a page explains; None for a page about several functions."""
    if found.what == "selection" and "," not in found.name:
        return None
    starts = source.lines.starts
    end = starts[found.end_line + 1] if found.end_line + 1 < len(starts) else len(source.data)
    start = starts[found.line]
    code = decode(source.data[start : min(end, start + _MAX_CODE_BYTES)]).strip("\n")
    told = _told(found)
    facts = [fact.text.replace("`", "") for fact in told]
    given = [found.path, found.summary.text, *(fact.text for fact in found.facts), *(step.text for step in found.steps)]
    sources = (Location(found.path, found.line), *(Location(fact.path, fact.line) for fact in told))
    return ChatPrompt(
        Task.EXPLANATION, tuple(explanation_prompt(found.path, code, facts, budget)),
        _EXPLANATION_TOKENS.get(budget, 320), found.name.partition(",")[0], code, tuple(given), (),
        tuple(dict.fromkeys(sources)), _SENTENCES.get(budget, 6),
    )  # fmt: skip


def _told(found: Explanation) -> list[Fact]:
    """The facts that a model is given: one of each kind, then a second one."""
    by_kind = [[fact for fact in found.facts if fact.kind is kind] for kind in _TOLD]
    rounds = (facts[at] for at in range(MAX_FACTS) for facts in by_kind if at < len(facts))
    chosen: list[Fact] = []
    for fact in rounds:
        if fact.text not in (other.text for other in chosen):
            chosen.append(fact)
        if len(chosen) == MAX_FACTS:
            break
    return chosen


# -- documented neighbours -----------------------------------------------------------------------


def _neighbours(view: View, source: Source, symbol: Symbol) -> list[Pair]:
    """(name, brief) of the documented definitions that are most like a symbol: of its file, then of its folder."""
    own = _documented(view, source)
    order = sorted(own, key=lambda each: abs(each[0] - symbol.start))
    best = nearest_documented(symbol.name, [pair for _, pair in order], MAX_NEIGHBOURS)
    if len(best) < MAX_NEIGHBOURS:
        known = {symbol.name, *(name for _, (name, _) in own)}
        rest = [pair for pair in _documented_beside(view, source.path) if pair[0] not in known]
        best += nearest_documented(symbol.name, rest, MAX_NEIGHBOURS - len(best))
    return best


def _documented_beside(view: View, path: str) -> list[Pair]:
    folder = path.rpartition("/")[0]
    found: list[Pair] = []
    names = sorted(name for name, is_folder in view.list_dir(folder).items() if not is_folder and name.endswith(".c"))
    for name in names[:_MAX_NEIGHBOUR_FILES]:
        other = f"{folder}/{name}" if folder else name
        data = view.data(other) if other != path else None
        if data is not None and len(data) <= _MAX_NEIGHBOUR_BYTES and b"/**" in data:
            found += [pair for _, pair in _briefs(data, view.symbols_in(other))]
    return found


def _documented(view: View, source: Source) -> list[tuple[int, Pair]]:
    """(offset, (name, brief)) of the definitions of a file that have kernel-doc."""
    return _briefs(source.data, view.symbols_in(source.path)) if b"/**" in source.data else []


def _briefs(data: bytes, symbols: Sequence[Symbol]) -> list[tuple[int, Pair]]:
    found = []
    for symbol in symbols:
        span = comment_above(data, symbol.start) if symbol.kind in _SUMMARISED else None
        doc = parse_kerneldoc(data[span[0] : span[1]]) if span else None
        if doc is not None and doc.name == symbol.name and doc.summary:
            brief = " ".join(doc.summary.split()).rstrip(". ")
            found.append((symbol.start, (symbol.name, brief)))
            if len(found) == _MAX_BRIEFS:
                break
    return found
