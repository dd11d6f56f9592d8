"""From logits to text: token healing, balanced brackets, the choice of the next token."""
