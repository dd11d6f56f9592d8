"""Questions on the kernel made from a tree's facts, with the true answer and numbered sources, one of which holds it.

The other sources are what the same names lead to, as a search would find them: further facts of the function, of its
file, of options nearby. The rows train a model to answer from sources; the evaluation scores answers by ``is_right``.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kexpert.core.retrieval.words import stems
from kexpert.prompt.chat import SMALL, Task
from kexpert.prompt.sources import NO_ANSWER
from kexpert_trainer.data.config_facts import build_fact, config_facts
from kexpert_trainer.data.function_facts import function_facts
from kexpert_trainer.data.question_forms import phrase
from kexpert_trainer.data.rows import Pair, Row
from kexpert_trainer.data.subsystems import is_held_out_subsystem
from kexpert_trainer.data.tree import files, name_of
from kexpert_trainer.data.tree_facts import TOPICS, Asked, Form, TreeFact

_MAX_FILE_BYTES = 300_000
_MIN_SOURCES, _MAX_SOURCES = 3, 5
#: Sources of a question for evaluation: as many as the server gives.
_FOUND_SOURCES = 6
#: Questions of one form that one file may give, so that no large file fills a form.
_MAX_PER_FILE = 3
#: Rare forms may stay short by this part of the rows; others take their place. To fill them takes the whole tree.
_RARE = 0.05
#: Parts of 100 questions.
_SHARES = {
    Form.LOCK: 16, Form.HELD: 4, Form.VALUE: 12, Form.CONDITION: 8, Form.CALLER: 18, Form.DEPENDS: 9,
    Form.SELECTS: 6, Form.BUILDS: 7, Form.MEMBER: 10, Form.TABLE: 10,
}  # fmt: skip
_OF_FUNCTIONS = {Form.LOCK, Form.HELD, Form.VALUE, Form.CONDITION, Form.CALLER, Form.MEMBER, Form.TABLE}
_NAMES = re.compile(r"[A-Za-z_][\w./-]*\.[ch]\b|[A-Za-z_]\w+")
_CITATION = re.compile(r"\[\d+\]")
_CONFIG = re.compile(r"\bCONFIG_")  # an option is named with or without it
_AROUND_MARKS = re.compile(r"\s*([^\w\s])\s*")
_SPACE = re.compile(r"\s+")
#: Answers that are right so often that they can be guessed; at most this part of the questions of their form.
_COMMON = frozenset(("0", "NULL", "true", "false"))
_MAX_COMMON = 0.2


def question_rows(
    tree: Path,
    count: int,
    seed: int = 0,
    is_wanted: Callable[[str], bool] | None = None,
    is_wanted_name: Callable[[str], bool] = lambda name: True,
    report: Callable[[int, int], None] = lambda done, total: None,
    unanswered: float = 0.0,
    as_found: bool = False,
) -> list[Row]:
    """Make up to ``count`` rows, about as many of each topic. The same tree and seed give the same rows.

    ``is_wanted``: which files may give questions (default: all but the held-out subsystems); ``is_wanted_name``: which
    functions, options or files a question may be about; ``report(done, count)``; ``unanswered``: the part of the rows
    whose right source is left out and whose answer is ``NO_ANSWER``; ``as_found``: for evaluation, the sources are the
    best of ``ranked``, best first, whether the right one is among them or not. Raises OSError.
    """
    wanted = is_wanted or (lambda path: not is_held_out_subsystem(path))
    paths = [path for path in files(tree) if path.endswith(".c") or path.rpartition("/")[2].startswith("Kconfig")]
    paths = sorted((path for path in paths if wanted(path)), key=lambda path: _digest(f"{seed}/{path}"))
    label = name_of(tree)
    room = {form: -(-count * share // 100) for form, share in _SHARES.items()}
    found: list[Row] = []
    common: Counter[str] = Counter()
    spare: list[Row] = []
    for path in paths:
        if sum(room.values()) <= _RARE * count and len(found) + len(spare) >= count:
            break
        rng = random.Random(_digest(f"{seed}/{path}/rows"))
        for asked, row in _rows_of_file(tree, path, label, rng, is_wanted_name, room, as_found):
            is_common = asked.answer in _COMMON
            if is_common and common["yes"] >= _MAX_COMMON * (common["all"] + 5):
                continue
            common["all"] += asked.form is Form.VALUE
            common["yes"] += is_common
            row = without_answer(row) if rng.random() < unanswered else row
            (found if room[asked.form] else spare).append(row)
            room[asked.form] = max(room[asked.form] - 1, 0)
        report(len(found), count)
    found += spare[: max(count - len(found), 0)]
    return sorted(found, key=lambda row: row.id)[:count]


def _rows_of_file(
    tree: Path, path: str, label: str, rng: random.Random, is_wanted_name: Callable[[str], bool],
    room: dict[Form, int], as_found: bool,
) -> Iterator[tuple[Asked, Row]]:  # fmt: skip
    facts = facts_of_file(tree, path, {form for form, left in room.items() if left})
    by_form: dict[Form, list[tuple[int, Asked]]] = defaultdict(list)
    for at, fact in enumerate(facts):
        if len(fact.text) <= SMALL.source and is_wanted_name(fact.subjects[0]):
            for asked in fact.asked:
                by_form[asked.form].append((at, asked))
    for form in Form:
        most = 1 if as_found else _MAX_PER_FILE  # an evaluation wants many files
        chosen = rng.sample(by_form[form], min(most, len(by_form[form])))
        for at, asked in chosen:
            yield asked, _row(facts, at, asked, label, rng, as_found)


def facts_of_file(tree: Path, path: str, wanted: Collection[Form] = tuple(Form)) -> list[TreeFact]:
    """The facts of one C or Kconfig file; those of a C file's Makefile are among them. Files too large have none.

    If no question of some kind is ``wanted``, facts that answer only such questions may be missing.
    """
    data = (tree / path).read_bytes()
    if len(data) > _MAX_FILE_BYTES:
        return []
    if not path.endswith(".c"):
        return list(config_facts(path, data)) if {Form.DEPENDS, Form.SELECTS}.intersection(wanted) else []
    found: list[TreeFact] = []
    if Form.BUILDS in wanted:
        folder = path.rpartition("/")[0]
        siblings = sorted(each.name for each in (tree / folder).glob("*.c"))
        at = siblings.index(path.rpartition("/")[2])
        near = [path, *(f"{folder}/{name}" for name in siblings[max(at - 2, 0) : at + 3] if not path.endswith(name))]
        built = (build_fact(each.lstrip("/"), _reader(tree)) for each in near)
        found += [
            fact if number == 0 else TreeFact(fact.subjects, fact.path, fact.line, fact.text)
            for number, fact in enumerate(built) if fact is not None
        ]  # fmt: skip
    if _OF_FUNCTIONS.intersection(wanted):
        found += function_facts(path, data)
    return found


def _reader(tree: Path) -> Callable[[str], bytes | None]:
    def read(path: str) -> bytes | None:
        try:
            return (tree / path).read_bytes()
        except OSError:
            return None

    return read


def _row(
    facts: Sequence[TreeFact], at: int, asked: Asked, label: str, rng: random.Random, as_found: bool
) -> Row:
    fact = facts[at]
    question = phrase(fact, asked, rng)
    sources = found_sources(facts, question) if as_found else chosen_sources(facts, fact, question, rng)
    number = sources.index(fact) + 1 if fact in sources else 0
    key = f"{label}\0{fact.where}\0{asked.form}\0{question}"
    return Row(
        hashlib.sha256(key.encode()).hexdigest()[:16], Task.ANSWER, f"{asked.answer} [{number}]",
        fact.path, fact.line + 1, fact.line + 1, label, name=fact.subjects[0],
        question=question, sources=tuple(_pair(each) for each in sources),
        notes={
            "topic": TOPICS[asked.form].value, "form": asked.form.value, "keys": list(asked.keys),
            "wrong": wrong_keys(sources, fact, asked, question), "source": number,
        },
    )  # fmt: skip


def without_answer(row: Row) -> Row:
    """The same question with sources that do not answer it; the row itself if none is left or one still does."""
    right = row.notes["source"] - 1
    left = row.sources[:right] + row.sources[right + 1 :]
    if not left or any(is_right(text, row.notes["keys"]) for _, text in left):
        return row
    notes = row.notes | {"keys": [NO_ANSWER.rstrip(".")], "wrong": [], "source": 0}
    return replace(row, output=NO_ANSWER, sources=left, notes=notes)


def _pair(fact: TreeFact) -> Pair:
    return fact.where, fact.text


def chosen_sources(
    facts: Sequence[TreeFact], right: TreeFact, question: str, rng: random.Random
) -> list[TreeFact]:
    """The right source among two to four others that the question's names lead to, in random order."""
    count = rng.randint(_MIN_SOURCES, _MAX_SOURCES)
    texts = {right.text}
    others: list[TreeFact] = []
    for each in ranked(facts, question):
        if each.text not in texts and len(each.text) <= SMALL.source:
            texts.add(each.text)
            others.append(each)
    chosen = [right, *others[: count - 1]]
    rng.shuffle(chosen)
    return chosen


