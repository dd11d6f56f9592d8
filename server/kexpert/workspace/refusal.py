"""``Refusal``: a question that is not answered, with the reason."""


class Refusal(Exception):
    """A question that is refused; the message is the reason, for the user."""
