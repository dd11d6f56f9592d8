"""How kernel developers ask about a fact: phrasings of each form, and the small ways in which people vary them."""

from __future__ import annotations

import random
import re

from kexpert_trainer.data.tree_facts import Asked, Form, TreeFact

#: ``{f}``: the function or option, ``{g}``: what is given beside it, ``{m}`` and ``{t}``: member, table or struct.
_PHRASINGS: dict[Form, tuple[str, ...]] = {
    Form.LOCK: (
        "Which lock does {f} take?", "What lock does {f} take?", "Which {g} does {f} take?", "What does {f} lock?",
        "Which lock is taken in {f}?", "Which lock protects what {f} does?", "What locking does {f} do?",
        "Does {f} take a lock, and which one?", "Which {g} is acquired by {f}?", "What lock is held inside {f}?",
    ),
    Form.HELD: (
        "Which lock must be held when calling {f}?", "Which lock must the caller of {f} hold?",
        "What lock does {f} expect its caller to hold?", "Under which lock may {f} be called?",
        "Which lock do I need to call {f}?", "What must be locked before I call {f}?",
        "Which lock has to be held for {f}?",
    ),
    Form.VALUE: (
        "What does {f} return if {g}?", "What does {f} return when {g}?", "Which value does {f} return if {g}?",
        "What is the return value of {f} if {g}?", "What do I get from {f} when {g}?",
        "Which error does {f} return if {g}?", "What happens in {f} if {g}: what is returned?",
        "With which code does {f} fail when {g}?", "If {g}, what does {f} return?", "{f} returns what if {g}?",
    ),
    Form.CONDITION: (
        "When does {f} return {g}?", "Why would {f} return {g}?", "Under which condition does {f} return {g}?",
        "In which case does {f} return {g}?", "What makes {f} return {g}?", "Why do I get {g} from {f}?",
        "{f} returns {g}: why?", "What causes {g} in {f}?", "How can {f} fail with {g}?",
    ),
    Form.CALLER: (
        "Which function calls {f}?", "Who calls {f}?", "What calls {f}?", "Where is {f} called?",
        "Where is {f} called from?", "Which function is the caller of {f}?", "What is the only caller of {f}?",
        "From which function is {f} called?", "Who uses {f}?",
    ),
    Form.DEPENDS: (
        "What does {f} depend on?", "Which options does {f} depend on?", "What are the dependencies of {f}?",
        "What do I need to enable before {f}?", "Which options must be set to be able to choose {f}?",
        "Why can't I select {f}: what does it depend on?", "What does {f} need?",
    ),
    Form.SELECTS: (
        "Which option does {f} select?", "What does {f} select?", "What gets selected by {f}?",
        "Which option is switched on by {f}?", "What else is enabled if I enable {f}?",
    ),
    Form.BUILDS: (
        "Which option builds {f}?", "Which config option do I need for {f}?", "What must I enable to build {f}?",
        "Which CONFIG builds {f}?", "When is {f} built?", "Under which option is {f} compiled?",
        "Why is {f} not built: which option is missing?",
    ),
    Form.MEMBER: (
        "Which function is the .{m} of {t}?", "What is .{m} in {t}?", "Which function implements .{m} in {t}?",
        "Which function does {t} use for {m}?", "What does {t} set .{m} to?", "Which function is {t}.{m}?",
        "Which {m} function does {t} have?", "What gets called for .{m} of {t}?",
    ),
    Form.TABLE: (
        "Which table uses {f}?", "Which ops table uses {f}?", "In which struct {t} is {f} used?",
        "Which struct {t} has {f} as its .{m}?", "Where is {f} assigned?", "In which table is {f} the .{m}?",
        "Which variable holds {f} as .{m}?", "Which struct {t} points to {f}?",
    ),
}
#: Phrasings that fit errors alone.
_OF_ERRORS = re.compile(r"error|fail|causes|Why do I get")
_SIMPLE = re.compile(r"[A-Za-z_]\w*(?:(?:->|\.)\w+)*")


def phrase(fact: TreeFact, asked: Asked, rng: random.Random) -> str:
    """A question that ``fact`` answers, as somebody would type it."""
    subject = fact.subjects[0]
    is_function = asked.form not in (Form.DEPENDS, Form.SELECTS, Form.BUILDS)
    name = f"{subject}()" if is_function and rng.random() < 0.75 else subject
    if asked.form in (Form.DEPENDS, Form.SELECTS) and rng.random() < 0.15:
        name = subject.removeprefix("CONFIG_")
    given, member, table = asked.given, "", ""
    if asked.form in (Form.MEMBER, Form.TABLE):
        member, table = asked.given.split(" ", 1)
    if asked.form is Form.VALUE and rng.random() < 0.5:
        given = spoken(asked.given, rng)
    phrasings = _PHRASINGS[asked.form]
    if asked.form in (Form.VALUE, Form.CONDITION) and "-E" not in f"{asked.given} {asked.answer}":
        phrasings = tuple(each for each in phrasings if not _OF_ERRORS.search(each))
    text = rng.choice(phrasings).format(f=name, g=given, m=member, t=table)
    if text.startswith(name):
        return text
    return _varied(text, fact.path if asked.form is not Form.BUILDS else "", rng)


def spoken(condition: str, rng: random.Random) -> str:
    """A C condition in words, if it is simple: ``!foo`` -> "foo is not set"; else as it is."""
    inner = condition.removeprefix("!")
    if _SIMPLE.fullmatch(inner):
        if inner != condition:
            return rng.choice((f"{inner} is not set", f"{inner} is zero", f"there is no {inner}", f"{inner} is false"))
        return rng.choice((f"{inner} is set", f"{inner} is not zero", f"{inner} is true"))
    if match := re.fullmatch(r"IS_ERR\((.+)\)", condition):
        return rng.choice((f"{match[1]} is an error", f"{match[1]} is an error pointer"))
    if match := re.fullmatch(r"([\w>.-]+) < 0", condition):
        return rng.choice((f"{match[1]} is negative", f"{match[1]} is below 0"))
    if match := re.fullmatch(r"([\w>.-]+) (==|!=|>|<|>=|<=) ([\w>.-]+)", condition):
        words = {
            "==": "is", "!=": "is not", ">": "is greater than", "<": "is less than", ">=": "is at least",
            "<=": "is at most",
        }  # fmt: skip
        return f"{match[1]} {words[match[2]]} {match[3]}"
    return condition


def _varied(text: str, path: str, rng: random.Random) -> str:
    if path and rng.random() < 0.12:
        text = f"In {path}: {text[:1].lower()}{text[1:]}"
    if rng.random() < 0.2:
        text = text[:1].lower() + text[1:]
    if rng.random() < 0.15:
        text = text.removesuffix("?")
    return text
