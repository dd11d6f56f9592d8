"""``Refusal``: a question that is refused."""


class Refusal(Exception):
    """A question that is refused; the message is the reason, for the user."""
