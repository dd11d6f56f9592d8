"""Rows from Kconfig help and from paragraphs of Documentation/ that say what a function does: questions with sources.

The right source stands among others of the same file, at a place that depends on the row's id alone. The answer is a
sentence of the source, with its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kexpert.core.kernel.kconfig import KconfigEntry, parse_kconfig
from kexpert.core.retrieval.chunk import is_documentation
from kexpert.core.text import decode
from kexpert.prompt.chat import Task
from kexpert_trainer.data.licences import licence_of
from kexpert_trainer.data.rows import Pair, Row, row_id

_MAX_FILE_BYTES = 1_000_000
_MAX_SOURCE_CHARS = 400
MAX_OTHERS = 2  # sources that do not hold the answer
_MAX_SENTENCES = 2
_MIN_CHARS, _MAX_CHARS = 30, 420

_SPACE = re.compile(r"\s+")
_SENTENCE = re.compile(r"(?<=[a-z0-9)`][.!?])\s+(?=[A-Z`:]|[a-z_]\w*\(\))")
#: Sentences of a help text that say how to answer the prompt, not what the option does.
_ADVICE = re.compile(
    r"\b(?:say|answer|select|choose|enter|type|enable this|if unsure|if in doubt|to compile|module will be called"
    r"|you should say|you (?:can|may|will) (?:also )?(?:say|need|want)|see <|for more information|saying)\b",
    re.I,
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
#: A sentence that says what a function does: its name comes first.
_ABOUT = re.compile(
    r"(?:the )?(?:function )?(?::c:func:)?`{0,2}([a-z_][a-z0-9_]{3,})\(\)`{0,2} (?:function |macro |helper )?"
    r"(?:is|are|will|does|can|should|must|may|[a-z]{3,}s)\b",
    re.I,
)


def is_text(path: str) -> bool:
    """True for files that ``mine_text`` reads."""
    name = path.rpartition("/")[2]
    return is_documentation(path) or name.startswith("Kconfig")


def mine_text(tree: Path, path: str, tree_name: str) -> list[Row]:
    """The rows of one Kconfig file or text. Raises OSError."""
    data = (tree / path).read_bytes()
    if len(data) > _MAX_FILE_BYTES:
        return []
    licence = licence_of(data)
    found = list(_paragraphs(path, decode(data)) if is_documentation(path) else _options(path, data))
    rows = []
    for at, (name, question, answer, source) in enumerate(found):
        line = int(source[0].rpartition(":")[2])
        identity = row_id(tree_name, path, name, line, Task.ANSWER)
        sources, number = among(identity, source, [other[3] for other in _around(found, at)])
        kind = "documentation" if is_documentation(path) else "option"
        rows.append(
            Row(identity, Task.ANSWER, f"{answer} [{number}]", path, line, line, tree_name, licence, name, kind,
                question=question, sources=sources)
        )  # fmt: skip
    return rows


def among(identity: str, source: Pair, others: Sequence[Pair]) -> tuple[tuple[Pair, ...], int]:
    """``source`` among others, and its number from 1."""
    at = int(identity[:8], 16) % (len(others) + 1)
    return (*others[:at], source, *others[at:]), at + 1


Found = tuple[str, str, str, Pair]  # name, question, answer, (path:line, text)


def _around(found: list[Found], at: int) -> list[Found]:
    """The nearest other entries of the file whose source is another one."""
    order = sorted(range(len(found)), key=lambda other: (abs(other - at), other))
    others: list[Found] = []
    seen = {found[at][3]}
    for other in order:
        if found[other][3] not in seen:
            seen.add(found[other][3])
            others.append(found[other])
    return others[:MAX_OTHERS]


def _options(path: str, data: bytes) -> Iterator[Found]:
    seen = set()
    for entry in parse_kconfig(data, path).entries:
        if entry.kind not in ("config", "menuconfig") or not entry.name or not entry.help or entry.name in seen:
            continue
        seen.add(entry.name)
        if answer := _what_it_does(entry.help):
            name = f"CONFIG_{entry.name}"
            yield name, f"What is {name} for?", answer, (f"{path}:{entry.line + 1}", _source(entry, answer))


def _source(entry: KconfigEntry, answer: str) -> str:
    """What the row shows of an option: the prompt, and its help from the first sentence of the answer on."""
    help_text = _SPACE.sub(" ", entry.help).strip()
    start = max(help_text.find(answer[:_MIN_CHARS]), 0)
    head = f"CONFIG_{entry.name}: {entry.prompt}. " if entry.prompt else f"CONFIG_{entry.name}: "
    return _cut(head + help_text[start:])


def _what_it_does(help_text: str) -> str:
    """The first sentences of a help text that are no advice; "" if there are none."""
    sentences = _SENTENCE.split(_SPACE.sub(" ", _PARAGRAPH.split(help_text.strip())[0]).strip())
    wanted: list[str] = []
    for sentence in sentences:
        if _ADVICE.search(sentence):
            if wanted:
                break
            continue
        wanted.append(sentence)
    text = " ".join(wanted[:_MAX_SENTENCES])
    return text if _MIN_CHARS <= len(text) <= _MAX_SOURCE_CHARS - 80 else ""


def _paragraphs(path: str, text: str) -> Iterator[Found]:
    seen = set()
    line = 1
    at = 0
    for break_ in [*_PARAGRAPH.finditer(text), None]:
        paragraph = text[at : break_.start() if break_ else len(text)]
        first = line + len(paragraph) - len(paragraph.lstrip("\n"))
        joined = _SPACE.sub(" ", paragraph).strip(" *-#.")
        for sentence in _SENTENCE.split(joined):
            match = _ABOUT.match(sentence)
            if match and match[1] not in seen and _MIN_CHARS <= len(sentence) <= _MAX_CHARS:
                seen.add(match[1])
                start = joined.find(sentence)
                source = _cut(joined if start + len(sentence) <= _MAX_SOURCE_CHARS else joined[start:])
                if sentence in source:
                    yield match[1], f"What does {match[1]}() do?", sentence, (f"{path}:{first}", source)
        if break_:
            line += text.count("\n", at, break_.end())
            at = break_.end()


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SOURCE_CHARS else text[:_MAX_SOURCE_CHARS].rsplit(" ", 1)[0] + " …"
