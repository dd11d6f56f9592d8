"""The tokens around the messages of a chat: ChatML, or the template that comes with a model.

A frame is a list of token ids and texts. The ids come from the form alone. A message is always a text, to be tokenized
without special tokens: nothing that a kernel tree holds can end a message or begin another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kexpert.prompt.chat import Message, chatml_pieces

Frame = list[int | str]


def chatml_frame(messages: Sequence[Message], start: int, end: int) -> Frame:
    """The frame of ChatML. ``start`` and ``end`` are the ids of ``<|im_start|>`` and ``<|im_end|>``."""
    # By position: a message may consist of a marker's text alone.
    ids = {0: start, 2: end}
    return [ids.get(at % 4, piece) for at, piece in enumerate(chatml_pieces(messages))]


def template_frame(
    messages: Sequence[Message],
    render: Callable[[Sequence[Message]], str],
    encode_special: Callable[[str], list[int]],
) -> Frame:
    """The frame of a model's own template. Raises ValueError if the template leaves out, repeats or changes a message.

    ``render`` gets placeholders instead of the messages' texts; what it puts around them is tokenized by
    ``encode_special``, which parses special tokens.
    """
    placeholders = [f"kexpert-message-{at:04}-of-{len(messages):04}" for at in range(len(messages))]
    rest = render([replace(message, text=name) for message, name in zip(messages, placeholders, strict=True)])
    frame: Frame = []
    for name, message in zip(placeholders, messages, strict=True):
        if rest.count(name) != 1:
            raise ValueError(f"the template does not show each message once ({message.role})")
        before, _, rest = rest.partition(name)
        form = before.rstrip(" ")  # a blank before a word belongs to the word's token
        frame += encode_special(form)
        frame.append(before[len(form) :] + message.text)
    return [*frame, *encode_special(rest)]