def found_sources(facts: Iterable[TreeFact], question: str) -> list[TreeFact]:
    """The best sources for a question, best first, each text once."""
    by_text = {each.text: each for each in reversed(ranked(facts, question)) if len(each.text) <= SMALL.source}
    return list(reversed(by_text.values()))[:_FOUND_SOURCES]


def ranked(facts: Iterable[TreeFact], question: str) -> list[TreeFact]:
    """Facts by what they share with a question: first those about a name in it, then by common words."""
    names = set(_NAMES.findall(question))
    words = set(stems(question))

    def score(fact: TreeFact) -> tuple[int, int]:
        return -len(names.intersection(fact.subjects)), -len(words.intersection(stems(fact.text)))

    return sorted(facts, key=score)


def wrong_keys(sources: Sequence[TreeFact], right: TreeFact, asked: Asked, question: str) -> list[str]:
    """What a right answer does not contain: the keys of the same form of the other sources."""
    found: dict[str, None] = {}
    for source in sources:
        for other in source.asked if source is not right else ():
            if other.form is asked.form:
                found.update(dict.fromkeys(other.keys))
    known = _squeezed(f"{right.text} {question} {' '.join(asked.keys)}")
    return [key for key in found if not _holds(known, key)]


def is_right(answer: str, keys: Sequence[str], wrong: Sequence[str] = ()) -> bool:
    """True if an answer contains all ``keys`` as whole words, and none of ``wrong``. Blanks around marks do not count.

    >>> is_right("It takes &foo->lock [2].", ["foo->lock"])
    True
    """
    text = _squeezed(answer)
    return all(_holds(text, key) for key in keys) and not any(_holds(text, key) for key in wrong)


def _squeezed(text: str) -> str:
    text = _CONFIG.sub("", _CITATION.sub(" ", text.replace("`", "")))
    return _AROUND_MARKS.sub(r"\1", _SPACE.sub(" ", text).strip())


def _holds(squeezed: str, key: str) -> bool:
    wanted = _squeezed(key)
    start = r"(?<!\w)" if wanted[:1].isalnum() or wanted[:1] == "_" else ""
    end = r"(?!\w)" if wanted[-1:].isalnum() or wanted[-1:] == "_" else ""
    return bool(wanted) and re.search(start + re.escape(wanted) + end, squeezed) is not None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
