"""Training loops and what they need: batches, losses, optimisers."""
