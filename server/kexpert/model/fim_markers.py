"""Which special tokens of a vocabulary mark a hole, and a context fitted into the tokens there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kexpert.prompt.fim import Context, Marker, Order, Piece, heal, render, token_ids


@dataclass(frozen=True, slots=True)
class Family:
    """Models that name their markers alike. ``starts`` is a token that must stand first, "" for none."""

    name: str
    markers: Mapping[Marker, str]
    starts: str = ""


def _named(prefix: str, suffix: str, middle: str, **more: str) -> dict[Marker, str]:
    found = {Marker.FIM_PREFIX: prefix, Marker.FIM_SUFFIX: suffix, Marker.FIM_MIDDLE: middle}
    return found | {Marker[name]: token for name, token in more.items()}


#: From the tokenizer_config.json and the model cards of each.
FAMILIES = (
    Family("Qwen2.5-Coder", {marker: marker.value for marker in Marker}),
    Family(
        "StarCoder2, Granite",
        _named("<fim_prefix>", "<fim_suffix>", "<fim_middle>", FIM_PAD="<fim_pad>", FILE_SEP="<file_sep>",
               REPO_NAME="<repo_name>", END="<|endoftext|>"),
    ),
    Family(
        "StarCoder, Granite Code",
        _named("<fim_prefix>", "<fim_suffix>", "<fim_middle>", FIM_PAD="<fim_pad>", FILE_SEP="<filename>",
               REPO_NAME="<reponame>", END="<|endoftext|>"),
    ),
    Family("CodeLlama", _named("▁<PRE>", "▁<SUF>", "▁<MID>", END="▁<EOT>"), "<s>"),
    Family(
        "CodeGemma",
        _named("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", FILE_SEP="<|file_separator|>", END="<eos>"),
        "<bos>",
    ),
    Family(
        "DeepSeek-Coder",
        _named("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", END="<｜end▁of▁sentence｜>"),
        "<｜begin▁of▁sentence｜>",
    ),
)  # fmt: skip

_NEEDED = (Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE)


@dataclass(frozen=True, slots=True)
class Markers:
    """The markers of one vocabulary as ids. Of several families the one of which most is there."""

    family: str
    ids: Mapping[Marker, int]
    first: tuple[int, ...] = ()


def find_markers(id_of: Callable[[str], int | None]) -> Markers | None:
    """The family whose markers a vocabulary holds; None where a hole cannot be marked."""
    best: Markers | None = None
    for family in FAMILIES:
        ids = {marker: found for marker, token in family.markers.items() if (found := id_of(token)) is not None}
        if all(marker in ids for marker in _NEEDED) and (best is None or len(ids) > len(best.ids)):
            start = id_of(family.starts) if family.starts else None
            best = Markers(family.name, ids, () if start is None else (start,))
    return best


def fit(
    context: Context, order: Order, encode: Callable[[str], list[int]], markers: Markers, room: int
) -> tuple[list[int], str]:
    """(ids of the prompt, at most ``room``; what the model must write first). What is least needed goes
    first: excerpts from the last, then the far ends of suffix and prefix."""
    kept, tail = heal(context.prefix)
    context = replace(context, prefix=kept)
    while True:
        ids = [*markers.first, *token_ids(_pieces(context, order, markers), encode, markers.ids)]
        if len(ids) <= room:
            return ids, tail
        if not (context.excerpts or context.prefix or context.suffix):
            return ids[len(ids) - room :], tail
        context = _smaller(context, room / len(ids))


def _pieces(context: Context, order: Order, markers: Markers) -> list[Piece]:
    """What a model reads. One that knows no marker between files finds the excerpts as code before the prefix, and
    nothing in front of the first marker."""
    if Marker.FILE_SEP in markers.ids:
        return render(context, order)
    others = "".join(f"/* {excerpt.path} */\n{excerpt.text.rstrip()}\n\n" for excerpt in context.excerpts)
    pieces = render(replace(context, prefix=others + context.prefix), order)
    return pieces[pieces.index(Marker.FIM_PREFIX) :]


def _smaller(context: Context, share: float) -> Context:
    if context.excerpts:
        return replace(context, excerpts=context.excerpts[:-1])
    share *= 0.9
    suffix = context.suffix[: int(len(context.suffix) * share)]
    start = len(context.prefix) - int(len(context.prefix) * share)
    line = context.prefix.find("\n", start) + 1
    return replace(context, suffix=suffix, prefix=context.prefix[line or start :])
