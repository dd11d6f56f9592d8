"""Facts of a tree as sources of answers, with the questions that each of them answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    """What a question is about: the categories of the evaluation."""

    LOCK = "lock"
    RETURN = "return"
    CALLERS = "callers"
    CONFIG = "config"
    OPS = "ops"


class Form(StrEnum):
    """The shape of a question; ``question_forms`` has the phrasings."""

    LOCK = "lock"  # which lock does it take
    HELD = "held"  # which lock must the caller hold
    VALUE = "value"  # what does it return if …
    CONDITION = "condition"  # when does it return …
    CALLER = "caller"
    DEPENDS = "depends"
    SELECTS = "selects"
    BUILDS = "builds"  # which option builds a file
    MEMBER = "member"  # which function is the .open of a table
    TABLE = "table"  # in which table is a function


TOPICS = {
    Form.LOCK: Topic.LOCK, Form.HELD: Topic.LOCK, Form.VALUE: Topic.RETURN, Form.CONDITION: Topic.RETURN,
    Form.CALLER: Topic.CALLERS, Form.DEPENDS: Topic.CONFIG, Form.SELECTS: Topic.CONFIG, Form.BUILDS: Topic.CONFIG,
    Form.MEMBER: Topic.OPS, Form.TABLE: Topic.OPS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that a fact answers."""

    form: Form
    given: str  # what the question names beside the subject: a condition, a value, "member table"
    answer: str  # short
    keys: tuple[str, ...]  # strings that a right answer contains, all of them


@dataclass(frozen=True, slots=True)
class TreeFact:
    """A sentence that the tree's code says, and where."""

    subjects: tuple[str, ...]  # the names by which a question finds it, the main one first
    path: str
    line: int  # 0-based
    text: str
    asked: tuple[Asked, ...] = ()

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line + 1}"
