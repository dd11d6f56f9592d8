"""What a chat model is asked with the sources of a question, and what of its answer may be shown.

Each sentence must cite sources that exist, and may name only what those sources, or the question, name.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from kexpert.features.ask.ask import Answer, with_model
from kexpert.features.explain.check import Evidence, sentences, supported_sentences
from kexpert.prompt.chat import LARGE, SMALL, Budget, Message, Task, answer_prompt

_MAX_TOKENS = {SMALL: 96, LARGE: 400}
_MAX_SENTENCES = 8
_CITED = re.compile(r"\s*\[(\d{1,2})\]")
#: "[1], [2]" and "[1, 2]".
_LIST = re.compile(r"\[(\d{1,2}(?:\s*,\s*\d{1,2})+)\]")
_SPACE = re.compile(r"\s+")


def may_answer(trained_tasks: Collection[str], budget: Budget) -> bool:
    """Whether a model is asked: one trained for it, or a large one of others."""
    return Task.ANSWER in trained_tasks or (not trained_tasks and budget == LARGE)


def max_tokens(budget: Budget) -> int:
    return _MAX_TOKENS.get(budget, 400)


def messages(found: Answer, budget: Budget) -> list[Message]:
    """The prompt for a question with its sources."""
    sources = [(f"{source.path}:{source.line + 1}", source.text) for source in found.sources]
    return answer_prompt(found.question, sources, budget)


def checked_answer(found: Answer, text: str, model: str, adapter: str) -> Answer:
    """The answer with the sentences of a model that its sources bear out; unchanged if none is left."""
    kept: list[str] = []
    cited: dict[int, None] = {}
    for sentence in _sentences(text):
        numbers = [int(number) for number in _CITED.findall(sentence)]
        if not numbers or any(not 1 <= number <= len(found.sources) for number in numbers):
            continue
        bare = _CITED.sub("", sentence).strip(" .;,")
        given = [found.sources[number - 1].text for number in numbers]
        if not bare or not _is_borne_out(bare, given, found.question):
            continue
        cited.update(dict.fromkeys(numbers))
        kept.append(f"{bare[:1].upper() + bare[1:] if bare[1:2].islower() else bare} "
                    f"{' '.join(f'[{number}]' for number in dict.fromkeys(numbers))}.")  # fmt: skip
        if len(kept) == _MAX_SENTENCES:
            break
    return with_model(found, " ".join(kept), list(cited), model, adapter) if kept else found


def _sentences(text: str) -> list[str]:
    """Sentences with the citations that follow their full stop."""
    text = _LIST.sub(lambda match: " ".join(f"[{number.strip()}]" for number in match[1].split(",")), text)
    text = re.sub(r"([.!?])((?:\s*\[\d{1,2}\])+)", r"\2\1", text)
    return list(sentences(text))


def _is_borne_out(bare: str, given: list[str], question: str) -> bool:
    """Words of the cited sources as they are, or a sentence that names nothing else."""
    squeezed = _squeezed(bare)
    if any(squeezed in _squeezed(source) for source in given):
        return True
    return bool(supported_sentences(bare, Evidence([*given, question])))


def _squeezed(text: str) -> str:
    return _SPACE.sub("", text.replace("`", "")).lower()
