"""Fill-in-the-middle markers of model families, and prompts that fit a token budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kexpert.prompt.fim import Context, Marker, Order, Piece, heal, render, token_ids


@dataclass(frozen=True, slots=True)
class MarkerFamily:
    """Models that spell their markers the same way. ``bos``: the token that must begin every prompt, "" for none."""

    name: str
    markers: Mapping[Marker, str]
    bos: str = ""


def _named(prefix: str, suffix: str, middle: str, **others: str) -> dict[Marker, str]:
    found = {Marker.FIM_PREFIX: prefix, Marker.FIM_SUFFIX: suffix, Marker.FIM_MIDDLE: middle}
    return found | {Marker[name]: token for name, token in others.items()}


#: From each family's tokenizer_config.json and model card.
FAMILIES = (
    MarkerFamily("Qwen2.5-Coder", {marker: marker.value for marker in Marker}),
    MarkerFamily(
        "StarCoder2, Granite",
        _named("<fim_prefix>", "<fim_suffix>", "<fim_middle>", FIM_PAD="<fim_pad>", FILE_SEP="<file_sep>",
               REPO_NAME="<repo_name>", END="<|endoftext|>"),
    ),
    MarkerFamily(
        "StarCoder, Granite Code",
        _named("<fim_prefix>", "<fim_suffix>", "<fim_middle>", FIM_PAD="<fim_pad>", FILE_SEP="<filename>",
               REPO_NAME="<reponame>", END="<|endoftext|>"),
    ),
    MarkerFamily("CodeLlama", _named("▁<PRE>", "▁<SUF>", "▁<MID>", END="▁<EOT>"), "<s>"),
    MarkerFamily(
        "CodeGemma",
        _named("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", FILE_SEP="<|file_separator|>", END="<eos>"),
        "<bos>",
    ),
    MarkerFamily(
        "DeepSeek-Coder",
        _named("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", END="<｜end▁of▁sentence｜>"),
        "<｜begin▁of▁sentence｜>",
    ),
)  # fmt: skip

_REQUIRED = (Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE)
#: Shrink a context a little more than the token count asks for: tokens per character vary over a text.
_SHRINK_MARGIN = 0.9


@dataclass(frozen=True, slots=True)
class FimMarkers:
    """The marker ids of one vocabulary; ``bos`` holds the ids that begin every prompt."""

    family: str
    ids: Mapping[Marker, int]
    bos: tuple[int, ...] = ()


def find_markers(id_of: Callable[[str], int | None]) -> FimMarkers | None:
    """Find the family with the most markers in a vocabulary. None if no family has all three hole markers."""
    best: FimMarkers | None = None
    for family in FAMILIES:
        ids = {marker: found for marker, token in family.markers.items() if (found := id_of(token)) is not None}
        if all(marker in ids for marker in _REQUIRED) and (best is None or len(ids) > len(best.ids)):
            bos = id_of(family.bos) if family.bos else None
            best = FimMarkers(family.name, ids, () if bos is None else (bos,))
    return best


def fit_prompt(
    context: Context, order: Order, encode: Callable[[str], list[int]], markers: FimMarkers, max_tokens: int
) -> tuple[list[int], str]:
    """Render a prompt of at most ``max_tokens`` tokens.

    Drops excerpts, the last first, then the far ends of suffix and prefix. Returns the prompt's ids and the tail:
    typed text that the prompt leaves out and the model must write first (see ``decoding.token_healing``).
    """
    prefix, tail = heal(context.prefix)
    context = replace(context, prefix=prefix)
    while True:
        ids = [*markers.bos, *token_ids(_pieces(context, order, markers), encode, markers.ids)]
        if len(ids) <= max_tokens:
            return ids, tail
        if not (context.excerpts or context.prefix or context.suffix):
            return ids[len(ids) - max_tokens :], tail
        context = _shrunk(context, max_tokens / len(ids))


def _pieces(context: Context, order: Order, markers: FimMarkers) -> list[Piece]:
    """Render for a family. Without a file separator, excerpts become code before the prefix, and nothing comes before
    the first marker."""
    if Marker.FILE_SEP in markers.ids:
        return render(context, order)
    excerpts = "".join(f"/* {excerpt.path} */\n{excerpt.text.rstrip()}\n\n" for excerpt in context.excerpts)
    pieces = render(replace(context, prefix=excerpts + context.prefix), order)
    return pieces[pieces.index(Marker.FIM_PREFIX) :]


def _shrunk(context: Context, ratio: float) -> Context:
    if context.excerpts:
        return replace(context, excerpts=context.excerpts[:-1])
    ratio *= _SHRINK_MARGIN
    suffix = context.suffix[: int(len(context.suffix) * ratio)]
    start = len(context.prefix) - int(len(context.prefix) * ratio)
    line_start = context.prefix.find("\n", start) + 1
    return replace(context, suffix=suffix, prefix=context.prefix[line_start or start :])
