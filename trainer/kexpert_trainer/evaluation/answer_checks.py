"""What can be told of an answer without a reference: invented names, the parameters and the return of a kernel-doc."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"[A-Za-z_]\w*")
_CALL = re.compile(r"\b([A-Za-z_]\w*)\(")
_MARKED = re.compile(r"(?:[@%]|->|\bstruct |\bCONFIG_)([A-Za-z_]\w*)")
_CAMEL = re.compile(r"[a-z]+[A-Z]\w*")
_LINE = re.compile(r"^[ \t]*(?:@(\w+|\.\.\.)|(returns?))[ \t]*:[ \t]*(.*)$", re.I | re.M)
_SPACE = re.compile(r"\s+")


def identifiers(text: str) -> set[str]:
    """The words of prose that are names of code: with an underscore, in mixed case, called, or marked as code."""
    words = {word for word in _WORD.findall(text) if "_" in word.strip("_") or _CAMEL.fullmatch(word)}
    return words | set(_CALL.findall(text)) | set(_MARKED.findall(text))


def invented(answer: str, evidence: Iterable[str]) -> set[str]:
    """The identifiers of an answer that no text of the evidence (code, path, sources) holds."""
    known = {word for text in evidence for word in _WORD.findall(text)}
    return {name for name in identifiers(answer) if name not in known}


@dataclass(frozen=True, slots=True)
class KernelDocCheck:
    """An answer to ``kernel_doc_prompt`` beside the function's own parameters and type."""

    complete: bool  # each parameter has a text
    missing: tuple[str, ...]
    added: tuple[str, ...]  # names that are no parameters
    return_right: bool  # a Return line if, and only if, the function returns something


def check_kernel_doc(answer: str, params: Iterable[str], returns: bool) -> KernelDocCheck:
    """``params``: the names of the function's parameters; ``returns``: it is not void."""
    described = dict(_described(answer))
    wanted = list(params)
    missing = tuple(name for name in wanted if not described.get(f"@{name}"))
    added = tuple(name[1:] for name in described if name.startswith("@") and name[1:] not in wanted)
    return KernelDocCheck(not missing, missing, added, bool(described.get("Return")) is returns)


def _described(answer: str) -> Iterator[tuple[str, str]]:
    for match in _LINE.finditer(answer):
        yield (f"@{match[1]}" if match[1] else "Return"), match[3].strip()


def returns_something(code: str, name: str) -> bool:
    """Whether a function's text says that it returns a value: all but ``void`` without a star."""
    head = code.partition("{")[0]
    before = _SPACE.sub(" ", head[: head.find(f"{name}(")] if f"{name}(" in head else head)
    return not re.search(r"\bvoid\b(?!\s*\*)(?:\s+\w+)*\s*$", before)


def parameter_names(kernel_doc: str) -> list[str]:
    """The names that a kernel-doc in the form of ``kernel_doc_answer`` describes, in order."""
    return [name[1:] for name, _ in _described(kernel_doc) if name.startswith("@")]
