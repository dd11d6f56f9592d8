"""Hover cards: one file for each kind of thing that a card describes."""
