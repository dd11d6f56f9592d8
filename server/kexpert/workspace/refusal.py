"""``Refusal``: a question that is not answered, with the reason."""

from __future__ import annotations


class Refusal(Exception):
    """A question that is refused; the message is the reason, for the user."""
