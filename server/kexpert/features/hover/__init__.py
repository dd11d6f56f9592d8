"""Hover cards: a file for each kind of thing that a card describes. ``render`` writes them."""
