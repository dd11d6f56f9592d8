"""The messages of a chat model: one short form for each task, the same in training and in serving.

    system     You explain Linux kernel code.
    user       Summarize in one line.              the task
               File: drivers/foo/bar.c
               Like: foo_stop() - Stop the foo     documented neighbours, as examples of style and terms
               Code:
               int foo_start(struct foo *foo)      shortened by ``code_excerpt``
               …
    assistant  Start the foo

The common beginning comes first, so that the key-value cache of it survives. Every text from a tree is cut to a budget
of characters here: an answer is never cut for the length of its prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from kexpert.prompt.code_excerpt import shorten_code

#: Must be increased when a function here gives another text for the same input. A manifest names the version that its
#: model was trained on; a model of others has none and accepts any.
CHAT_PROMPT_VERSION = 1

Role = Literal["system", "user", "assistant"]


class Task(StrEnum):
    """What a chat model is asked for. A manifest lists the tasks that its model was trained for."""

    SUMMARY = "summary"  # one line, as the brief of a kernel-doc comment
    KERNEL_DOC = "kernel-doc"  # a text for each parameter, and for the return value
    EXPLANATION = "explanation"  # two or three sentences
    ANSWER = "answer"  # to a question, from numbered sources


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Budget:
    """Characters that a prompt may take from the tree."""

    summary_code: int
    code: int  # for the other tasks that show code
    source: int  # each numbered source of an answer
    line: int = 110  # one documented neighbour, one fact


#: What the adapters of this project are trained on: a small model on a CPU reads some 200 tokens a second.
SMALL = Budget(summary_code=420, code=640, source=160)
#: For large models of others.
LARGE = Budget(summary_code=6_000, code=12_000, source=1_200, line=300)

_SYSTEM = Message("system", "You explain Linux kernel code.")
_SPACE = re.compile(r"\s+")
MAX_NEIGHBOURS = 2
MAX_FACTS = 6


def summary_prompt(
    path: str, code: str, neighbours: Sequence[tuple[str, str]] = (), budget: Budget = SMALL
) -> list[Message]:
    """Ask for one line about a function, macro or record.

    ``neighbours`` are (name, brief) of documented functions nearby, best first.
    """
    likes = (f"{name}() - {brief}" for name, brief in neighbours[:MAX_NEIGHBOURS])
    return _about_code("Summarize in one line.", path, code, [], likes, budget.summary_code, budget)


def kernel_doc_prompt(
    path: str, code: str, neighbours: Sequence[tuple[str, str]] = (), budget: Budget = SMALL
) -> list[Message]:
    """Ask for the texts of a kernel-doc comment; the answer has the form of ``kernel_doc_answer``.

    ``neighbours`` are (parameter, text) from comments nearby that document a parameter of the same name.
    """
    likes = (f"@{name}: {text}" for name, text in neighbours)
    return _about_code("Describe each parameter and the return value.", path, code, [], likes, budget.code, budget)


def explanation_prompt(path: str, code: str, facts: Sequence[str] = (), budget: Budget = SMALL) -> list[Message]:
    """Ask for two or three sentences about a function. ``facts`` are sentences that the program knows to be true."""
    return _about_code("Explain in two or three sentences.", path, code, facts, (), budget.code, budget)


def answer_prompt(question: str, sources: Sequence[tuple[str, str]], budget: Budget = SMALL) -> list[Message]:
    """Ask a question about the kernel, to be answered from numbered sources.

    ``sources`` are (``path:line``, text). The answer cites them as ``[1]``. Without sources the model is asked alone.
    """
    lines = [f"Question: {_one_line(question, budget.source * 2)}"]
    if sources:
        lines.insert(0, "Answer from the sources and cite them as [1].")
        numbered = enumerate(sources, 1)
        lines[1:1] = [f"[{number}] {where}: {_one_line(text, budget.source)}" for number, (where, text) in numbered]
    else:
        lines.insert(0, "Answer in one line.")
    return [_SYSTEM, Message("user", "\n".join(lines))]


def kernel_doc_answer(params: Sequence[tuple[str, str]], returns: str) -> str:
    """The answer to ``kernel_doc_prompt``: a line ``@name: text`` for each parameter, then ``Return: text``.

    >>> kernel_doc_answer([("foo", "the foo to start")], "0 on success")
    '@foo: the foo to start\\nReturn: 0 on success'
    """
    lines = [f"@{name}: {_SPACE.sub(' ', text).strip()}" for name, text in params]
    if returns:
        lines.append(f"Return: {_SPACE.sub(' ', returns).strip()}")
    return "\n".join(lines)


def chatml(messages: Sequence[Message]) -> str:
    """The text of a chat as SmolLM2 and Qwen were trained on it (ChatML), up to the beginning of the answer.

    ``<|im_start|>`` and ``<|im_end|>`` are special tokens there. A caller that tokenizes must take them from this frame
    alone, never from a message's text: see ``chatml_pieces``.
    """
    return "".join(chatml_pieces(messages))


START, END = "<|im_start|>", "<|im_end|>"


def chatml_pieces(messages: Sequence[Message]) -> list[str]:
    """The pieces of ``chatml``; those that equal ``START`` or ``END`` are special tokens, the others are plain text."""
    pieces: list[str] = []
    for message in messages:
        pieces += [START, f"{message.role}\n{message.text}", END, "\n"]
    return [*pieces, START, "assistant\n"]


def _about_code(
    task: str, path: str, code: str, facts: Sequence[str], likes: Iterable[str], max_code: int, budget: Budget
) -> list[Message]:
    lines = [task, f"File: {path}"]
    lines += [f"Fact: {_one_line(fact, budget.line)}" for fact in facts[:MAX_FACTS]]
    lines += [f"Like: {_one_line(like, budget.line)}" for like in likes]
    lines += ["Code:", shorten_code(code, max_code)]
    return [_SYSTEM, Message("user", "\n".join(lines))]


def _one_line(text: str, max_chars: int) -> str:
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"
