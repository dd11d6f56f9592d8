"""Documentation as text: kernel-doc comments, Kconfig entries, plain comments, pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from kexpert.core.docs.kerneldoc import KernelDoc, Param
from kexpert.core.kernel.kconfig import KconfigEntry
from kexpert.features.hover.card import Documentation, OptionHelp, PlainText, RestructuredText, Title
from kexpert.render.markup import Markup

_PARAMETERS_TITLE = {"struct": "Members", "union": "Members", "enum": "Values"}


def write_documentation(pieces: Iterable[Documentation], markup: Markup) -> str:
    """The pieces, a blank line between them."""
    texts = (_piece(piece, markup) for piece in pieces)
    return "\n\n".join(text for text in texts if text).strip()


def _piece(piece: Documentation, markup: Markup) -> str:
    match piece:
        case PlainText(text):
            return markup.words(text)
        case RestructuredText(text):
            return markup.restructured_text(text)
        case Title(text):
            return markup.strong(markup.words(text))
        case OptionHelp(entries, value):
            return _option(entries, value, markup)
        case KernelDoc():
            return write_kernel_doc(piece, markup)


def write_kernel_doc(doc: KernelDoc, markup: Markup) -> str:
    """A kernel-doc comment without the parts that it lacks."""
    parts = [markup.cross_references(doc.summary)]
    if doc.params:
        title = markup.strong(_PARAMETERS_TITLE.get(doc.kind, "Parameters"))
        parts.append(f"{title}\n\n" + "\n".join(_parameter(param, markup) for param in doc.params))
    parts.append(markup.restructured_text(doc.description))
    for title, text in [("Context", doc.context), ("Return", doc.returns), *doc.sections]:
        if text:
            parts.append(markup.titled(title, markup.restructured_text(text)))
    return "\n\n".join(part for part in parts if part)


def _parameter(param: Param, markup: Markup) -> str:
    name = markup.code(param.name)
    text = markup.restructured_text(param.text).replace("\n", "\n  ")
    return f"- {name}: {text}" if text else f"- {name}"


def _option(entries: Sequence[KconfigEntry], value: str | None, markup: Markup) -> str:
    """All definitions of an option, and its value in ``.config`` if it has any."""
    head = markup.code(f"CONFIG_{entries[0].name}")
    types = list(dict.fromkeys(entry.type for entry in entries if entry.type))
    head += f" ({', '.join(types)})" if types else ""
    head += f" = {markup.code(value)} in {markup.code('.config')}" if value is not None else ""
    # architectures define an option anew with the same words: the help is shown once
    helped = next((entry for entry in entries if entry.help), None)
    return "\n\n".join([head, *(_entry(entry, markup, entry is helped) for entry in entries)])


def _entry(entry: KconfigEntry, markup: Markup, with_help: bool) -> str:
    parts = []
    if entry.prompt:
        condition = f" if {markup.code(entry.prompt_if)}" if entry.prompt_if else ""
        parts.append(markup.strong(markup.prompt(entry.prompt)) + condition)
    facts = []
    if entry.depends:
        facts.append(f"depends on {markup.code(_conjunction(entry.depends))}")
    if entry.visible_if:
        facts.append(f"visible if {markup.code(_conjunction(entry.visible_if))}")
    for label, pairs in (("selects", entry.selects), ("implies", entry.implies), ("default", entry.defaults)):
        if pairs:
            facts.append(f"{label} " + ", ".join(_conditional(what, condition, markup) for what, condition in pairs))
    facts += [_conditional(f"{low} to {high}", condition, markup) for low, high, condition in entry.ranges]
    if entry.menus:
        facts.append("in menu " + markup.prompt(" > ".join(entry.menus)))
    facts.append(markup.place(entry.path, entry.line))
    parts.append("\n".join(f"- {fact}" for fact in facts))
    if with_help:
        parts.append(markup.option_help(entry.help))
    return "\n\n".join(parts)


def _conditional(what: str, condition: str, markup: Markup) -> str:
    return f"{markup.code(what)} if {markup.code(condition)}" if condition else markup.code(what)


def _conjunction(conditions: list[str]) -> str:
    """Several conditions as one expression; repeated ones once."""
    distinct = list(dict.fromkeys(conditions))
    if len(distinct) == 1:
        return distinct[0]
    return " && ".join(f"({condition})" if _binds_loosely(condition) else condition for condition in distinct)


def _binds_loosely(expression: str) -> bool:
    """True if ``||`` occurs outside all brackets."""
    depth = 0
    for char, following in pairwise(expression + " "):
        depth += (char == "(") - (char == ")")
        if not depth and char == following == "|":
            return True
    return False
